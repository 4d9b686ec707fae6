"""The configuration of a relay."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from mcptunnel.config.auth import AuthConfig, complaints_about_open, complaints_about_provider
from mcptunnel.config.errors import Complaint
from mcptunnel.config.listen import parse_listen
from mcptunnel.config.schema import Bounds, Option
from mcptunnel.config.secret import Secret
from mcptunnel.config.store import StoreConfig
from mcptunnel.config.tunnel import KIB, MIB, TunnelConfig
from mcptunnel.config.urls import complaints_about_plain, parse_origin
from mcptunnel.config.values import parse_networks, parse_sealing_secret

_LISTEN = "tcp:8787:interface=127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """What the relay refuses to hold in memory."""

    max_request_bytes: Annotated[
        int,
        Option("The largest MCP request that the hub reads.", Bounds(least=KIB, most=1024 * MIB)),
    ] = 4 * MIB
    max_result_bytes: Annotated[
        int,
        Option("The largest result that the hub passes on.", Bounds(least=KIB, most=1024 * MIB)),
    ] = 16 * MIB
    max_sessions: Annotated[
        int,
        Option("MCP sessions of legacy clients held at once.", Bounds(least=1, most=10_000_000)),
    ] = 10_000
    max_user_requests: Annotated[
        int,
        Option(
            "Calls and streams of one user that are open at once, of all clients together.",
            Bounds(least=1, most=10_000_000),
        ),
    ] = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HubConfig:
    """How the hub shows the servers of a user's devices."""

    device_prefix: Annotated[
        Literal["auto", "always", "never"],
        Option("Whether tool names start with the device. `auto`: with more than one device."),
    ] = "auto"
    server_timeout_s: Annotated[
        float,
        Option("Seconds that a server has to answer a list request.", Bounds(least=0.1, most=600)),
    ] = 10.0
    call_timeout_s: Annotated[
        float,
        Option(
            "Seconds of silence after which a call is given up; more than any agent's `timeout_s`.",
            Bounds(least=60, most=8 * 86_400),
        ),
    ] = 3660.0
    offline_grace_s: Annotated[
        float,
        Option(
            "Seconds for which the tools of a device that went offline stay listed.",
            Bounds(least=0, most=30 * 86_400),
        ),
    ] = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayConfig:
    """Everything a relay is told."""

    file_only: ClassVar = ("mode", "host", "port")

    listen: Annotated[
        str,
        Option(
            "Where to listen: a Twisted server endpoint description.",
            parse=parse_listen,
            example=f'"{_LISTEN}"',
        ),
    ] = _LISTEN
    public_url: Annotated[
        str,
        Option(
            "The URL at which clients and agents reach the relay, without a path.",
            parse=parse_origin,
            aliases=("issuer_url",),
            default_text="the address of `listen` when that is loopback",
            no_default="`listen` is not a fixed port on loopback, so it cannot be guessed.",
            example='"https://relay.example.org"',
        ),
    ]
    state_dir: Annotated[
        Path,
        Option("The directory of the store and the control socket.", default_text="`./state`"),
    ]
    secret: Annotated[
        Secret | None,
        Option(
            "Seals what clients bring back, such as cursors: at least 32 random characters.",
            default_text="made once, and kept in `state_dir`",
            parse=parse_sealing_secret,
            example='"${RELAY_SECRET}"',
        ),
    ] = None
    insecure: Annotated[
        bool,
        Option(
            "Allow a `public_url` with unencrypted http on another machine, a provider likewise, and"
            ' `auth.mode = "none"` where others reach the relay.'
        ),
    ] = False
    allowed_hosts: Annotated[
        tuple[str, ...],
        Option("Host names that requests may carry besides the one of `public_url`."),
    ] = ()
    allowed_origins: Annotated[
        tuple[str, ...],
        Option("Browser origins that may call, besides the one of `public_url`."),
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        Option(
            "Networks of proxies whose X-Forwarded-For counts, such as `127.0.0.1`; `unix` is for a"
            " Unix socket.",
            parse=parse_networks,
            example='["127.0.0.1", "10.0.0.0/8"]',
        ),
    ] = ()
    audit_file: Annotated[
        Path | None,
        Option(
            "A file to which every event of the audit log is added, each a line of JSON.",
            default_text="none: the audit log is in the store alone",
            example='"/var/log/mcptunnel/audit.jsonl"',
        ),
    ] = None
    retry_after_s: Annotated[
        float,
        Option(
            "Seconds after which agents and clients may come back when the relay is stopped.",
            Bounds(least=0, most=3600),
        ),
    ] = 2.0
    auth: Annotated[AuthConfig, Option("Who may use the relay.")] = field(
        default_factory=AuthConfig
    )
    store: Annotated[StoreConfig, Option("Where the relay keeps what outlives it.")] = field(
        default_factory=StoreConfig
    )
    hub: Annotated[HubConfig, Option("How the hub shows servers.")] = field(
        default_factory=HubConfig
    )
    limits: Annotated[LimitsConfig, Option("What the relay refuses to hold.")] = field(
        default_factory=LimitsConfig
    )
    tunnel: Annotated[TunnelConfig, Option("Heartbeat and flow control.")] = field(
        default_factory=TunnelConfig
    )

    @staticmethod
    def rules(values: Mapping[str, Any]) -> Iterator[Complaint]:
        """Complain about fields that contradict each other."""
        yield from complaints_about_plain("public_url", values, "keys")
        yield from complaints_about_open(values)
        yield from complaints_about_provider(values)
