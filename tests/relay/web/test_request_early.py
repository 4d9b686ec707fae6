"""What is answered from the head alone: nothing of the body is kept before somebody wants it."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.relay.web.limited import LIMIT, PING, begin, limited_site
from tests.relay.web.site import Connection, HttpClient, MemorySite, head_of

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.fixture
def site() -> MemorySite:
    return limited_site()


@pytest.fixture
def client(site: MemorySite) -> HttpClient:
    client = site.client()
    client.initialize()
    return client


def held_bytes(connection: Connection) -> int:
    request: Any = connection._protocol.requests[0]
    held = request.body_in._held
    return 0 if held is None else len(held.getbuffer())


REFUSED: list[tuple[dict[str, str | None], int]] = [
    ({"authorization": None}, 401),
    ({"authorization": "Bearer nonsense"}, 401),
    ({"host": "evil.test"}, 421),
    ({"host": None}, 400),
    ({"origin": "https://evil.test"}, 403),
]


@pytest.mark.parametrize(("headers", "status"), REFUSED)
def test_a_refusal_needs_no_body_and_keeps_none(
    client: HttpClient, headers: dict[str, str | None], status: int
) -> None:
    connection = begin(client, headers=headers)
    assert connection.answer.status == status
    assert connection.answer.is_complete
    connection.send(bytes(LIMIT - 1))
    assert held_bytes(connection) == 0
    assert client.site.site.bodies.held_bytes == 0
    assert connection.wire.producerState == "producing"


@pytest.mark.parametrize(("headers", "status"), REFUSED)
def test_the_connection_serves_on_after_a_refusal(
    client: HttpClient, headers: dict[str, str | None], status: int
) -> None:
    """Once the body has been thrown away."""
    connection = begin(client, headers=headers)
    connection.send(bytes(LIMIT))
    connection.send(b"GET /health HTTP/1.1\r\nHost: relay.test\r\n\r\n")
    assert [answer.status for answer in connection.answers] == [status, 200]
    assert not connection.is_lost


@pytest.mark.parametrize("path", ["/health", "/", "/nothing", "/mcp/below"])
def test_places_that_want_no_body_read_none(client: HttpClient, path: str) -> None:
    connection = client.site.connection()
    connection.send(head_of("POST", path, {"host": "relay.test", "content-length": str(LIMIT)}))
    connection.send(bytes(LIMIT - 1))
    assert connection.answer.status in (404, 405)
    assert held_bytes(connection) == 0


# While the store is asked about the token.


def test_nothing_is_read_while_the_token_is_checked(site: MemorySite) -> None:
    client, gate = site.client(), Deferred[None]()
    site.keys.gate = gate
    connection = begin(client, len(PING))
    assert connection.wire.producerState == "paused"
    connection.go_on()  # as when an older answer has left: the framework reads on
    connection.send(PING[:5])
    assert connection.wire.producerState == "paused"
    gate.callback(None)
    assert connection.wire.producerState == "producing"
    assert not connection.answers
    connection.send(PING[5:])
    assert connection.answer.status == 400  # it needs a session, and so was read


def test_a_body_that_came_with_its_head_waits_for_the_token(site: MemorySite) -> None:
    client, gate = site.client(), Deferred[None]()
    site.keys.gate = gate
    connection = client.post(PING)
    assert not connection.answers
    assert connection.wire.producerState == "producing"  # to hear that the client leaves
    gate.callback(None)
    assert connection.answer.status == 400


def test_what_came_meanwhile_is_dropped_after_a_refusal(site: MemorySite) -> None:
    client, gate = site.client(), Deferred[None]()
    site.keys.gate = gate
    connection = begin(client, headers={"authorization": f"Bearer {'mcpt_ak_' + 'x' * 40}"})
    connection.send(bytes(LIMIT // 2))
    if not gate.called:
        gate.callback(None)
    assert connection.answer.status == 401
    assert held_bytes(connection) == 0
    assert connection.wire.producerState == "producing"


def test_a_client_that_leaves_meanwhile_leaves_nothing(site: MemorySite) -> None:
    client, gate = site.client(), Deferred[None]()
    site.keys.gate = gate
    connection = begin(client)
    connection.send(bytes(100))
    assert site.site.bodies.held_bytes == 100
    connection.hang_up()
    assert site.site.bodies.held_bytes == 0
    gate.callback(None)
    assert not connection.answers


# Expect: 100-continue.


def test_a_client_is_asked_for_its_body_once_it_is_wanted(client: HttpClient) -> None:
    gate = client.site.keys.gate = Deferred[None]()
    client.site.joined.wait_s(60)  # the token is no longer in the cache
    connection = begin(client, len(PING), {"expect": "100-continue"})
    assert connection.wire.value() == b""
    gate.callback(None)
    assert connection.wire.value() == CONTINUE
    connection.send(PING)
    assert [answer.status for answer in connection.answers] == [100, 200]
    assert not connection.is_lost


@pytest.mark.parametrize(
    ("headers", "status"),
    [*REFUSED, ({"content-length": str(LIMIT + 1)}, 413)],
)
def test_a_refused_client_is_not_asked_for_its_body(
    client: HttpClient, headers: dict[str, str | None], status: int
) -> None:
    """It may not send one now, so the connection cannot be used again."""
    connection = begin(client, headers={"expect": "100-continue", **headers})
    assert connection.answer.status == status
    assert connection.answer.headers["connection"] == "close"


def test_http_1_0_knows_no_interim_answers(client: HttpClient) -> None:
    headers = {**client.headers, "expect": "100-continue", "content-length": str(len(PING))}
    connection = client.site.connection()
    connection.send(head_of("POST", "/mcp", headers).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert connection.wire.value() == b""
    connection.send(PING)
    assert connection.answer.status == 400
