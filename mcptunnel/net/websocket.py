"""Links over WebSocket (RFC 6455): Autobahn's protocols, for both ends, with what is ours in place.

`net.upgrade` and `net.dial` make them. Autobahn's timers, log and HTTP errors are replaced: only
the given reactor is used, and no credential can reach a log.
"""

import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from autobahn.websocket import USES_NVX
from autobahn.websocket.protocol import WebSocketProtocol
from autobahn.websocket.types import ConnectingRequest
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
)
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from zope.interface import implementer

from mcptunnel import __version__
from mcptunnel.net.errors import printable
from mcptunnel.net.frames import MAX_PIECES, MessageReader, head_of, masked
from mcptunnel.net.link import (
    BUFFER_BYTES,
    CLOSE_INTERNAL_ERROR,
    CLOSE_NORMAL,
    CLOSE_UNSUPPORTED_DATA,
    LinkLost,
    LinkReceiver,
)
from mcptunnel.net.listen import address_text
from mcptunnel.net.opening import Opening
from mcptunnel.net.pace import TokenBucket
from mcptunnel.wire.constants import KIB, SUBPROTOCOL

MAX_MESSAGE_BYTES = 1024 * 1024
CLOSE_TIMEOUT_S = 3.0
UNSENT_BYTES = 128 * KIB
MASKS_NATIVELY: bool = USES_NVX
"""Without Autobahn's compiled part every byte that is masked costs some 80 ns: 12 MB a second."""
MAX_REASON_BYTES = 123

MAX_FRAGMENTS = 1024
"""Of one message (RFC 6455, section 5.4); a proxy may cut messages, but not into splinters."""

CONTROL_BURST = 1024
CONTROL_PER_S = 64.0
"""WebSocket pings and pongs that are taken: those of proxies come every few seconds."""

CLOSE_POLICY_VIOLATION = 1008

_CLOSE_FRAME = b"\x88"
_MASKED = 0x80

# RFC 6455, section 7.4: what an endpoint may send, and what is free for applications.
_CLOSE_CODES = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}

_log = Logger()


class WebSocketLink:
    """One end of a WebSocket (`net.link.Link`)."""

    __slots__ = ("_peer", "_protocol")

    def __init__(self, protocol: "_LinkProtocol", peer: str) -> None:
        self._protocol = protocol
        self._peer = peer

    @property
    def peer(self) -> str:
        return self._peer

    def send_message(self, message: bytes) -> None:
        if self._protocol.state == WebSocketProtocol.STATE_OPEN:
            self._protocol.send_message(message)

    def close(self, code: int = CLOSE_NORMAL, reason: str = "") -> None:
        if code not in _CLOSE_CODES:
            raise ValueError(f"{code} is no close code that may be sent")
        if self._protocol.state == WebSocketProtocol.STATE_OPEN:
            said = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore").encode()
            self._protocol.sendCloseFrame(code, said)

    def abort(self) -> None:
        self._protocol.abort("aborted")


class _QuietLog:
    """Stands in for Autobahn's logger: how a link ended is told to its receiver, not logged."""

    error = _log.error

    def debug(self, *_message: object, **_fields: object) -> None:
        pass

    trace = info = warn = debug


