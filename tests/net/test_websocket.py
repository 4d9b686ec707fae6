"""Links over WebSocket, both ends joined in memory, on a test clock."""

import base64
from typing import Any

import pytest
import txaio
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.test import iosim
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from mcptunnel.net import websocket
from mcptunnel.net.link import Link, LinkLost
from tests.conftest import LoggedFailures

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
        self.max_message_bytes = websocket.MAX_MESSAGE_BYTES
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
        websocket.upgrade(
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
            websocket.connect(url, receiver=receiver, reactor=self.reactor, **options)
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
        assert isinstance(link, websocket.WebSocketLink), link
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


# Both ends together.


def test_messages_pass_both_ways_and_whole() -> None:
    """Small, empty and long messages arrive as they were sent, in order."""
    pair = Joined(server=Recorder(echo=True))
    messages = [b"a", b"", bytes(70_000), b"z" * 300_000]
    for message in messages:
        pair.dialled.link.send_message(message)
    pair.flush()
    assert pair.server.messages == messages
    assert pair.client.messages == messages
    assert pair.dialled.link is pair.client.link
    assert pair.dialled.pump.clock is pair.reactor


def test_the_credential_travels_in_the_header_and_is_not_kept() -> None:
    """The door sees the Authorization; afterwards neither end's protocol holds it."""
    pair = Joined()
    assert pair.door.authorization == "Bearer secret"
    for link in (pair.client.link, pair.server.link):
        protocol: Any = link._protocol  # type: ignore[attr-defined]
        assert "secret" not in repr(vars(protocol))


def test_no_credential_reaches_a_log_even_at_debug_level() -> None:
    """Autobahn logs whole handshakes when it logs at all; ours has no log."""
    told: list[Any] = []
    observer: Any = told.append
    autobahn_log: Any = txaio
    autobahn_log.set_global_log_level("trace")
    globalLogPublisher.addObserver(observer)
    try:
        Joined()
    finally:
        globalLogPublisher.removeObserver(observer)
        autobahn_log.set_global_log_level("info")
    assert "secret" not in repr(told)


@pytest.mark.parametrize("closer", ["client", "server"])
def test_either_end_closes_with_its_code(closer: str) -> None:
    """Both ends hear the code and the reason, cleanly and once, after what was sent before."""
    pair = Joined()
    link = getattr(pair, closer).link
    link.send_message(b"last words")
    link.close(4000, "that is ä" + "x" * 200)
    link.send_message(b"too late")
    link.close()
    pair.flush()
    other = pair.server if closer == "client" else pair.client
    assert other.messages == [b"last words"]
    for end in (pair.client, pair.server):
        (lost,) = end.lost
        assert (lost.clean, lost.code) == (True, 4000)
        assert lost.text.startswith("that is äxx")
        assert len(lost.text.encode()) == websocket.MAX_REASON_BYTES
    assert pair.reactor.getDelayedCalls() == []


def test_a_reason_is_cut_between_characters() -> None:
    """123 bytes of two-byte characters are 61 of them."""
    pair = Joined()
    pair.client.link.close(1000, "ä" * 100)
    pair.flush()
    assert pair.server.lost == [LinkLost(clean=True, code=1000, text="ä" * 61)]


def test_a_reason_with_control_characters_is_made_printable() -> None:
    """A terminal that shows the log is safe from the peer's words."""
    pair = Joined()
    pair.client.link.close(1000, "a\x1b[31mb\n")
    pair.flush()
    assert pair.server.lost[0].text == "a [31mb"


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2000, 5000])
def test_codes_that_must_not_be_sent_are_refused(code: int) -> None:
    """RFC 6455, section 7.4: some codes are only for reports, others are not assigned."""
    pair = Joined()
    with pytest.raises(ValueError, match=str(code)):
        pair.client.link.close(code)
    pair.flush()
    assert pair.server.lost == []


def test_messages_after_our_close_are_not_received() -> None:
    """Who has closed hears nothing more but the end."""
    pair = Joined()
    pair.server.link.send_message(b"on its way")
    pair.client.link.close()
    pair.flush()
    assert pair.client.events == ["made", "lost"]


