"""The configuration of an agent."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from mcptunnel.config.errors import Complaint
from mcptunnel.config.names import parse_device_name, parse_prefix, parse_server_name
from mcptunnel.config.schema import Bounds, Option
from mcptunnel.config.secret import Secret
from mcptunnel.config.tunnel import TunnelConfig
from mcptunnel.config.urls import (
    SERVER_URL_EXAMPLE,
    complaints_about_plain,
    parse_relay_url,
    parse_server_url,
)
from mcptunnel.config.values import parse_command, parse_env, parse_headers

KEY_VARIABLE = "MCPTUNNEL_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """One local MCP server: a command that speaks on stdin and stdout, or a URL."""

    file_only: ClassVar = ("args",)

    name: str
    kind: Annotated[
        Literal["stdio", "http"],
        Option(
            "How to talk to it.",
            aliases=("type",),
            default_text="`stdio` with `command`, `http` with `url`",
        ),
    ]
    command: Annotated[
        tuple[str, ...] | None,
        Option(
            "The program to run and its arguments, one text each; no shell is involved.",
            parse=parse_command,
            example='["npx", "-y", "package"]',
        ),
    ] = None
    url: Annotated[
        str | None,
        Option(
            "The URL of a server that runs already.",
            parse=parse_server_url,
            example=f'"{SERVER_URL_EXAMPLE}"',
        ),
    ] = None
    # Both often hold credentials, so neither shows in a repr.
    env: Annotated[
        Mapping[str, str],
        Option("Environment variables for the command.", parse=parse_env),
    ] = field(default_factory=dict, repr=False)
    headers: Annotated[
        Mapping[str, str],
        Option("Header fields for every request to `url`.", parse=parse_headers),
    ] = field(default_factory=dict, repr=False)
    cwd: Annotated[
        Path | None,
        Option("The directory in which the command runs.", default_text="the agent's own"),
    ] = None
    timeout_s: Annotated[
        float,
        Option(
            "Seconds after which a call is given up. The relay's `hub.call_timeout_s` has to be more.",
            Bounds(least=0.1, most=7 * 86_400),
        ),
    ] = 3600.0
    prefix: Annotated[
        str | None,
        Option(
            'What tool names start with; `""` leaves them alone.',
            parse=parse_prefix,
            default_text="the server's name",
        ),
    ] = None

    isolation: Annotated[
        Literal["shared", "session"],
        Option(
            "Whether all clients share one process (or, with `url`, one session of the server), or"
            " each client has its own."
        ),
    ] = "shared"
    max_children: Annotated[
        int,
        Option(
            'Processes or sessions at once with `isolation = "session"`.', Bounds(least=1, most=256)
        ),
    ] = 8
    idle_s: Annotated[
        float,
        Option(
            "Seconds without a call after which one of these is ended, or what a server of both"
            " eras has for legacy clients.",
            Bounds(least=1, most=7 * 86_400),
        ),
    ] = 600.0

    @staticmethod
    def rules(values: Mapping[str, Any]) -> Iterator[Complaint]:
        """Complain about fields that contradict each other."""
        if "command" not in values or "url" not in values:
            return
        command, url = values["command"], values["url"]
        if (command is None) == (url is None):
            both = command is not None
            yield Complaint(
                "url" if both else "command",
                "a server has a command or a url, not both"
                if both
                else "is missing, and so is url",
                "Remove one of them." if both else "Say which program to run, or at which url.",
            )
            return
        needed, misplaced = ("stdio", ["headers"]) if command else ("http", ["env", "cwd"])
        if values.get("kind", needed) != needed:
            yield Complaint(
                "kind",
                f"{values['kind']!r} does not fit a server with {'command' if command else 'url'}",
                "Remove it; it is found out.",
            )
        for key in misplaced:
            if values.get(key):
                with_what = "url" if command else "command"
                yield Complaint(key, f"is only for servers with {with_what}", "Remove it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """Everything an agent is told."""

    file_only: ClassVar = ("mode",)

    relay: Annotated[
        str,
        Option(
            "The URL of the relay, without a path; `https` if it has no scheme.",
            parse=parse_relay_url,
            example='"https://relay.example.org"',
        ),
    ]
    name: Annotated[
        str,
        Option(
            "What this device is called.",
            parse=parse_device_name,
            example='"laptop"',
            default_text="the host name",
        ),
    ]
    state_dir: Annotated[
        Path,
        Option(
            "The directory of what the agent remembers.",
            default_text="a folder of this file's own in the user's data directory",
        ),
    ]
    key: Annotated[
        Secret | None,
        Option(
            "The API key, scope `agent`. Better in `key_file` or in `$MCPTUNNEL_KEY`;"
            " one of the three at most. A key goes before a sign-in.",
            default_text="`$MCPTUNNEL_KEY`, else what `mcptunnel login` signed in for",
        ),
    ] = None
    key_file: Annotated[
        Path | None,
        Option("A file with the key alone, which nobody else may read."),
    ] = None
    insecure: Annotated[
        bool,
        Option("Allow unencrypted http to a relay on another machine."),
    ] = False
    servers: Annotated[
        tuple[ServerConfig, ...],
        Option(
            "The local servers, each a table under its name.",
            parse=parse_server_name,
            aliases=("mcp_servers",),
        ),
    ]
    max_request_bytes: Annotated[
        int,
        Option(
            "The largest MCP request that is read, where the agent speaks for a server.",
            Bounds(least=1024, most=64 * 1024 * 1024),
        ),
    ] = 4 * 1024 * 1024
    tunnel: Annotated[TunnelConfig, Option("Heartbeat and flow control.")] = field(
        default_factory=TunnelConfig
    )

    @staticmethod
    def rules(values: Mapping[str, Any]) -> Iterator[Complaint]:
        """Complain about fields that contradict each other."""
        yield from complaints_about_plain("relay", values, "the key")
        if values.get("servers") == ():
            yield Complaint(
                "servers",
                "there is no server to offer",
                "Add a section, for example [servers.files] with a command.",
            )
