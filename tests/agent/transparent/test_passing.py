"""Bytes between the tunnel and a local HTTP server, on memory links."""

from typing import Any

import pytest
from twisted.internet.task import Clock

from mcptunnel.agent.exchanges import Exchanges
from mcptunnel.agent.transparent.passing import MAX_WHOLE_BYTES
from mcptunnel.model import ExchangeKind, Headers, Outcome, RequestHead
from mcptunnel.net.exchange import Exchange
from mcptunnel.net.http1 import Upload
from mcptunnel.net.link_end import LinkEnd
from mcptunnel.net.memory import MemoryPair
from mcptunnel.net.tunnel import Tunnel
from mcptunnel.testing.local_server import MemoryServer
from mcptunnel.wire.constants import ErrorCode, Role
from mcptunnel.wire.frames import Hello, Welcome
from mcptunnel.wire.session import Session
from mcptunnel.wire.settings import Settings
from tests.agent.local_http import Asked, LocalHttp
from tests.agent.relay_end import RelayEnd, Told

WINDOW = 256 * 1024
FINAL = Settings(resume_window_s=0, closed_link_window_s=0)
CHUNK = 32 * 1024


class AgentEnd:
    """An agent with the server `web` (`net.owners.LinkOwner`, `net.owners.TunnelOwner`)."""

    def __init__(self, clock: Clock, local: LocalHttp) -> None:
        self._clock = clock
        server = MemoryServer("web")
        server.passage = local.passage
        self._exchanges = Exchanges(clock, {"web": server}, random=bytes)

    def link_made(self, end: LinkEnd) -> None:
        end.hello(Hello("installation-0001", "laptop", "1"))

    def peer_welcome(self, end: LinkEnd, welcome: Welcome) -> None:
        session = Session(Role.AGENT, FINAL, welcome.limits, self._clock.seconds())
        Tunnel(self._clock, session, self).join(end)

    def exchange_opened(self, exchange: Exchange) -> None:
        self._exchanges.accept(exchange)

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


class SlowTold(Told):
    """A reader that returns credit only when the test says so."""

    taken_bytes = 0

    def data_received(self, data: bytes) -> None:
        self.body += data

    def take(self) -> None:
        """Take what has come since the last time."""
        assert self.exchange is not None
        self.exchange.consumed(len(self.body) - self.taken_bytes)
        self.taken_bytes = len(self.body)


class World:
    """The relay's end, the agent, and the local server."""

    def __init__(self, headers: Headers = ()) -> None:
        self.local = LocalHttp(headers)
        self.relay = RelayEnd(Clock(), FINAL)
        clock = self.relay.clock
        agent = LinkEnd(clock, Role.AGENT, FINAL, AgentEnd(clock, self.local))
        self.pair = MemoryPair(agent, self.relay.taken_in(), reactor=clock)
        self.pair.open()
        self.relay.settle()

    def open(
        self, *fields: tuple[str, str], told: Told | None = None, method: str = "POST"
    ) -> tuple[Exchange, Told]:
        told = told or Told()
        head = RequestHead("web", method, "", fields, kind=ExchangeKind.TRANSPARENT)
        told.exchange = self.relay.tunnels[-1].open(head, told)
        self.relay.settle()
        return told.exchange, told

    def asked(self, told: Told | None = None) -> tuple[Asked, Told]:
        """Ask something without a body; return the request at the server, and what is told."""
        exchange, told = self.open(("content-length", "0"), told=told, method="GET")
        exchange.end()
        self.relay.settle()
        return self.local.last, told


@pytest.fixture
def world() -> World:
    return World()


def test_a_small_request_is_sent_when_it_is_complete(world: World) -> None:
    exchange, _ = world.open(("content-length", "4"), ("mcp-method", "ping"))
    exchange.write(b"bo")
    world.relay.settle()
    assert not world.local.asked
    exchange.write(b"dy")
    exchange.end()
    world.relay.settle()
    assert world.local.last.body == b"body"
    assert world.local.last.headers == (("mcp-method", "ping"),)


def test_what_the_agent_says_wins(world: World) -> None:
    """Its own fields replace the client's; what must not pass does not, whatever the relay sends."""
    world = World((("x-api-key", "own"),))
    exchange, _ = world.open(
        ("x-api-key", "theirs"), ("cookie", "a=b"), ("accept", "x"), ("content-length", "0")
    )
    exchange.end()
    world.relay.settle()
    assert world.local.last.headers == (("accept", "x"), ("x-api-key", "own"))


@pytest.mark.parametrize("fields", [(), (("content-length", str(MAX_WHOLE_BYTES + 1)),)])
def test_any_other_request_begins_at_once(world: World, fields: Headers) -> None:
    """In chunks, or large."""
    world.open(*fields)
    upload = world.local.last.body
    assert isinstance(upload, Upload)
    assert upload.length_bytes == (MAX_WHOLE_BYTES + 1 if fields else None)


def test_credit_comes_back_when_the_server_took_the_bytes(world: World) -> None:
    """At most one window, and what the connection's buffer takes, is on its way to a stopped server."""
    exchange, _ = world.open()
    for _ in range(100):
        exchange.write(bytes(CHUNK))
    world.relay.settle()
    sent = 100 * CHUNK - exchange._tunnel.session.unsent_bytes(exchange.stream_id)
    assert sent == WINDOW  # there is no connection yet
    socket = world.local.connect(room_bytes=CHUNK)
    world.relay.settle()
    while (unsent := exchange._tunnel.session.unsent_bytes(exchange.stream_id)) > 0:
        assert socket.waiting_bytes <= 2 * WINDOW
        socket.take()
        world.relay.settle()
        assert exchange._tunnel.session.unsent_bytes(exchange.stream_id) < unsent
    assert len(socket.sent) > 100 * CHUNK