def test_abort_is_heard_on_both_ends() -> None:
    """An abort is no clean end, and has no code."""
    pair = Joined()
    pair.client.link.abort()
    pair.client.link.abort()
    pair.flush()
    assert pair.client.lost == [LinkLost(clean=False, code=None, text="aborted")]
    assert [(lost.clean, lost.code) for lost in pair.server.lost] == [(False, None)]
    pair.client.link.send_message(b"x")
    pair.client.link.close()
    pair.client.link.abort()


def test_nothing_arrives_after_an_abort_within_a_batch() -> None:
    """Messages behind the one whose receiver aborts are dropped, though they are here already."""

    class Aborting(Recorder):
        def message_received(self, message: bytes) -> None:
            super().message_received(message)
            self.link.abort()

    pair = Joined(server=Aborting())
    for message in (b"1", b"2", b"3"):
        pair.client.link.send_message(message)
    pair.flush()
    assert pair.server.messages == [b"1"]


def test_a_peer_that_does_not_answer_the_close_is_dropped() -> None:
    """After a few seconds of the given reactor's clock the link is lost all the same."""
    pair = Joined()
    pair.client.link.close(4001, "bye")
    pair.reactor.advance(websocket.CLOSE_TIMEOUT_S + 0.1)  # nothing was pumped
    assert pair.pump.clientIO.disconnecting
    pair.pump.serverIO.disconnected = True
    pair.pump.clientIO.reportDisconnect()
    assert pair.client.lost == [LinkLost(clean=False, code=4001, text="bye")]


@pytest.mark.parametrize("event", ["made", "message", "paused", "resumed"])
def test_a_receiver_that_fails_loses_its_link_only(
    event: str, logged_failures: LoggedFailures
) -> None:
    """The mistake is logged, the peer hears 1011, and the end is told as ever."""
    pair = Joined(server=Recorder(fails_at=event))
    pair.client.link.send_message(b"x")
    pair.flush()
    if event in ("paused", "resumed"):
        pair.pump.serverIO.producer.pauseProducing()
        if event == "resumed":
            pair.pump.serverIO.producer.resumeProducing()
        pair.flush()
    expected = LinkLost(clean=True, code=1011, text="internal error")
    assert pair.client.lost == [expected]
    assert pair.server.lost == [expected]
    assert len(logged_failures.take(ZeroDivisionError)) == 1


def test_a_receiver_that_fails_at_the_end_is_logged(logged_failures: LoggedFailures) -> None:
    """There is no link left to close."""
    pair = Joined(client=Recorder(fails_at="lost"))
    pair.server.link.close()
    pair.flush()
    assert pair.server.lost == [LinkLost(clean=True, code=1000, text="")]
    assert len(logged_failures.take(ZeroDivisionError)) == 1


def test_a_full_transport_pauses_the_receiver_once() -> None:
    """A transport says so at each write over its mark; the receiver hears each change once."""
    pair = Joined()
    producer = pair.pump.clientIO.producer
    producer.pauseProducing()
    producer.pauseProducing()
    pair.client.link.send_message(b"taken all the same")
    producer.resumeProducing()
    producer.resumeProducing()
    pair.flush()
    assert pair.client.events == ["made", "paused", "resumed"]
    assert pair.server.messages == [b"taken all the same"]


def test_too_big_a_message_ends_the_link_with_1009() -> None:
    """The limit is the receiving end's; the sender hears why."""
    server = Recorder()
    pair = Joined(server=server, max_message_bytes=100)
    pair.server.link.send_message(b"x" * 100)
    pair.server.link.send_message(b"x" * 101)
    pair.server.link.send_message(b"after")
    pair.flush()
    assert pair.client.messages == [b"x" * 100]
    assert [lost.code for lost in pair.client.lost + server.lost] == [1009, 1009]
    assert "payload limit" in server.lost[0].text


def test_masking_is_native_here() -> None:
    """The installed Autobahn has its compiled masking."""
    assert websocket.native_masking() is True
