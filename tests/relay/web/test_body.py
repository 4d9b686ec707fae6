"""Bodies that are handed on as they come: at the pace of whoever takes them."""

import gc
import weakref

import pytest
from twisted.internet.defer import Deferred

from mcptunnel.relay.web.answers import send_body
from mcptunnel.relay.web.body import IncomingBody
from mcptunnel.relay.web.channel import DEADLINE_S
from mcptunnel.relay.web.request import RelayRequest
from mcptunnel.relay.web.root import Guarded
from tests.relay.web.site import Connection, HttpClient, MemorySite, head_of

SIZE = 1000


class Taker:
    """Takes a body in pieces (`BodyReceiver`)."""

    def __init__(self, http: RelayRequest) -> None:
        self.http = http
        self.pieces: list[bytes] = []
        self.is_ended = False
        http.body_in.hand_to(self)

    @property
    def body(self) -> IncomingBody:
        return self.http.body_in

    def body_received(self, data: bytes) -> None:
        self.pieces.append(data)

    def body_ended(self) -> None:
        self.is_ended = True


@pytest.fixture
def takers(monkeypatch: pytest.MonkeyPatch) -> list[Taker]:
    """Let endpoints hand their bodies on."""
    found: list[Taker] = []

    def admitted(_self: Guarded, http: RelayRequest, _access: object) -> None:
        found.append(Taker(http))

    monkeypatch.setattr(Guarded, "_admitted", admitted)
    return found


@pytest.fixture
def client(takers: list[Taker]) -> HttpClient:
    assert not takers
    return MemorySite().client()


def begin(client: HttpClient, **headers: str) -> Connection:
    connection = client.site.connection()
    wanted = {**client.headers, "content-length": str(SIZE), **headers}
    connection.send(head_of("POST", "/mcp", wanted))
    return connection


def test_pieces_are_handed_on_and_not_held(client: HttpClient, takers: list[Taker]) -> None:
    connection = begin(client)
    (taker,) = takers
    for _ in range(2):
        assert not taker.is_ended
        connection.send(bytes(SIZE // 2))
    assert taker.pieces == [bytes(SIZE // 2)] * 2
    assert taker.is_ended
    assert client.site.site.bodies.held_bytes == 0
    send_body(taker.http, 200, b"")
    assert connection.answer.is_complete


def test_what_came_while_the_token_was_checked_comes_first(
    client: HttpClient, takers: list[Taker]
) -> None:
    gate = client.site.keys.gate = Deferred[None]()
    connection = begin(client)
    connection.send(b"a" * 10)
    assert client.site.site.bodies.held_bytes == 10
    gate.callback(None)
    connection.send(b"b" * 10)
    assert takers[0].pieces == [b"a" * 10, b"b" * 10]
    assert client.site.site.bodies.held_bytes == 0


@pytest.mark.parametrize("size", [0, 5])
def test_a_body_that_is_there_is_handed_on_at_once(
    client: HttpClient, takers: list[Taker], size: int
) -> None:
    gate = client.site.keys.gate = Deferred[None]()
    connection = begin(client, **{"content-length": str(size)})
    connection.send(bytes(size))
    gate.callback(None)
    assert takers[0].pieces == [bytes(size)] * bool(size)
    assert takers[0].is_ended


def test_nothing_is_read_while_the_taker_pauses(client: HttpClient, takers: list[Taker]) -> None:
    """Nor does its deadline come."""
    connection = begin(client)
    takers[0].body.pause()
    assert connection.wire.producerState == "paused"
    client.site.joined.wait_s(5 * DEADLINE_S)
    assert not connection.is_lost
    takers[0].body.resume()
    assert connection.wire.producerState == "producing"
    client.site.joined.wait_s(2 * DEADLINE_S)
    assert connection.is_lost


def test_an_answer_that_comes_first_ends_the_handing_on(
    client: HttpClient, takers: list[Taker]
) -> None:
    connection = begin(client)
    connection.send(bytes(1))
    send_body(takers[0].http, 200, b"enough")
    connection.send(bytes(SIZE - 1) + b"GET /health HTTP/1.1\r\nHost: relay.test\r\n\r\n")
    assert [answer.status for answer in connection.answers] == [200, 200]
    assert takers[0].pieces == [bytes(1)]
    assert not takers[0].is_ended


def test_an_answer_may_begin_before_the_body_ends(client: HttpClient, takers: list[Taker]) -> None:
    connection = begin(client)
    http = takers[0].http
    http.setHeader(b"content-length", b"4")
    http.write(b"ab")
    connection.send(bytes(SIZE))
    assert takers[0].is_ended
    http.write(b"cd")
    http.finish()
    assert connection.answer.body == b"abcd"


def test_a_request_is_freed_when_it_was_answered(client: HttpClient, takers: list[Taker]) -> None:
    """At once, not when garbage is collected: a busy relay would hold those of minutes."""
    connection = begin(client)
    connection.send(bytes(SIZE))
    known = weakref.ref(takers[0].http)
    gc.disable()
    try:
        send_body(takers.pop().http, 200, b"{}")
        assert connection.answer.status == 200
        assert known() is None
    finally:
        gc.enable()
