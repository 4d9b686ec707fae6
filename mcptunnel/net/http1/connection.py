"""One connection to a server, and one request with its response on it.

May a request have run? It certainly did not if not one of its bytes was handed to the kernel.
On a plain connection that is known: we look whether the server has closed before we send, and send
without a buffer in between. A connection that ends later, without an answer, proves nothing: the
server may have read the request and then died.
"""

import socket
from enum import Enum, auto
from typing import Any
from typing import Protocol as Interface

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mcptunnel.model import ResponseHead
from mcptunnel.net.http1.call import Call, CallOwner
from mcptunnel.net.http1.parser import End, Event, ResponseError, ResponseParser


class ConnectionOwner(CallOwner, Interface):
    """The client that a connection belongs to."""

    def connection_made(self, connection: "Connection") -> None: ...

    def connection_idle(self, connection: "Connection") -> None: ...

    def connection_lost(self, connection: "Connection") -> None: ...


class Sent(Enum):
    """What became of a request that was to be sent."""

    YES = auto()
    NOTHING = auto()
    """The connection had ended before; not a byte was sent."""


@implementer(IHandshakeListener)
class Connection(Protocol):
    """A connection that carries one request at a time. `ready` fires when it may carry the first.

    `idle_since_s` is for the owner's book-keeping.
    """

    transport: Any  # Twisted's type knows only writing
    _log = Logger()

    def __init__(self, owner: ConnectionOwner, *, secure: bool) -> None:
        self.ready: Deferred[None] = Deferred(lambda _: self.close())
        self.idle_since_s = 0.0
        self._owner = owner
        self._secure = secure
        self._socket: socket.socket | None = None
        self._call: Call | None = None
        self._parser: ResponseParser
        self._answered = False
        self._usable = True
        self._lost = False

    def connectionMade(self) -> None:
        self._owner.connection_made(self)
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        if not self._secure:
            handle = self.transport.getHandle()
            self._socket = handle if isinstance(handle, socket.socket) else None
            self.ready.callback(None)

    def handshakeCompleted(self) -> None:
        if not self.ready.called:
            self.ready.callback(None)

    def start(self, call: Call) -> Sent:
        """Send a request; the call's receiver gets the response. One at a time."""
        if self._lost or not self._usable or self._send(call.request) is Sent.NOTHING:
            self.close()
            return Sent.NOTHING
        self._call = call
        self._parser = ResponseParser(call.method)
        self._answered = False
        call.request = b""
        call.attach(self)
        if call.paused:
            self.pause()
        if call.upload is not None:
            # Nobody tells when the last of it has left the transport's buffer; see `_send`.
            self._usable = False
            call.upload.attach(self.transport)
        return Sent.YES

    def _send(self, request: bytes) -> Sent:
        if self._socket is None:
            self.transport.write(request)
            return Sent.YES
        try:
            if _is_readable(self._socket):
                return Sent.NOTHING
            sent = self._socket.send(request)
        except BlockingIOError:
            sent = 0
        except OSError:
            return Sent.NOTHING
        if sent < len(request):
            # What follows is behind the transport's buffer, where `send` would overtake it.
            self._usable = False
            self.transport.write(request[sent:])
        return Sent.YES

    def pause(self) -> None:
        """Stop reading."""
        self.transport.pauseProducing()

    def resume(self) -> None:
        """Read again."""
        self.transport.resumeProducing()

    def close(self) -> None:
        """Close at once; the owner hears of it through `connection_lost`."""
        self._usable = False
        self._call = None
        if self.transport and not self._lost:
            self.transport.abortConnection()

    def fail(self, text: str) -> None:
        """Close at once and tell the receiver of the call on it, if any."""
        call = self._call
        self.close()
        if call:
            call.fail(text, may_have_run=True)

    def dataReceived(self, data: bytes) -> None:
        if self._call is None:
            self.close()  # nobody asked: never let it pass for an answer to the next request
            return
        self._answered = True
        try:
            events = self._parser.feed(data)
        except ResponseError as error:
            self.fail(str(error))
            return
        self._deliver(self._call, events)

    def _deliver(self, call: Call, events: list[Event]) -> None:
        receiver = call.receiver
        try:
            for event in events:
                if call.done:
                    return
                if isinstance(event, bytes):
                    receiver.data_received(event)
                elif isinstance(event, ResponseHead):
                    receiver.head_received(event)
                else:
                    self._end(call, event)
                    receiver.ended()
        except Exception:  # noqa: BLE001  it must not stop the connection
            self._log.failure("The receiver of a response failed")
            call.abort()

    def _end(self, call: Call, end: End) -> None:
        """Let go of a finished call, and let the next one have the connection if that is sound."""
        call.over()
        self._call = None
        if not end.reusable or not self._usable:
            self.close()
            return
        if call.paused:
            self.resume()  # an idle connection must be read, or its end would not be seen
        self._owner.connection_idle(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        self._usable = False
        if not self.ready.called:
            self.ready.errback(reason)
        call = self._call
        if call:
            self._lost_within(call, reason)
        self._call = None
        self._owner.connection_lost(self)

    def _lost_within(self, call: Call, reason: Failure) -> None:
        text = "The server closed the connection without an answer"
        if self._answered:
            try:
                if isinstance(reason.value, ConnectionDone):
                    self._deliver(call, self._parser.feed_eof())
                    return
                text = f"The connection broke within the response: {reason.getErrorMessage()}"
            except ResponseError as error:
                text = str(error)
        self.fail(text)


def _is_readable(plain: socket.socket) -> bool:
    """Whether something came that nobody asked for: the end of the connection, or garbage."""
    try:
        plain.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    return True