@implementer(IPushProducer)
class _LinkProtocol(WebSocketProtocol):
    """What both ends share. Only forwards, between the connection and the receiver.

    Messages pass by Autobahn, see `net.frames`; it has the handshakes, control frames, and what peers
    send that is unusual or wrong. It is the transport's producer, so that it hears when the transport's
    buffer is full.
    """

    log: Any = _QuietLog()
    transport: Any
    utf8validateIncoming = False  # text is refused anyway
    failByDrop = False  # the peer is to hear why
    webStatus = False
    openHandshakeTimeout = 0  # Autobahn's own timers would run on the global reactor
    closeHandshakeTimeout = 0
    serverConnectionDropTimeout = 0
    sends_masked: bool

    def __init__(
        self, receiver: LinkReceiver, reactor: IReactorTime, max_message_bytes: int
    ) -> None:
        super().__init__()
        protocol: Any = type(self)
        self.factory = _shared_factory(protocol)
        self.maxMessagePayloadSize = max_message_bytes
        self.maxFramePayloadSize = max_message_bytes
        self._receiver = receiver
        self._reactor = reactor
        self._close_timer: IDelayedCall | None = None
        self._link: WebSocketLink | None = None
        self._paused = False
        self._owed_pong: bytes | None = None
        self._control_frames = TokenBucket(CONTROL_BURST, CONTROL_PER_S)
        self._max_message_bytes = max_message_bytes
        self._reader = MessageReader(
            are_masked=not self.sends_masked, max_message_bytes=max_message_bytes
        )
        self._is_between_messages = False  # and after the handshake, as Autobahn sees it

    # Twisted calls these.

    def connectionMade(self) -> None:
        self.peer = address_text(self.transport.getPeer())
        with suppress(AttributeError, OSError):  # no TCP: a socket path, or memory
            self.transport.setTcpNoDelay(True)
        self._connectionMade()

    def dataReceived(self, data: bytes) -> None:
        if not self._is_between_messages:
            self._leave_to_autobahn(data)
            return
        messages, rest = self._reader.read(data)
        for message in messages:
            if self.state == self.STATE_OPEN:
                self._tell(self._receiver.message_received, message)
        if rest:
            self._leave_to_autobahn(rest)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._close_timer is not None:
            self._close_timer.cancel()
            self._close_timer = None
        self._connectionLost(reason)  # type: ignore[arg-type]  # Autobahn's annotation is wrong

    def pauseProducing(self) -> None:
        if not self._paused:
            self._paused = True
            self._tell(self._receiver.link_paused)

    def resumeProducing(self) -> None:
        if self._paused:
            self._paused = False
            owed, self._owed_pong = self._owed_pong, None
            if owed is not None:
                self.sendPong(owed)
            self._tell(self._receiver.link_resumed)

    def stopProducing(self) -> None:
        """The connection is lost; `connectionLost` says so."""

    # Autobahn calls these.

    def onOpen(self) -> None:
        for handshake in ("http_request_data", "http_response_data", "http_headers"):
            self.__dict__.pop(handshake, None)  # memory, and credentials
        self._link = WebSocketLink(self, self.peer)
        _set_buffer(self.transport)
        self.transport.registerProducer(self, True)
        self._tell(self._receiver.link_made, self._link)

    def onPing(self, payload: bytes) -> None:
        """Answer; of many, a peer that does not read gets the last answer only (section 5.5.3)."""
        if self._is_flooded():
            return
        if self._paused:
            self._owed_pong = payload
        else:
            self.sendPong(payload)

    def onPong(self, _payload: bytes) -> None:
        """Pass over it: we never ask."""
        self._is_flooded()

    def _is_flooded(self) -> bool:
        """Count a control frame; end the link if there were too many."""
        flooded = not self._control_frames.take(self._reactor.seconds())
        if flooded and self.state == self.STATE_OPEN:
            self._fail_connection(CLOSE_POLICY_VIOLATION, "too many pings or pongs")
        return flooded

    def onMessageBegin(self, isBinary: bool) -> None:
        super().onMessageBegin(isBinary)
        if not isBinary and self.state == self.STATE_OPEN:
            self._fail_connection(CLOSE_UNSUPPORTED_DATA, "only binary messages are understood")

    def onMessageFrameData(self, payload: bytes) -> None:
        if not self.failedByMe:
            pieces = self.frame_data
            pieces.append(payload)
            if len(pieces) > MAX_PIECES:
                self.frame_data = [b"".join(pieces)]

    def onMessageFrame(self, payload: Any) -> None:
        """Take a frame, whole; empty ones count as well, or there could be any number of them."""
        if not self.failedByMe:
            fragments = self.message_data
            fragments.append(payload[0] if len(payload) == 1 else b"".join(payload))
            if len(fragments) > MAX_FRAGMENTS:
                self._fail_connection(CLOSE_POLICY_VIOLATION, "a message in too many fragments")

    def onMessageEnd(self) -> None:
        parts, self.message_data = self.message_data, []
        if self.state == self.STATE_OPEN:
            self._tell(self._receiver.message_received, b"".join(parts))

    def sendData(self, data: bytes, _sync: bool = False, _chopsize: int | None = None) -> None:
        self.transport.write(data)

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        super().sendCloseFrame(code, reasonUtf8, isReply)
        if self._close_timer is None:
            self._close_timer = self._reactor.callLater(CLOSE_TIMEOUT_S, self._close_timed_out)

    def onClose(self, wasClean: bool, _code: int | None, _reason: str | None) -> None:
        link, self._link = self._link, None
        if link is None:
            return
        ours = self.closedByMe
        code: Any = self.localCloseCode if ours else self.remoteCloseCode
        said: Any = self.localCloseReason if ours else self.remoteCloseReason
        text = said.decode() if isinstance(said, bytes) else said or ""
        if not (text or wasClean):
            text = str(self.wasNotCleanReason)
        self._tell(self._receiver.link_lost, LinkLost(wasClean, code, printable(text)))

    # We call these.

    def send_message(self, message: bytes) -> None:
        """Send a message on an open connection. Raises ValueError if it is too long."""
        if len(message) > self._max_message_bytes:
            raise ValueError(f"a message has at most {self._max_message_bytes} bytes")
        if self.sends_masked:
            self.transport.write(masked(message))
        else:
            self.transport.writeSequence((head_of(len(message)), message))

    def abort(self, why: str) -> None:
        """Drop the connection and what it has not sent."""
        self.wasNotCleanReason: Any = why
        self.dropConnection(abort=True)

    def _leave_to_autobahn(self, data: bytes) -> None:
        self._dataReceived(data)
        self._is_between_messages = self.state in (self.STATE_OPEN, self.STATE_CLOSING) and not (
            self.data or self.inside_message or self.current_frame
        )

    def _close_timed_out(self) -> None:
        self._close_timer = None
        if not self.wasClean:
            self.wasNotCleanReason = "the peer did not answer the closing handshake"
        self.transport.abortConnection()

    def _tell(self, event: Callable[..., None], *values: object) -> None:
        try:
            event(*values)
        except Exception:  # noqa: BLE001 - a receiver's mistake ends its link and nothing else
            _log.failure("the receiver of the link to {peer} failed", peer=self.peer)
            if self.state == self.STATE_OPEN:
                self._fail_connection(CLOSE_INTERNAL_ERROR, "internal error")


