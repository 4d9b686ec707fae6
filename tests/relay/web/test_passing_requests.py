"""Requests on their way to a local server: at its pace, whole, and never taken for another request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from mcptunnel.net.http1 import Upload
from tests.agent.local_http import Socket
from tests.relay.web.site import Connection, HttpAnswer
from tests.relay.web.transparent_site import TransparentSite

WINDOW = 256 * 1024
HEALTH = b"GET /health HTTP/1.1\r\nHost: relay.test\r\n\r\n"


@pytest.fixture
def site() -> TransparentSite:
    return TransparentSite()


def state(connection: Connection) -> str:
    """Say whether the client is read; `producing`, or `paused`."""
    found: str = connection.wire.producerState
    return found


def answered(site: TransparentSite, connection: Connection, which: int = 0) -> HttpAnswer:
    site.last.answer(200, ("content-length", "2"))
    site.last.send(b"ok")
    site.last.end()
    site.settle()
    return connection.answers[which]


def test_a_stopped_server_stops_its_client(site: TransparentSite) -> None:
    """A window and the high-water mark are taken; then the client is not read."""
    connection = site.begin(fields={"transfer-encoding": "chunked"})
    sent = 0
    while state(connection) == "producing":
        connection.send(b"8000\r\n" + bytes(0x8000) + b"\r\n")
        sent += 0x8000
    assert WINDOW < sent <= WINDOW + 4 * 0x8000
    socket = site.local.connect(room_bytes=10 * WINDOW)
    site.settle()
    assert state(connection) == "producing"
    connection.send(b"0\r\n\r\n")
    assert socket.sent.endswith(b"0\r\n\r\n")
    assert answered(site, connection).body == b"ok"


def test_the_deadline_rests_while_we_do_not_read(site: TransparentSite) -> None:
    """And holds again when we do; a connection that is idle afterwards is closed, too."""
    connection = site.begin(fields={"content-length": str(2 * WINDOW)})
    connection.send(bytes(WINDOW + 0x18000))
    assert state(connection) == "paused"
    site.joined.wait_s(600)
    assert not connection.is_lost
    site.local.connect(10 * WINDOW)
    site.settle()
    connection.send(bytes(WINDOW - 0x18000))
    assert answered(site, connection).status == 200
    site.joined.wait_s(59)
    assert not connection.is_lost
    site.joined.wait_s(20)
    assert connection.is_lost


def test_a_client_that_stalls_is_let_go(site: TransparentSite) -> None:
    connection = site.begin(fields={"content-length": "100000"})
    site.joined.wait_s(79)
    assert connection.is_lost
    assert site.last.aborted


def test_the_deadline_of_the_next_request_is_kept(site: TransparentSite) -> None:
    """Even if the body ends while the server is behind."""
    connection = site.begin(fields={"content-length": str(2 * WINDOW)})
    connection.send(bytes(2 * WINDOW))
    site.local.connect(10 * WINDOW)
    site.settle()
    assert answered(site, connection).status == 200
    site.joined.wait_s(79)
    assert connection.is_lost


def test_a_body_waits_while_the_token_is_checked(site: TransparentSite) -> None:
    """Nobody has it yet, and not more is read than what came with the head."""
    gate: Deferred[None] = Deferred()
    site.keys.gate = gate
    token = site.key()
    fields = {"transfer-encoding": "chunked", "expect": "100-continue"}
    connection = site.begin(fields=fields, token=token)
    assert state(connection) == "paused"
    assert not connection.wire.value()
    connection.send(b"3\r\nabc\r\n")
    assert state(connection) == "paused"
    gate.callback(None)
    site.settle()
    assert state(connection) == "producing"
    assert not connection.wire.value()  # it did not wait for 100 Continue
    assert site.local.connect().sent == b"3\r\nabc\r\n"


def test_a_client_that_goes_while_the_token_is_checked(site: TransparentSite) -> None:
    gate: Deferred[None] = Deferred()
    site.keys.gate = gate
    connection = site.begin(body=b"body", token=site.key())
    connection.hang_up()
    gate.callback(None)
    site.settle()
    assert not site.local.asked


def test_100_continue_comes_once_the_request_is_let_in(site: TransparentSite) -> None:
    fields = {"content-length": "4", "expect": "100-Continue"}
    connection = site.begin(fields=fields)
    assert connection.wire.value() == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.send(b"body")
    connection.wire.clear()
    assert answered(site, connection).body == b"ok"
    assert not [name for name, _ in site.last.headers if name == "expect"]


def test_a_refused_body_is_no_request(site: TransparentSite) -> None:
    """It is dropped, and what follows it is answered."""
    connection = site.begin(body=HEALTH, token="unknown")
    connection.send(HEALTH)
    refusal, health = connection.answers
    assert refusal.status == 401
    assert health.json["status"] == "ok"


def test_a_refused_body_may_come_later(site: TransparentSite) -> None:
    connection = site.begin(fields={"content-length": str(len(HEALTH))}, token="unknown")
    assert [answer.status for answer in connection.answers] == [401]
    connection.send(HEALTH + HEALTH)
    assert [answer.status for answer in connection.answers] == [401, 200]


def test_after_a_refusal_without_100_nothing_is_a_request(site: TransparentSite) -> None:
    """The client may leave the body out; so what follows cannot be told apart."""
    fields = {"content-length": str(len(HEALTH)), "expect": "100-continue"}
    connection = site.begin(fields=fields, token="unknown")
    assert connection.answer.headers["connection"] == "close"
    connection.send(HEALTH + HEALTH)
    assert len(connection.answers) == 1
    assert connection.is_lost


def test_an_endless_refused_body_is_cut_off(site: TransparentSite) -> None:
    connection = site.begin(fields={"content-length": str(10**12)}, token="unknown")
    for _ in range(100):
        connection.send(bytes(1024 * 1024))
        if connection.is_lost:
            break
    assert connection.wire.aborted
    assert connection.answers[0].status == 401


def test_pipelined_requests_wait_their_turn(site: TransparentSite) -> None:
    connection = site.begin(body=b"first")
    first = site.last
    connection.send(HEALTH)
    assert not connection.answers
    first.answer(200, ("content-length", "0"))
    first.end()
    site.settle()
    assert [answer.status for answer in connection.answers] == [200, 200]


def chunked(pieces: list[bytes]) -> bytes:
    return (
        b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece) + b"0\r\n\r\n"
    )


def dechunked(data: bytes) -> bytes:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        body += data[: int(size, 16)]
        data = data[int(size, 16) + 2 :]
    return body


_PIECES = st.lists(st.binary(min_size=1, max_size=3000), max_size=20)


@given(_PIECES, _PIECES, st.lists(st.integers(1, 5000), max_size=10), st.booleans())
def test_bytes_pass_unchanged_however_they_are_cut(
    request_pieces: list[bytes], response_pieces: list[bytes], cuts: list[int], stated: bool
) -> None:
    """Through the relay's HTTP side, two sessions and the agent, both ways at the same time."""
    site = TransparentSite()
    body = b"".join(request_pieces)
    data = body if stated else chunked(request_pieces)
    framing = {"content-length": str(len(body))} if stated else {"transfer-encoding": "chunked"}
    connection = site.begin(fields=framing)
    sockets: list[Socket] = []
    for cut in cuts:
        connection.send(data[:cut])
        data = data[cut:]
        if not sockets and site.local.asked and isinstance(site.last.body, Upload):
            sockets.append(site.local.connect())
    connection.send(data)
    if not sockets and isinstance(site.last.body, Upload):
        sockets.append(site.local.connect())
    site.settle()
    asked = site.last
    arrived = asked.body if isinstance(asked.body, bytes) else dechunked(sockets[0].sent)
    assert arrived == body
    answer = b"".join(response_pieces)
    asked.answer(200, *([("content-length", str(len(answer)))] if stated else []))
    for piece in response_pieces:
        asked.send(piece)
        if len(piece) % 2:
            site.settle()
    asked.end()
    site.settle()
    assert connection.answer.body == answer
    assert connection.answer.is_complete
