"""Deadlines of heads and bodies: absolute, and only while we are reading."""

import pytest
from twisted.internet.defer import Deferred

from mcptunnel.relay.web.body import LEAST_BYTES
from mcptunnel.relay.web.channel import DEADLINE_S
from tests.relay.web.site import Connection, HttpClient, MemorySite, head_of

LARGE = 4 * 1024 * 1024


@pytest.fixture
def site() -> MemorySite:
    return MemorySite()


@pytest.fixture
def client(site: MemorySite) -> HttpClient:
    return site.client()


def begin(client: HttpClient, **headers: str) -> Connection:
    connection = client.site.connection()
    wanted = {**client.headers, "content-length": str(LARGE), **headers}
    connection.send(head_of("POST", "/mcp", wanted))
    return connection


def lost_after_s(connection: Connection, site: MemorySite, data: bytes = b"") -> int:
    """Send a byte now and then; return when the connection was lost."""
    for second in range(0, 600, 10):
        if connection.is_lost:
            return second
        connection.send(data)
        site.joined.wait_s(10)
    raise AssertionError("never")


@pytest.mark.parametrize("start", [b"", b"GET /health HTTP/1.1\r\nHost: relay.test\r\nX: "])
def test_a_head_has_a_minute_whatever_comes(site: MemorySite, start: bytes) -> None:
    connection = site.connection()
    connection.send(start)
    assert lost_after_s(connection, site, b"x") == DEADLINE_S


def test_a_connection_may_idle_for_a_minute_between_requests(site: MemorySite) -> None:
    connection = site.connection()
    for _ in range(3):
        connection.send(b"GET /health HTTP/1.1\r\nHost: relay.test\r\n\r\n")
        site.joined.wait_s(DEADLINE_S - 1)
    assert len(connection.answers) == 3
    site.joined.wait_s(2)
    assert connection.is_lost


@pytest.mark.parametrize("refused", [True, False])
def test_a_body_that_drips_is_cut_off(client: HttpClient, *, refused: bool) -> None:
    """Whether it is wanted or thrown away."""
    connection = begin(client, **({"authorization": "Basic x"} if refused else {}))
    assert lost_after_s(connection, client.site, b"x") == DEADLINE_S


def test_a_slow_body_may_take_its_time(client: HttpClient) -> None:
    connection = begin(client)
    for _ in range(4):
        client.site.joined.wait_s(DEADLINE_S - 1)
        assert not connection.is_lost
        connection.send(bytes(LEAST_BYTES))
    assert not connection.is_lost
    client.site.joined.wait_s(2 * DEADLINE_S)
    assert connection.is_lost


def test_the_time_stands_still_while_we_do_not_read(client: HttpClient) -> None:
    gate = client.site.keys.gate = Deferred[None]()
    connection = begin(client)
    client.site.joined.wait_s(10 * DEADLINE_S)
    assert not connection.is_lost
    gate.callback(None)
    assert lost_after_s(connection, client.site, b"x") == DEADLINE_S


def test_a_call_has_all_the_time_it_needs(client: HttpClient) -> None:
    gate = client.site.keys.gate = Deferred[None]()
    connection = client.modern("tools/list")
    client.site.joined.wait_s(10 * DEADLINE_S)
    gate.callback(None)
    assert connection.answer.status == 200


def test_a_client_that_does_not_hear_of_the_end_is_aborted(site: MemorySite) -> None:
    connection = site.connection()
    connection.wire.disconnecting = True  # what is left to send never leaves
    site.joined.wait_s(DEADLINE_S + 14)
    assert not connection.wire.aborted
    site.joined.wait_s(2)
    assert connection.wire.aborted


def test_only_http_1_1_is_offered_over_tls(site: MemorySite) -> None:
    """Whatever else the framework could speak: a tunnel starts with HTTP/1.1."""
    assert site.site.acceptableProtocols() == [b"http/1.1"]


def test_a_broken_body_behind_its_answer_gets_no_second_one(site: MemorySite) -> None:
    connection = site.connection()
    headers = {"host": "relay.test", "transfer-encoding": "chunked"}
    connection.send(head_of("POST", "/mcp", headers) + b"zz\r\n")
    assert connection.answer.status == 401
    assert connection.is_lost


GET_HEALTH = b"GET /health HTTP/1.1\r\nHost: relay.test\r\n\r\n"


def drain(site: MemorySite) -> None:
    site.joined.draining.is_on = True
    site.site.drain()


def test_in_a_drain_every_answer_is_the_last_on_its_connection(
    site: MemorySite, client: HttpClient
) -> None:
    """Of requests that are being answered, and of those that still come; idle ones stay."""
    idle, running = site.connection(), begin(client)
    idle.send(GET_HEALTH)
    assert site.site.answering_count == 1
    drain(site)
    lost = [idle.is_lost]
    idle.send(GET_HEALTH + GET_HEALTH)
    running.send(b" " * LARGE)
    site.joined.settle()
    lost += [idle.is_lost, running.is_lost]
    assert lost == [False, True, True]
    assert len(idle.answers) == 2
    for connection in (idle, running):
        assert connection.answers[-1].headers["connection"] == "close"
    assert site.site.answering_count == 0


def test_a_connection_counts_until_its_last_byte_has_left(
    site: MemorySite, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = begin(client)
    drain(site)
    monkeypatch.setattr(connection, "lose_soon", lambda: None)
    connection.send(b" " * LARGE)
    assert connection.answer.is_complete
    assert site.site.answering_count == 1
    connection.hang_up()
    assert site.site.answering_count == 0


def test_an_unfinished_head_holds_nobody_up(site: MemorySite) -> None:
    site.connection().send(GET_HEALTH[:-2])
    assert site.site.answering_count == 0
