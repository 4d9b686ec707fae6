"""Links over WebSocket (RFC 6455), by Autobahn: the relay takes them in, the agent dials them.

`upgrade` turns a request of twisted.web's into a link, `connect` makes one. Autobahn's timers, log
and HTTP errors are replaced: only the given reactor is used, and no credential can reach a log.
"""

import re
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
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import (
    IDelayedCall,
    IOpenSSLClientConnectionCreator,
    IPushProducer,
    IReactorTime,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.ssl import optionsForClientTLS
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from twisted.web.http import Request
from zope.interface import implementer

from mcptunnel import __version__
from mcptunnel.net.errors import BadHandshake, ConnectFailed, RefusalReader, printable
from mcptunnel.net.link import (
    CLOSE_INTERNAL_ERROR,
    CLOSE_NORMAL,
    CLOSE_UNSUPPORTED_DATA,
    Link,
    LinkAddress,
    LinkLost,
    LinkReceiver,
    check_headers,
)
from mcptunnel.net.listen import handshake_key, refuse, take_over
from mcptunnel.wire.constants import SUBPROTOCOL

MAX_MESSAGE_BYTES = 1024 * 1024
CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 3.0
REFUSAL_TIMEOUT_S = 2.0
MAX_ANSWER_HEAD_BYTES = 16 * 1024
MAX_REASON_BYTES = 123

# RFC 6455, section 7.4: what an endpoint may send, and what is free for applications.
_CLOSE_CODES = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}

_log = Logger()


def native_masking() -> bool:
    """Whether Autobahn's compiled code masks frames; without it 64 KiB cost 5 ms of CPU."""
    return bool(USES_NVX)


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
        protocol: Any = self._protocol
        if protocol.state == WebSocketProtocol.STATE_OPEN:
            protocol.sendMessage(message, isBinary=True)

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
    """What both ends share. Only forwards, between Autobahn and the receiver.

    It is the transport's producer, so that it hears when the transport's buffer is full. Overrides
    that seem to add nothing save Autobahn's formatting of disabled log messages for each message.
    """

    log: Any = _QuietLog()
    transport: Any
    utf8validateIncoming = False  # text is refused anyway
    failByDrop = False  # the peer is to hear why
    webStatus = False
    openHandshakeTimeout = 0  # Autobahn's own timers would run on the global reactor
    closeHandshakeTimeout = 0
    serverConnectionDropTimeout = 0

    def __init__(
        self, receiver: LinkReceiver, reactor: IReactorTime, max_message_bytes: int
    ) -> None:
        super().__init__()
        self.maxMessagePayloadSize = max_message_bytes
        self.maxFramePayloadSize = max_message_bytes
        self._receiver = receiver
        self._reactor = reactor
        self._close_timer: IDelayedCall | None = None
        self._link: WebSocketLink | None = None
        self._paused = False

    # Twisted calls these.

    def connectionMade(self) -> None:
        address = self.transport.getPeer()
        known = isinstance(address, IPv4Address | IPv6Address)
        self.peer = f"{address.host}:{address.port}" if known else "unknown"
        with suppress(AttributeError, OSError):  # no TCP: a socket path, or memory
            self.transport.setTcpNoDelay(True)
        self._connectionMade()

    def dataReceived(self, data: bytes) -> None:
        self._dataReceived(data)

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
            self._tell(self._receiver.link_resumed)

    def stopProducing(self) -> None:
        """The connection is lost; `connectionLost` says so."""

    # Autobahn calls these.

    def onOpen(self) -> None:
        for handshake in ("http_request_data", "http_response_data", "http_headers"):
            self.__dict__.pop(handshake, None)  # memory, and credentials
        self._link = WebSocketLink(self, self.peer)
        self.transport.registerProducer(self, True)
        self._tell(self._receiver.link_made, self._link)

    def onMessageBegin(self, isBinary: bool) -> None:
        super().onMessageBegin(isBinary)
        if not isBinary and self.state == self.STATE_OPEN:
            self._fail_connection(CLOSE_UNSUPPORTED_DATA, "only binary messages are understood")

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

    def abort(self, why: str) -> None:
        """Drop the connection and what it has not sent."""
        self.wasNotCleanReason: Any = why
        self.dropConnection(abort=True)

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