def _set_buffer(transport: Any) -> None:
    """Let the socket be read, and written, in pieces that hold a whole message.

    And let the system take little more than the network does: what it holds is out of our sight, and in
    the way of what is more urgent.
    """
    while isinstance(transport, ProtocolWrapper):  # TLS
        transport = transport.transport
    transport.bufferSize = BUFFER_BYTES
    with suppress(AttributeError, OSError):  # an older system, or no TCP
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)


@cache
def _shared_factory(protocol: Any) -> Any:
    """Make the one factory for all protocols of a class; it holds nothing of a link's.

    The class gets its options, or Autobahn would copy them into each instance and format them for
    its log: most of the cost of a connection. (Each factory also reseeds `random`.)
    """
    made = protocol.FACTORY(reactor=object(), protocols=[SUBPROTOCOL])
    made.server = ""
    for name in protocol.CONFIG_ATTRS:
        if not hasattr(protocol, name):
            option = getattr(made, name)
            setattr(protocol, name, staticmethod(option) if callable(option) else option)
    protocol.CONFIG_ATTRS = ()
    return made


class ServerProtocol(_LinkProtocol, WebSocketServerProtocol):  # type: ignore[misc]  # Autobahn's own bases disagree
    """The end that was dialled."""

    FACTORY = WebSocketServerFactory
    sends_masked = False

    def onConnect(self, _request: object) -> str:
        return SUBPROTOCOL

    def _protocol_violation(self, reason: str) -> bool:
        """Fail the link; but a CLOSE without a mask only drops it.

        No agent sends that: proxies do for one that has not gone, when they are reloaded (Caddy until
        2.6.2). The mask keeps messages from being read as something else (RFC 6455, section 10.3), and
        here nothing is read. What the link carried can go on over the next one.
        """
        if self.data[:1] != _CLOSE_FRAME or self.data[1] & _MASKED:
            return bool(super()._protocol_violation(reason))
        self.abort("closed by something on the way")
        return True


@implementer(IHandshakeListener)
class ClientProtocol(_LinkProtocol, WebSocketClientProtocol):  # type: ignore[misc]  # as above
    """The end that dials, and sends `handshake`. `opening` says how it went.

    `is_encrypted` says that there is a TLS connection.
    """

    FACTORY = WebSocketClientFactory
    sends_masked = True
    is_encrypted = False

    def __init__(
        self,
        receiver: LinkReceiver,
        reactor: IReactorTime,
        max_message_bytes: int,
        handshake: ConnectingRequest,
    ) -> None:
        super().__init__(receiver, reactor, max_message_bytes)
        self._handshake: ConnectingRequest | None = handshake
        self.opening = Opening(f"{handshake.host}:{handshake.port}", reactor, self.abort)

    def handshakeCompleted(self) -> None:
        self.is_encrypted = True

    def onConnecting(self, _details: object) -> ConnectingRequest | None:
        handshake, self._handshake = self._handshake, None
        return handshake

    def dataReceived(self, data: bytes) -> None:
        if self.state != self.STATE_CONNECTING:
            super().dataReceived(data)
            return
        answer = self.opening.accepted_with(data)
        try:
            if answer is not None:
                super().dataReceived(answer)
        except Exception as error:  # noqa: BLE001 - Autobahn trips over some malformed heads
            self.failHandshake(printable(str(error)))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.opening.connection_lost(reason.value)
        super().connectionLost(reason)

    def failHandshake(self, reason: str) -> None:
        self.opening.fail(f"the answer is no good handshake, {reason}")

    def onConnect(self, response: Any) -> None:
        if response.protocol != SUBPROTOCOL:
            self.failHandshake(f"it does not speak {SUBPROTOCOL}")

    def onOpen(self) -> None:
        if self.state == self.STATE_OPEN:
            super().onOpen()
            if self._link is not None:
                self.opening.settle(self._link)


def opening_handshake(host: str, port: int, resource: str, headers: Mapping[str, str]) -> Any:
    """Return the request that a client sends. `host` is as the Host header has it."""
    return ConnectingRequest(
        host=host,
        port=port,
        resource=resource,
        headers=dict(headers),
        useragent=f"mcptunnel/{__version__}",
        protocols=[SUBPROTOCOL],
    )