def test_a_response_is_read_as_fast_as_it_leaves(world: World) -> None:
    """A stopped reader: the server is read for a window and the high-water mark, and no more."""
    asked, told = world.asked(SlowTold())
    assert isinstance(told, SlowTold)
    asked.answer(200, ("content-type", "application/json"), ("set-cookie", "x=y"))
    for _ in range(100):
        asked.send(bytes(CHUNK))
        world.relay.settle()
    assert told.head is not None
    assert told.head.headers == (("content-type", "application/json"),)
    assert asked.paused
    assert len(told.body) == WINDOW
    assert 100 * CHUNK - asked.unread_bytes <= WINDOW + 4 * CHUNK
    asked.end()
    while not told.is_whole:
        told.take()
        world.relay.settle()
    assert len(told.body) == 100 * CHUNK


def test_other_exchanges_run_on_beside_a_stopped_one(world: World) -> None:
    stopped, _ = world.asked(SlowTold())
    stopped.answer()
    for _ in range(50):
        stopped.send(bytes(CHUNK))
    world.relay.settle()
    other, told = world.asked(Told())
    other.answer(204)
    other.end()
    world.relay.settle()
    assert told.is_whole


def test_a_length_is_told_on(world: World) -> None:
    asked, told = world.asked()
    asked.answer(200, ("content-length", "7, 7"))
    world.relay.settle()
    assert told.head is not None
    assert told.head.headers == (("content-length", "7"),)


def test_a_client_that_goes_ends_the_request(world: World) -> None:
    asked, told = world.asked()
    asked.answer()
    assert told.exchange is not None
    told.exchange.reset(ErrorCode.CANCEL, "gone")
    world.relay.settle()
    assert asked.aborted


def test_a_lost_tunnel_ends_the_request(world: World) -> None:
    asked, _ = world.asked()
    world.pair.cut()
    world.relay.settle()
    assert asked.aborted


@pytest.mark.parametrize(
    ("ran", "code", "outcome"),
    [
        (True, ErrorCode.UNREACHABLE, Outcome.UNKNOWN),
        (False, ErrorCode.REFUSED_STREAM, Outcome.NOT_DELIVERED),
    ],
)
def test_a_server_that_fails_is_told(
    world: World, *, ran: bool, code: ErrorCode, outcome: Outcome
) -> None:
    asked, told = world.asked()
    asked.fail("the reason", may_have_run=ran)
    world.relay.settle()
    assert told.failure is not None
    assert (told.failure.code, told.failure.outcome) == (code, outcome)
    assert "'web'" in told.failure.text
    assert "the reason" in told.failure.text


def test_an_answer_before_the_request_is_complete(world: World) -> None:
    """The rest of the request is dropped, with credit, until the relay gives up."""
    exchange, told = world.open()
    world.local.last.answer(413)
    world.local.last.end()
    world.relay.settle()
    assert told.is_whole
    for _ in range(3 * WINDOW // CHUNK):
        exchange.write(bytes(CHUNK))
        world.relay.settle()
    exchange.end()
    world.relay.settle()
    assert exchange._tunnel.session.stream_count == 0


@pytest.mark.parametrize("length", [3, MAX_WHOLE_BYTES + 1])
def test_a_body_longer_than_its_head_says_is_refused(world: World, length: int) -> None:
    """Else its end would be the next request to the server."""
    exchange, told = world.open(("content-length", str(length)))
    exchange.write(bytes(MAX_WHOLE_BYTES + 2))
    world.relay.settle()
    assert told.failure is not None
    assert "longer than its head says" in told.failure.text
    assert (told.failure.outcome is Outcome.UNKNOWN) is bool(world.local.asked)
    assert all(asked.aborted for asked in world.local.asked)


def test_a_body_shorter_than_its_head_says_is_refused(world: World) -> None:
    exchange, told = world.open(("content-length", str(MAX_WHOLE_BYTES + 1)))
    exchange.write(b"x")
    exchange.end()
    world.relay.settle()
    assert told.failure is not None
    assert world.local.last.aborted


def test_a_request_that_http_does_not_allow_is_refused(world: World) -> None:
    for fields in ((("content-length", "1, 2"),), ()):
        world.local.refusal = "not Latin-1"
        _, told = world.open(*fields)
        assert told.failure is not None
        assert told.failure.outcome is Outcome.NOT_DELIVERED


def test_a_small_request_that_http_does_not_allow_is_refused(world: World) -> None:
    world.local.refusal = "not Latin-1"
    exchange, told = world.open(("content-length", "0"))
    exchange.end()
    world.relay.settle()
    assert told.failure is not None
    assert told.failure.code is ErrorCode.REFUSED_STREAM


def test_a_head_that_no_tunnel_carries_ends_the_exchange(world: World) -> None:
    asked, told = world.asked()
    asked.answer(200, *((f"mcp-{number}", "x" * 1000) for number in range(60)))
    world.relay.settle()
    assert told.failure is not None
    assert told.failure.code is ErrorCode.UNREACHABLE
    assert asked.aborted