@cache
def _shared_factory(protocol: Any, factory: Any) -> Any:
    """Make the one factory for all protocols of a class; it holds nothing of a link's.

    The class gets its options, or Autobahn would copy them into each instance and format them for
    its log: most of the cost of a connection. (Each factory also reseeds `random`.)
    """
    made = factory(reactor=object(), protocols=[SUBPROTOCOL])
    made.server = ""
    for name in protocol.CONFIG_ATTRS:
        if not hasattr(protocol, name):
            option = getattr(made, name)
            setattr(protocol, name, staticmethod(option) if callable(option) else option)
    protocol.CONFIG_ATTRS = ()
    return made


# The relay's side.


class _ServerProtocol(_LinkProtocol, WebSocketServerProtocol):  # type: ignore[misc]  # Autobahn's own bases disagree
    """The end that was dialled."""

    def onConnect(self, _request: object) -> str:
        return SUBPROTOCOL


def upgrade(
    request: Request,
    receiver: LinkReceiver,
    *,
    reactor: IReactorTime,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
) -> None:
    """Make a link of a request that the caller has authenticated, perhaps not in the same turn.

    From here on the request is finished; do not touch it (in a resource, return NOT_DONE_YET). If
    it is no good handshake it is answered with 400, 403, 405 or 426 and JSON, and the receiver
    hears nothing; nor does it if the client is gone already. What the client sent after its
    request is not lost. `max_message_bytes` holds both ways: to send more raises.
    """
    channel: Any = request.channel
    if not channel or request.finished:
        return
    try:
        key = handshake_key(request)
    except BadHandshake as error:
        refuse(request, error)
        return
    protocol: Any = _ServerProtocol(receiver, reactor, max_message_bytes)
    protocol.factory = _shared_factory(_ServerProtocol, WebSocketServerFactory)
    transport, rest = take_over(request, channel)
    if isinstance(transport, ProtocolWrapper):  # TLS
        transport.wrappedProtocol = protocol
    else:
        transport.protocol = protocol
    protocol.makeConnection(transport)
    transport.resumeProducing()  # it is paused if the client sent much while it waited
    # The request as Autobahn wants it: checked, and without the credential.
    protocol.dataReceived(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\nSec-WebSocket-Protocol: %b\r\n\r\n"
        % (key, SUBPROTOCOL.encode())
    )
    if rest:
        protocol.dataReceived(rest)


# The agent's side.


class _ClientProtocol(_LinkProtocol, WebSocketClientProtocol):  # type: ignore[misc]  # as above
    """The end that dials. `opened` says how it went."""

    _STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})[ \r]")

    def __init__(
        self,
        receiver: LinkReceiver,
        reactor: IReactorTime,
        max_message_bytes: int,
        handshake: ConnectingRequest,
    ) -> None:
        super().__init__(receiver, reactor, max_message_bytes)
        self._handshake: ConnectingRequest | None = handshake
        self._where = f"{handshake.host}:{handshake.port}"
        self._answer = b""
        self._refusal: RefusalReader | None = None
        self._refusal_timer: IDelayedCall | None = None
        self._outcome: Link | Exception | None = None
        self._waiter: Deferred[Link] | None = None

    def opened(self) -> Deferred[Link]:
        """Fire with the link when it is up. Fails with ConnectFailed or UpgradeRefused."""
        self._waiter = Deferred(lambda _waiter: self.abort("cancelled"))
        self._report()
        return self._waiter

    def _settle(self, outcome: Link | Exception) -> None:
        if self._outcome is None:
            self._outcome = outcome
            self._report()

    def _report(self) -> None:
        waiter, outcome = self._waiter, self._outcome
        if waiter is None or waiter.called or outcome is None:
            return
        if isinstance(outcome, Exception):
            waiter.errback(outcome)
        else:
            waiter.callback(outcome)

    def _give_up(self, error: Exception) -> None:
        self._settle(error)
        self.abort(str(error))

    # Twisted and Autobahn call these.

    def onConnecting(self, _details: object) -> ConnectingRequest | None:
        handshake, self._handshake = self._handshake, None
        return handshake

    def dataReceived(self, data: bytes) -> None:
        if self.state == self.STATE_CONNECTING:
            self._answer_received(data)
        else:
            self._dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._refusal_timer is not None:
            self._refused()
        self._settle(ConnectFailed.because(self._where, reason.value))
        super().connectionLost(reason)

    def failHandshake(self, reason: str) -> None:
        self._give_up(ConnectFailed(f"{self._where}: the answer is no good handshake, {reason}"))

    def onConnect(self, response: Any) -> None:
        if response.protocol != SUBPROTOCOL:
            self.failHandshake(f"it does not speak {SUBPROTOCOL}")

    def onOpen(self) -> None:
        if self.state == self.STATE_OPEN:
            super().onOpen()
            if self._link is not None:
                self._settle(self._link)

    # The answer to our request, before it is Autobahn's.

    def _answer_received(self, data: bytes) -> None:
        if self._refusal is not None:
            if self._refusal.is_complete_with(data):
                self._refused()
            return
        self._answer += data
        while self.state == self.STATE_CONNECTING:
            head, ended, rest = self._answer.partition(b"\r\n\r\n")
            match = self._STATUS_LINE.match(self._answer)
            hopeless = (ended and match is None) or len(head) > MAX_ANSWER_HEAD_BYTES
            if hopeless or not b"HTTP/1.".startswith(self._answer[:7]):
                self._give_up(ConnectFailed(f"{self._where}: the answer is not HTTP"))
            elif match is None or not ended:
                return
            elif match[1] == b"101":
                self._accepted()
            elif match[1].startswith(b"1"):
                self._answer = rest  # informational; the answer follows
            else:
                self._refusal = RefusalReader(int(match[1]), head)
                self._refusal_timer = self._reactor.callLater(REFUSAL_TIMEOUT_S, self._refused)
                self._answer_received(rest)
                return

    def _accepted(self) -> None:
        answer, self._answer = self._answer, b""
        try:
            self._dataReceived(answer)
        except Exception as error:  # noqa: BLE001 - Autobahn trips over some malformed heads
            self.failHandshake(printable(str(error)))

    def _refused(self) -> None:
        timer, self._refusal_timer = self._refusal_timer, None
        if timer is not None and timer.active():
            timer.cancel()
        if self._refusal is not None:
            self._give_up(self._refusal.error())


