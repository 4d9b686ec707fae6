"""What relay and agent tell each other beside calls: exchanges on reserved targets.

`@relay` `POST /servers` (agent to relay): all servers and their state.
`@agent` `POST /restart` (relay to agent): restart one configured server, or all of them.
`@agent` `POST /revoked` (relay to agent): end the sessions of the client that the head names.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mcptunnel.agent.servers.interfaces import LocalServer
from mcptunnel.mcp.announcement import ServerState, ServerStatus
from mcptunnel.mcp.service import Asker
from mcptunnel.model import ExchangeKind, RequestHead, ResponseHead
from mcptunnel.net.errors import printable
from mcptunnel.net.exchange import Exchange, ExchangeFailure, ExchangeReceiver
from mcptunnel.net.tunnel import Tunnel
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.errors import TooManyStreams

RELAY_TARGET = "@relay"
AGENT_TARGET = "@agent"
SERVERS_PATH = "/servers"
RESTART_PATH = "/restart"
REVOKED_PATH = "/revoked"
MAX_CONTROL_BYTES = 64 * 1024

_JSON = (("content-type", "application/json"),)


class _RestartOrder(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /restart`; no server means all of them."""

    server: str | None = None


class Announcer(ExchangeReceiver):
    """Keeps the relay informed of the servers: one announcement at a time, the newest state."""

    _log = Logger()

    def __init__(self, statuses: Callable[[], Sequence[ServerStatus]]) -> None:
        self._statuses = statuses
        self._tunnel: Tunnel | None = None
        self._exchange: Exchange | None = None
        self._stale = False

    def attach(self, tunnel: Tunnel) -> None:
        """Speak on this tunnel from now on, and tell everything."""
        self._tunnel = tunnel
        self._exchange = None
        self.announce()

    def detach(self) -> None:
        """Be silent: the tunnel is gone, or about to go."""
        exchange, self._tunnel, self._exchange = self._exchange, None, None
        if exchange is not None:
            exchange.reset(ErrorCode.CANCEL, "no longer of interest")

    def announce(self) -> None:
        """Tell the relay, now or when the announcement under way is answered."""
        tunnel = self._tunnel
        if tunnel is None or not tunnel.is_open:
            return
        if self._exchange is not None:
            self._stale = True
            return
        self._stale = False
        head = RequestHead(
            RELAY_TARGET, "POST", SERVERS_PATH, headers=_JSON, kind=ExchangeKind.CONTROL
        )
        try:
            self._exchange = exchange = tunnel.open(head, self)
        except TooManyStreams as error:
            self._log.warn("the relay did not take our servers: {error}", error=str(error))
            return
        exchange.write(msgspec.json.encode({"servers": list(self._statuses())}))
        exchange.end()

    def head_received(self, head: ResponseHead) -> None:
        if head.status != 204:  # noqa: PLR2004 - RFC 9110, "No Content"
            self._log.warn("the relay did not take our servers: {status}", status=head.status)

    def ended(self) -> None:
        self._answered()

    def failed(self, failure: ExchangeFailure) -> None:
        self._log.warn("the relay did not take our servers: {text}", text=printable(failure.text))
        self._answered()

    def _answered(self) -> None:
        self._exchange = None
        if self._stale:
            self.announce()


class ControlCall(ExchangeReceiver):
    """An order of the relay. It can restart servers that are configured here, and end clients' sessions.

    `revoked` hears who may come no more.
    """

    _log = Logger()

    def __init__(
        self,
        exchange: Exchange,
        servers: Mapping[str, LocalServer],
        revoked: Callable[[Asker], None],
    ) -> None:
        self._exchange = exchange
        self._servers = servers
        self._revoked = revoked
        self._body = b""

    def data_received(self, data: bytes) -> None:
        self._exchange.consumed(len(data))
        self._body += data
        if len(self._body) > MAX_CONTROL_BYTES:
            self._exchange.reset(ErrorCode.REFUSED_STREAM, "The order is too large.")

    def ended(self) -> None:
        request = self._exchange.request
        order = (request.method, request.path)
        if order == ("POST", RESTART_PATH):
            self._restart()
        elif order == ("POST", REVOKED_PATH):
            self._revoked(Asker(request.principal, request.client))
            self._answer(200, "its sessions have ended")
        else:
            self._answer(404, f"unknown order {request.method} {request.path}")

    def _restart(self) -> None:
        try:
            order = msgspec.json.decode(self._body, type=_RestartOrder)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            self._answer(400, str(error))
            return
        if order.server is not None and order.server not in self._servers:
            there = ", ".join(self._servers)
            self._answer(404, f"no server is called {order.server!r}; there are: {there}")
            return
        names = list(self._servers) if order.server is None else [order.server]
        errors = "".join(map(self._last_error, names))
        for name in names:
            restarting = Deferred.fromCoroutine(self._servers[name].restart())
            restarting.addErrback(lambda failure: self._log.failure("cannot restart", failure))
        self._answer(200, f"restarting {', '.join(names)}{errors}")

    def _last_error(self, name: str) -> str:
        """Return a sentence about what is wrong with a server, or nothing."""
        status = self._servers[name].status
        if status.state is not ServerState.FAILED:
            return ""
        return f". The last error of {name}: {status.detail}"

    def _answer(self, status: int, message: str) -> None:
        self._exchange.send_head(ResponseHead(status, _JSON))
        self._exchange.write(msgspec.json.encode({"message": message}))
        self._exchange.end()
