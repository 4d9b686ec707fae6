"""Both ends of a link without sockets, on a test clock, and either end by hand."""

import base64
import hashlib
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.test import iosim
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from mcptunnel.net.dial import connect
from mcptunnel.net.link import Link, LinkLost
from mcptunnel.net.upgrade import upgrade
from mcptunnel.net.websocket import MAX_MESSAGE_BYTES, WebSocketLink

KEY = base64.b64encode(b"0123456789abcdef").decode()

HANDSHAKE = {
    "Host": "relay.test",
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Protocol": "mcptunnel.1",
}


class Recorder:
    """A receiver that remembers what it heard, in order, and can fail at one kind of event."""

    def __init__(self, *, echo: bool = False, fails_at: str = "") -> None:
        self.events: list[Any] = []
        self.messages: list[bytes] = []
        self.lost: list[LinkLost] = []
        self._link: Link | None = None
        self._echo = echo
        self._fails_at = fails_at

    @property
    def link(self) -> Link:
        assert self._link is not None
        return self._link

    def _note(self, event: str) -> None:
        self.events.append(event)
        if event == self._fails_at:
            raise ZeroDivisionError(event)

    def link_made(self, link: Link) -> None:
        self._link = link
        self._note("made")

    def message_received(self, message: bytes) -> None:
        self.messages.append(message)
        if self._echo:
            self.link.send_message(message)
        self._note("message")

    def link_paused(self) -> None:
        self._note("paused")

    def link_resumed(self) -> None:
        self._note("resumed")

    def link_lost(self, reason: LinkLost) -> None:
        self.lost.append(reason)
        self._note("lost")


class Door(Resource):
    """A resource that makes links, at once or when told."""

    isLeaf = True

    def __init__(self, receiver: Recorder, reactor: Any, *, waits: bool = False) -> None:
        super().__init__()
        self.receiver = receiver
        self.reactor = reactor
        self.max_message_bytes = MAX_MESSAGE_BYTES
        self._waits = waits
        self.requests: list[Request] = []
        self.authorization: str | None = None

    def render(self, request: Any) -> int:
        self.authorization = request.getHeader("authorization")
        if self._waits:
            self.requests.append(request)
        else:
            self.open(request)
        return NOT_DONE_YET

    def open(self, request: Request) -> None:
        upgrade(
            request,
            self.receiver,
            reactor=self.reactor,
            max_message_bytes=self.max_message_bytes,
        )


class Resolver:
    """Resolves every name to one address, or to none."""

    def __init__(self, *, finds: bool) -> None:
        self._finds = finds

    def resolveHostName(self, receiver: Any, _name: str, port: int = 0, **_options: Any) -> Any:
        receiver.resolutionBegan(None)
        if self._finds:
            receiver.addressResolved(IPv4Address("TCP", "192.0.2.1", port))
        receiver.resolutionComplete()
        return None


def memory_reactor(*, finds: bool = True) -> Any:
    """Return a reactor without sockets and with a clock of its own."""
    reactor: Any = MemoryReactorClock()
    reactor.nameResolver = Resolver(finds=finds)
    return reactor


class Dialled:
    """A `connect` under way on a reactor without sockets."""

    def __init__(self, receiver: Recorder, reactor: Any = None, **options: Any) -> None:
        self.reactor = reactor or memory_reactor()
        self.outcome: list[Any] = []
        options.setdefault("headers", {"Authorization": "Bearer secret"})
        url = options.pop("url", "http://relay.test/tunnel?a=b")
        self.deferred = Deferred.fromCoroutine(
            connect(url, receiver=receiver, reactor=self.reactor, **options)
        )
        self.deferred.addBoth(self.outcome.append)
        self.pump: Any = None

    def join(self, server: Any) -> None:
        """Let the TCP connection come up, with `server` at its other end."""
        factory = self.reactor.tcpClients[-1][2]
        client = factory.buildProtocol(None)
        self.pump = iosim.connect(
            server,
            iosim.makeFakeServer(server),
            client,
            iosim.makeFakeClient(client),
            clock=self.reactor,
        )

    @property
    def link(self) -> Link:
        (link,) = self.outcome
        assert isinstance(link, WebSocketLink), link
        return link

    @property
    def error(self) -> Any:
        (failure,) = self.outcome
        assert isinstance(failure, Failure), failure
        return failure.value


class Joined:
    """A relay's and an agent's end, joined; `client` and `server` heard what happened."""

    def __init__(
        self, client: Recorder | None = None, server: Recorder | None = None, **options: Any
    ) -> None:
        self.client = client or Recorder()
        self.server = server or Recorder()
        self.dialled = Dialled(self.client, **options)
        self.reactor = self.dialled.reactor
        self.door = Door(self.server, self.reactor)
        self.site = Site(self.door, reactor=self.reactor)
        self.dialled.join(self.site.buildProtocol(None))

    @property
    def pump(self) -> Any:
        return self.dialled.pump

    def flush(self) -> None:
        self.pump.flush()


class Raw(Protocol):
    """The other end, by hand."""

    def __init__(self) -> None:
        self.received = b""
        self.is_lost = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        self.is_lost = True


class RawClient:
    """A client by hand against the relay's end."""

    def __init__(self, server: Recorder | None = None, *, waits: bool = False) -> None:
        self.reactor = memory_reactor()
        self.server = server or Recorder()
        self.door = Door(self.server, self.reactor, waits=waits)
        self.raw = Raw()
        channel: Any = Site(self.door, reactor=self.reactor).buildProtocol(None)
        self.server_io = iosim.makeFakeServer(channel)
        self.pump: Any = iosim.connect(
            channel, self.server_io, self.raw, iosim.makeFakeClient(self.raw), clock=self.reactor
        )

    def send(self, data: bytes) -> bytes:
        """Send, and return all that came back."""
        self.raw.received = b""
        transport: Any = self.raw.transport
        transport.write(data)
        self.pump.flush()
        return self.raw.received


def request(*, line: str = "GET /tunnel HTTP/1.1", **changes: str | None) -> bytes:
    """Return a good opening handshake, with some headers changed or left out."""
    renamed = {name.replace("_", "-").lower(): value for name, value in changes.items()}
    headers = {name.lower(): value for name, value in HANDSHAKE.items()} | renamed
    fields = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([line, *fields, "", ""]).encode()


def accepted(server: Raw, *, subprotocol: str | None = "mcptunnel.1", extra: str = "") -> bytes:
    """Return the 101 to what the server received."""
    key = server.received.decode().partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    chosen = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n{chosen}{extra}\r\n"
    ).encode()


def dial_and_answer(*answers: bytes, **options: Any) -> tuple[Dialled, Raw, Recorder]:
    """Dial a server that sends these answers, whatever it is asked."""
    receiver, server = Recorder(), Raw()
    dialled = Dialled(receiver, **options)
    dialled.join(server)
    for answer in answers:
        transport: Any = server.transport
        transport.write(answer)
        dialled.pump.flush()
    return dialled, server, receiver


def frame(opcode: int, payload: bytes, *, mask: bytes | None = b"\1\2\3\4") -> bytes:
    """Return a short or middling WebSocket frame, as a client sends it."""
    bit = 0x80 if mask else 0
    size = len(payload)
    length = bytes([bit | size]) if size < 126 else bytes([bit | 126]) + size.to_bytes(2, "big")
    if mask:
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return bytes([0x80 | opcode]) + length + (mask or b"") + payload


def close_code(data: bytes) -> int:
    """Return the code of the close frame, as a server sends it, that `data` starts with."""
    assert data[0] == 0x88
    return int.from_bytes(data[2:4], "big")
