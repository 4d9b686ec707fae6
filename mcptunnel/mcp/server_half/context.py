"""What stays the same over the processes and sessions of one local server."""

from dataclasses import dataclass, field

from msgspec import Raw

from mcptunnel.mcp.server_half.listens import Listens
from mcptunnel.mcp.server_half.request_state import RequestStates


@dataclass(frozen=True, slots=True)
class ServerContext:
    """`client_info` is our own Implementation object; `shared` says that all clients share the server."""

    client_info: Raw
    states: RequestStates
    listens: Listens = field(default_factory=Listens)
    shared: bool = True
