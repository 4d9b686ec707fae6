"""A client of one HTTP/1.1 server: connections are kept and used again."""

from collections import deque
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IOpenSSLClientConnectionCreator,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from mcptunnel.model import Headers
from mcptunnel.net.errors import ConnectFailed
from mcptunnel.net.http1.call import Call, ResponseReceiver
from mcptunnel.net.http1.connection import Connection, Sent
from mcptunnel.net.http1.request import Origin, RequestError, encode_head, parse_origin
from mcptunnel.net.http1.upload import Upload

MAX_IDLE = 16
IDLE_TIMEOUT_S = 4.0
"""Shorter than what servers allow (5 s is the shortest common default), so that we close first."""
CONNECT_TIMEOUT_S = 10.0


class Client:
    """Sends requests to the server at `base_url`, over as many connections as it takes.

    `max_connections` bounds them (None: no bound); further requests wait in order. At most
    `max_idle` connections are kept for `idle_timeout_s` after use. `connect_timeout_s` includes the
    TLS handshake. There is no time limit for responses: `Call.abort` is the caller's means.
    Certificates are verified against the platform's roots unless `tls_options` says otherwise.

    Raises RequestError if `base_url` cannot be used. Its path and query stand before those of
    every request.
    """

    def __init__(
        self,
        reactor: Any,
        base_url: str,
        *,
        max_connections: int | None = None,
        max_idle: int = MAX_IDLE,
        idle_timeout_s: float = IDLE_TIMEOUT_S,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        tls_options: IOpenSSLClientConnectionCreator | None = None,
    ) -> None:
        self.origin = parse_origin(base_url)
        self._reactor = reactor
        self._authority = self.origin.authority
        self._max_connections = max_connections
        self._max_idle = max_idle
        self._idle_timeout_s = idle_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._endpoint = _endpoint(reactor, self.origin, connect_timeout_s, tls_options)
        self._factory = _ConnectionFactory(self)
        self._connections: set[Connection] = set()
        self._idle: deque[Connection] = deque()
        self._opening: dict[Call, Deferred[Connection]] = {}
        self._waiting: deque[Call] = deque()
        self._sweeping: IDelayedCall | None = None
        self._closed: list[Deferred[None]] | None = None

    def request(
        self,
        method: str,
        path: str,
        headers: Headers,
        body: bytes | Upload,
        receiver: ResponseReceiver,
    ) -> Call:
        """Send a request, of which `receiver` gets the response.

        A body that is an `Upload` is written by the caller as it comes; its connection carries no
        other request. The response may come, and end, before the body has ended.

        `path` is empty or starts with "/", and may end with a query. Host, Content-Length and the
        fields about the connection are ours, those in `headers` are left out.

        A request is sent once. If a kept connection turns out to be closed before a byte was sent,
        a new one is made.

        Raises RequestError if method, path or headers cannot be sent, or the client is closed.
        """
        if self._closed is not None:
            raise RequestError("The client is closed")
        upload = body if isinstance(body, Upload) else None
        whole = b"" if isinstance(body, Upload) else body
        length_bytes = len(whole) if upload is None else upload.length_bytes
        target = self.origin.target(path)
        head = encode_head(method, target, self._authority, headers, length_bytes)
        call = Call(self, receiver, method, head + whole, upload)
        while self._idle:
            if self._idle.pop().start(call) is Sent.YES:
                return call
        self._waiting.append(call)
        self._open_next()
        return call

    async def close(self) -> None:
        """Close every connection; calls under way fail. Returns when all are closed."""
        if self._closed is None:
            self._closed = []
            if self._sweeping:
                self._sweeping.cancel()
                self._sweeping = None
            unsent = [*self._waiting, *self._opening]
            self._waiting.clear()
            for opening in list(self._opening.values()):
                opening.cancel()
            for call in unsent:
                call.fail("The client was closed", may_have_run=False)
            for connection in list(self._connections):
                connection.fail("The client was closed")
        if self._connections:
            closed: Deferred[None] = Deferred()
            self._closed.append(closed)
            await closed

    def _open_next(self) -> None:
        """Make connections for the calls that wait, within the bound."""
        while self._waiting:
            under_way = len(self._connections) + len(self._opening)
            if self._max_connections is not None and under_way >= self._max_connections:
                return
            call = self._waiting.popleft()
            opening = Deferred.fromCoroutine(self._connect())
            opening.addTimeout(self._connect_timeout_s, self._reactor, _timed_out)
            self._opening[call] = opening
            opening.addCallbacks(
                self._connected, self._not_connected, callbackArgs=(call,), errbackArgs=(call,)
            )

    async def _connect(self) -> Connection:
        await deferLater(self._reactor, 0)  # no receiver hears of a failure within `request`
        connection = await self._endpoint.connect(self._factory)
        if not isinstance(connection, Connection):
            raise TypeError(connection)
        await connection.ready
        return connection

    def _connected(self, connection: Connection, call: Call) -> None:
        del self._opening[call]
        if connection.start(call) is Sent.NOTHING:
            text = f"{self.origin}: the server closed the connection, or spoke before it was asked"
            call.fail(text, may_have_run=False)
        self._open_next()

    def _not_connected(self, failure: Failure, call: Call) -> None:
        del self._opening[call]
        text = str(ConnectFailed.because(str(self.origin), failure.value))
        call.fail(text, may_have_run=False)
        self._open_next()

    def withdraw(self, call: Call) -> None:
        """Forget a call that was aborted before it had a connection."""
        if call in self._opening:
            self._opening[call].cancel()
        else:
            self._waiting.remove(call)

    def connection_made(self, connection: Connection) -> None:
        """Count a new connection."""
        self._connections.add(connection)

    def connection_idle(self, connection: Connection) -> None:
        """Use a connection again, or keep it."""
        while self._waiting:
            call = self._waiting.popleft()
            if connection.start(call) is Sent.NOTHING:
                self._waiting.appendleft(call)
            return
        connection.idle_since_s = self._reactor.seconds()
        self._idle.append(connection)
        if len(self._idle) > self._max_idle:
            self._idle.popleft().close()
        if self._sweeping is None:
            self._sweeping = self._reactor.callLater(self._idle_timeout_s, self._sweep)

    def connection_lost(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._closed is None:
            self._open_next()
        elif not self._connections:
            closed, self._closed = self._closed, []
            for one in closed:
                one.callback(None)

    def _sweep(self) -> None:
        """Close what was idle for too long; runs only while something is."""
        self._sweeping = None
        oldest_s = self._reactor.seconds() - self._idle_timeout_s
        while self._idle and self._idle[0].idle_since_s <= oldest_s:
            self._idle.popleft().close()
        if self._idle:
            delay_s = self._idle[0].idle_since_s - oldest_s
            self._sweeping = self._reactor.callLater(delay_s, self._sweep)


class _ConnectionFactory(Factory):
    noisy = False

    def __init__(self, client: Client) -> None:
        self._client = client

    def buildProtocol(self, _addr: IAddress | None) -> Connection:
        return Connection(self._client, secure=self._client.origin.secure)


def _timed_out(result: object, _timeout_s: float) -> object:
    """Tell a timeout apart from a call that was aborted."""
    if isinstance(result, Failure) and isinstance(result.value, CancelledError):
        raise ConnectTimeoutError
    return result


def _endpoint(
    reactor: Any,
    origin: Origin,
    timeout_s: float,
    tls_options: IOpenSSLClientConnectionCreator | None,
) -> IStreamClientEndpoint:
    tcp = HostnameEndpoint(reactor, origin.host, origin.port, timeout=timeout_s)
    if not origin.secure:
        return tcp
    return wrapClientTLS(tls_options or optionsForClientTLS(origin.host), tcp)
