"""What the relay opens: who takes which exchange."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcptunnel.agent.control import AGENT_TARGET, ControlCall
from mcptunnel.agent.endpoint import HubCall, RequestRoom
from mcptunnel.agent.servers.interfaces import LocalServer
from mcptunnel.agent.transparent.endpoint import ServerEndpoint
from mcptunnel.mcp.client_half.keep_alive import KeepAlive
from mcptunnel.mcp.service import Asker
from mcptunnel.model import ExchangeKind
from mcptunnel.net.exchange import Exchange
from mcptunnel.net.timers import ReactorTimers
from mcptunnel.wire.constants import ErrorCode

MAX_REQUEST_BYTES: Final = 4 * 1024 * 1024
"""The largest request that is read, where the agent speaks for a server."""


@dataclass(slots=True)
class Stopping:
    """What those are told who come while the agent stops (`client_half.refusals.Draining`)."""

    is_on: bool = False
    retry_after: int = 1
    refusal: str = "The device is stopping. Nothing was done; try again."


class Exchanges:
    """Takes the relay's exchanges for an agent's servers. Those that are read share one `RequestRoom`."""

    def __init__(
        self,
        reactor: Any,
        servers: Mapping[str, LocalServer],
        *,
        random: Callable[[int], bytes],
        max_request_bytes: int = MAX_REQUEST_BYTES,
    ) -> None:
        self._reactor = reactor
        self._servers = servers
        self._random = random
        self._max_request_bytes = max_request_bytes
        self._room = RequestRoom()
        self._stopping = Stopping()
        self._keep_alive = KeepAlive(ReactorTimers(reactor))
        self._endpoints: dict[str, ServerEndpoint] = {}

    def accept(self, exchange: Exchange) -> None:
        """Set the receiver of a new exchange, or refuse it."""
        request = exchange.request
        if request.target == AGENT_TARGET:
            exchange.receiver = ControlCall(exchange, self._servers, self._revoked)
            return
        server = self._servers.get(request.target)
        if server is None:
            exchange.reset(ErrorCode.REFUSED_STREAM, f"No server is called {request.target!r}.")
        elif request.kind is ExchangeKind.TRANSPARENT:
            self._endpoint(server).take(exchange)
        else:
            exchange.receiver = HubCall(exchange, server, self._room)

    def drain(self) -> None:
        """Begin nothing new, and end what would last; calls run on."""
        self._stopping.is_on = True
        for endpoint in self._endpoints.values():
            endpoint.end_streams()

    def stop(self) -> None:
        """Do nothing more of our own accord."""
        for endpoint in self._endpoints.values():
            endpoint.stop()
        self._keep_alive.stop()

    def _revoked(self, asker: Asker) -> None:
        for endpoint in self._endpoints.values():
            endpoint.end_sessions(asker)

    def _endpoint(self, server: LocalServer) -> ServerEndpoint:
        name = server.status.name
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            endpoint = self._endpoints[name] = ServerEndpoint(
                self._reactor,
                server,
                random=self._random,
                keep_alive=self._keep_alive,
                draining=self._stopping,
                room=self._room,
                max_bytes=self._max_request_bytes,
            )
        return endpoint
