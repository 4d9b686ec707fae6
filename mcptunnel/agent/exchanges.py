"""What the relay opens: who takes which exchange."""

from mcptunnel.agent.control import AGENT_TARGET, ControlCall
from mcptunnel.agent.endpoint import HubCall, RequestRoom
from mcptunnel.agent.servers.interfaces import LocalServer
from mcptunnel.agent.transparent import pass_on
from mcptunnel.model import ExchangeKind
from mcptunnel.net.exchange import Exchange
from mcptunnel.wire.constants import ErrorCode


def accept(exchange: Exchange, servers: dict[str, LocalServer], room: RequestRoom) -> None:
    """Set the receiver of a new exchange, or refuse it; the hub's requests share `room`."""
    request = exchange.request
    if request.target == AGENT_TARGET:
        exchange.receiver = ControlCall(exchange, servers)
        return
    server = servers.get(request.target)
    if server is None:
        exchange.reset(ErrorCode.REFUSED_STREAM, f"No server is called {request.target!r}.")
    elif request.kind is ExchangeKind.TRANSPARENT:
        pass_on(exchange, server)
    else:
        exchange.receiver = HubCall(exchange, server, room)
