"""Files of other programs: `mcp-local-tunnel`, and the `mcpServers` form of desktop applications.

Works on a canonical tree in place and leaves only keys that the dataclasses have.
"""

from collections.abc import Mapping
from typing import Any, Literal

from mcptunnel.config.agent import AgentConfig
from mcptunnel.config.errors import ConfigError, Findings, InvalidValueError, Problem
from mcptunnel.config.listen import tcp_endpoint
from mcptunnel.config.reader import read_int, read_text
from mcptunnel.config.relay import RelayConfig
from mcptunnel.config.schema import fields_of, file_only
from mcptunnel.config.source import Source
from mcptunnel.config.values import LEAST_SECRET_BYTES

Program = Literal["relay", "agent"]

_MOST_PORT = 65535
_HTTP_KINDS = ("streamable-http", "streamableHttp", "streamable_http")


def check_program(source: Source, section: type) -> None:
    """Raise `ConfigError` when the file is the other program's: no key of it is only ours."""
    other = RelayConfig if section is AgentConfig else AgentConfig
    ours, theirs = (_names(one) - _names(two) for one, two in ((section, other), (other, section)))
    keys = source.data.keys()
    if keys & theirs and not keys & ours:
        kinds = {RelayConfig: "a relay", AgentConfig: "an agent"}
        message = f"this is {kinds[other]}'s configuration, not {kinds[section]}'s"
        raise ConfigError([Problem(source.label, "", message, "Name the other file.")])


def _names(section: type) -> set[str]:
    return {
        *file_only(section),
        *(name for spec in fields_of(section) for name in spec.spellings),
    }


def check_mode(tree: dict[str, Any], program: Program, findings: Findings) -> bool:
    """Remove the top-level `mode`; tell whether there was one, which selects other defaults."""
    if "mode" not in tree:
        return False
    mode = tree.pop("mode")
    if mode != program:
        findings.add(
            "mode", f"is not {program!r}", f"This is read as the configuration of the {program}."
        )
    return True


def drop_short_secret(tree: dict[str, Any], *, has_mode: bool) -> None:
    """Remove a `secret` of that program which is too short to seal with: one of our own is kept then."""
    secret = tree.get("secret")
    if has_mode and isinstance(secret, str) and len(secret.encode()) < LEAST_SECRET_BYTES:
        del tree["secret"]


def rewrite_address(tree: dict[str, Any], findings: Findings, *, has_mode: bool) -> None:
    """Turn `host` and `port` into `listen`; with `mode` also fill in what that program assumed."""
    given = [key for key in ("host", "port") if key in tree]
    host, port = ("0.0.0.0", 3000) if has_mode else ("127.0.0.1", 8787)  # noqa: S104 - theirs
    try:
        host = read_text(tree.pop("host", host))
        port = read_int(tree.pop("port", port))
    except InvalidValueError as error:
        findings.add(given[-1], error.message, error.remedy)
        return
    if not 0 <= port <= _MOST_PORT:
        findings.add("port", f"{port} is not a port", "Ports are 0 to 65535.")
        return
    if given and "listen" in tree:
        findings.add(given[0], "contradicts listen", "Remove one of them.")
    elif given or (has_mode and "listen" not in tree):
        tree["listen"] = tcp_endpoint(host, port)
    if has_mode and port:
        tree.setdefault("public_url", f"http://localhost:{port}")


def rewrite_servers(tree: dict[str, Any], findings: Findings) -> None:
    """Bring every server to `command` as a list and a `kind` that we know."""
    servers = tree.get("servers")
    for name, server in servers.items() if isinstance(servers, Mapping) else ():
        if isinstance(server, dict):
            _rewrite_command(server, f"servers.{name}", findings)
            if server.get("kind") in _HTTP_KINDS:
                server["kind"] = "http"
            server.setdefault("kind", "stdio" if server.get("url") is None else "http")


def _rewrite_command(server: dict[str, Any], key: str, findings: Findings) -> None:
    command, arguments = server.get("command"), server.pop("args", None)
    if isinstance(command, str):
        if arguments is not None and not isinstance(arguments, list):
            findings.add(f"{key}.args", "is not a list of texts", "Write a list of texts.")
            arguments = None
        server["command"] = [command, *(arguments or [])]
    elif arguments is not None:
        findings.add(
            f"{key}.args",
            "belongs to a command that is one text",
            "Write program and arguments as one list in command.",
        )