class _Dialling(Factory):
    """Makes a protocol for each TCP connection: the addresses of a host race."""

    noisy = False

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self.reached = "no connection"

    def buildProtocol(self, _address: object) -> Any:
        self.reached = "connected, but no answer"
        protocol = self._make()
        protocol.factory = _shared_factory(_ClientProtocol, WebSocketClientFactory)
        return protocol


async def connect(
    url: str,
    *,
    receiver: LinkReceiver,
    reactor: Any,
    headers: Mapping[str, str],
    timeout_s: float = CONNECT_TIMEOUT_S,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
    tls_options: IOpenSSLClientConnectionCreator | None = None,
) -> Link:
    """Dial a relay and return the link; the receiver has heard `link_made` by then.

    `url` is http, https, ws or wss. `timeout_s` is for everything: name, TCP, TLS and handshake.
    `tls_options` replaces `optionsForClientTLS(host)`, as for a private authority.

    Raises ConnectFailed (temporary), UpgradeRefused (an HTTP answer), and ValueError for a URL or
    header that cannot be used. Cancelling drops the connection; the receiver hears nothing then.
    """
    address = LinkAddress.parse(url)
    handshake = _handshake(address, headers)

    def make() -> _ClientProtocol:
        return _ClientProtocol(receiver, reactor, max_message_bytes, handshake)

    def timed_out(result: Any, _timeout_s: float) -> Any:
        if isinstance(result, Failure) and isinstance(result.value, CancelledError):
            raise ConnectFailed(f"{address}: {dialling.reached} within {timeout_s:g} s")
        return result

    endpoint: Any = HostnameEndpoint(reactor, address.host, address.port, timeout=timeout_s)
    if address.is_secure:
        endpoint = wrapClientTLS(tls_options or optionsForClientTLS(address.host), endpoint)
    dialling = _Dialling(make)
    attempt = Deferred.fromCoroutine(_attempt(endpoint, dialling, address))
    attempt.addTimeout(timeout_s, reactor, timed_out)
    return await attempt


async def _attempt(endpoint: Any, dialling: _Dialling, address: LinkAddress) -> Link:
    try:
        protocol: Any = await endpoint.connect(dialling)
    except ConnectingCancelledError:
        raise CancelledError from None
    except (ConnectError, OSError, ValueError) as error:
        raise ConnectFailed.because(str(address), error) from error
    link: Link = await protocol.opened()
    return link


def _handshake(address: LinkAddress, headers: Mapping[str, str]) -> ConnectingRequest:
    check_headers(headers)
    request: Any = ConnectingRequest
    return request(  # type: ignore[no-any-return]  # untyped in Autobahn
        host=address.host_field,
        port=address.port,
        resource=address.resource,
        headers=dict(headers),
        useragent=f"mcptunnel/{__version__}",
        protocols=[SUBPROTOCOL],
    )
