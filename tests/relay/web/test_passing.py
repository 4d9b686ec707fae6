"""Responses of local servers on their way to the client."""

import pytest

from mcptunnel.model import ResponseHead
from mcptunnel.wire.constants import ErrorCode
from tests.relay.web.site import Connection
from tests.relay.web.transparent_site import TransparentSite

WINDOW = 256 * 1024
CHUNK = 32 * 1024
PING = b'{"jsonrpc":"2.0","id":7,"method":"ping"}'


@pytest.fixture
def site() -> TransparentSite:
    return TransparentSite()


def streams(site: TransparentSite) -> int:
    """Return how many streams the relay's side of the tunnel has."""
    tunnel = site.joined.devices.everyone()[0].tunnel
    return 0 if tunnel is None else tunnel.session.stream_count


def broken_off(connection: Connection) -> bool:
    return connection.wire.aborted and connection.is_lost


def told(connection: Connection, status: int, outcome: str) -> str:
    """Check an error of the relay's own before the head; return its sentence."""
    answer = connection.answer
    assert answer.status == status
    assert answer.is_complete
    assert answer.json["id"] == 7
    assert answer.json["error"]["data"] == {"outcome": outcome}
    message: str = answer.json["error"]["message"]
    return message


def test_the_head_comes_before_there_is_a_body(site: TransparentSite) -> None:
    """An event stream may be silent for long."""
    connection = site.begin("GET")
    site.last.answer(200, ("content-type", "text/event-stream"))
    site.settle()
    answer = connection.answer
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["cache-control"] == "no-cache"
    for number in range(3):
        site.last.send(b"data: %d\n\n" % number)
        site.settle()
        assert connection.answer.body.endswith(b"data: %d\n\n" % number)
    assert not connection.answer.is_complete


def test_what_the_server_says_of_its_stream_holds(site: TransparentSite) -> None:
    connection = site.begin("GET")
    fields = (("content-type", "text/event-stream"), ("cache-control", "no-store"))
    site.last.answer(200, *fields)
    site.settle()
    assert connection.wire.value().lower().count(b"\r\ncache-control: no-store\r\n") == 1
    assert b"no-cache" not in connection.wire.value()


def test_no_answer_can_act_on_the_relays_origin(site: TransparentSite) -> None:
    connection = site.begin("GET")
    site.last.answer(
        200,
        ("content-type", "text/html"),
        ("set-cookie", "a=b"),
        ("location", "https://evil.test"),
        ("access-control-allow-origin", "*"),
        ("content-security-policy", "none"),
        ("content-length", "0"),
    )
    site.last.end()
    site.settle()
    headers = connection.answer.headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]
    assert not {"set-cookie", "location", "access-control-allow-origin"} & set(headers)


def test_a_body_without_a_type_is_no_page(site: TransparentSite) -> None:
    connection = site.begin("GET")
    site.last.answer(200)
    site.last.send(b"<html>")
    site.last.end()
    site.settle()
    assert connection.answer.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("status", [301, 401, 407])
def test_redirects_and_challenges_are_refused(site: TransparentSite, status: int) -> None:
    connection = site.begin(body=PING)
    site.last.answer(status, ("location", "/x"), ("www-authenticate", "Bearer"))
    site.settle()
    assert f"HTTP {status}" in told(connection, 502, "unknown")
    assert "www-authenticate" not in connection.answer.headers
    assert site.last.aborted


def test_an_empty_answer_is_empty(site: TransparentSite) -> None:
    connection = site.begin("DELETE")
    site.last.answer(204, ("content-length", "5"))
    site.last.send(b"12345")
    site.last.end()
    site.settle()
    assert connection.wire.value().endswith(b"\r\n\r\n")
    assert "content-length" not in connection.answer.headers
    assert streams(site) == 0


def raw_answer(site: TransparentSite, length: str, body: bytes) -> Connection:
    """Answer as an agent would that does not check what it sends."""
    connection = site.begin(body=PING)
    exchange = site.agent.opened[-1]
    exchange.send_head(ResponseHead(200, (("content-length", length),)))
    exchange.write(body)
    exchange.end()
    site.settle()
    return connection


@pytest.mark.parametrize("body", [b"123", b"12345HTTP/1.1 200 OK\r\n\r\n"])
def test_a_body_that_is_not_as_long_as_said_ends_the_connection(
    site: TransparentSite, body: bytes
) -> None:
    """Else its rest would be the answer to the next request on this connection."""
    connection = raw_answer(site, "5", body)
    assert broken_off(connection)
    assert b"HTTP/1.1 200 OK" not in connection.wire.value()[10:]
    assert streams(site) == 0


def test_a_length_that_cannot_be_read_is_refused(site: TransparentSite) -> None:
    connection = raw_answer(site, "5, 6", b"12345")
    assert "malformed" in told(connection, 502, "unknown")


def test_a_slow_client_stops_its_own_server(site: TransparentSite) -> None:
    """Credit is held back while the client's connection is full, and given when it is not."""
    connection = site.begin("GET")
    asked = site.last
    asked.answer(200)
    asked.send(b"x")
    site.settle()
    connection.slow_down()
    for _ in range(100):
        asked.send(bytes(CHUNK))
        site.settle()
    assert asked.paused
    assert len(connection.wire.value()) < WINDOW + 4096
    other = site.begin("GET")
    site.last.answer(200, ("content-length", "1"))
    site.last.send(b"y")
    site.last.end()
    site.settle()
    assert other.answer.is_complete
    asked.end()
    connection.go_on()
    assert len(connection.answer.body) == 1 + 100 * CHUNK
    assert connection.answer.is_complete


def test_small_pieces_for_a_slow_client_are_joined(site: TransparentSite) -> None:
    """A window of bytes sent one by one, while the client does not read: what is kept is a few pieces."""
    connection = site.begin("GET")
    asked = site.last
    asked.answer(200)
    site.settle()
    written: list[int] = []
    write = connection.wire.writeSequence
    connection.wire.writeSequence = lambda data: (written.append(1), write(data))  # type: ignore[method-assign,func-returns-value]  # it counts
    connection.slow_down()
    body = bytes(number % 251 for number in range(20_000))
    for at in range(len(body)):
        asked.send(body[at : at + 1])
        if not at % 50:
            site.settle()
    site.settle()
    assert len(written) < 20
    connection.go_on()
    asked.send(b"end")
    asked.end()
    site.settle()
    assert connection.answer.body == body + b"end"
    assert connection.answer.is_complete


def test_a_client_that_goes_ends_the_request(site: TransparentSite) -> None:
    for with_head in (False, True):
        connection = site.begin("GET")
        if with_head:
            site.last.answer(200)
            site.settle()
        connection.hang_up()
        assert site.last.aborted
        assert streams(site) == 0


@pytest.mark.parametrize(
    ("ran", "status", "outcome"), [(True, 502, "unknown"), (False, 503, "not_delivered")]
)
def test_a_server_that_fails_before_its_head(
    site: TransparentSite, *, ran: bool, status: int, outcome: str
) -> None:
    connection = site.begin(body=PING)
    site.last.fail("broken", may_have_run=ran)
    site.settle()
    message = told(connection, status, outcome)
    assert "broken" in message
    assert ("may have run" in message) is ran
    assert ("safe to try again" in message) is not ran
    assert ("retry-after" in connection.answer.headers) is not ran


def test_a_server_that_fails_without_a_word(site: TransparentSite) -> None:
    connection = site.begin(body=PING)
    site.agent.opened[-1].reset(ErrorCode.INTERNAL_ERROR)
    site.settle()
    assert told(connection, 502, "unknown").startswith("The server 'web' gave no answer. ")


def test_a_server_that_fails_after_its_head(site: TransparentSite) -> None:
    connection = site.begin(body=PING)
    site.last.answer(200)
    site.settle()
    site.last.fail("broken", may_have_run=True)
    site.settle()
    assert broken_off(connection)


def test_a_tunnel_that_is_lost(site: TransparentSite) -> None:
    waiting, running = site.begin(body=PING), site.begin(body=PING)
    site.last.answer(200)
    site.settle()
    site.joined.lose(site.agent)
    message = told(waiting, 502, "unknown")
    assert "The tunnel to the device 'laptop' was lost" in message
    assert "may have run" in message
    assert broken_off(running)


def test_an_answer_before_the_request_is_complete(site: TransparentSite) -> None:
    """The client gets it whole, and what it still sends is dropped."""
    connection = site.begin(fields={"content-length": str(2 * WINDOW)})
    connection.send(bytes(WINDOW))
    site.last.answer(413, ("content-length", "3"))
    site.last.send(b"big")
    site.last.end()
    site.settle()
    assert connection.answer.body == b"big"
    assert streams(site) == 0
    connection.send(bytes(WINDOW) + b"GET /health HTTP/1.1\r\nHost: relay.test\r\n\r\n")
    assert connection.answers[1].status == 200


def test_what_the_agent_is_told_of_a_request(site: TransparentSite) -> None:
    """Who asks, and nothing that a client keeps to itself."""
    site.begin(body=PING, fields={"cookie": "a=b", "x-forwarded-for": "1.2.3.4", "accept": "é"})
    request = site.agent.opened[-1].request
    assert request.principal == "local|alice"
    assert request.client.startswith("key:")
    assert request.path == ""
    names = [name for name, _ in request.headers]
    assert sorted(names) == ["accept", "content-length"]


LISTEN = b'{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen"}'
LISTENS = {"mcp-method": "subscriptions/listen"}


def go_away(site: TransparentSite, which: str) -> None:
    """Let the relay or the agent stop."""
    if which == "relay":
        site.joined.agents.go_away()
    elif site.agent.tunnel is not None:
        site.agent.tunnel.go_away(ErrorCode.NO_ERROR, "the agent is stopping")
    site.settle()


@pytest.mark.parametrize("which", ["relay", "agent"])
def test_a_stream_that_would_last_ends_in_order(site: TransparentSite, which: str) -> None:
    """A GET by its end, a listen by its result; the server is let go. A call's stream goes on."""
    got = site.begin("GET")
    get = site.last
    listened = site.begin(body=LISTEN, fields=LISTENS)
    listen = site.last
    called = site.begin(body=PING)
    call = site.last
    for asked in (get, listen, call):
        asked.answer(200, ("content-type", "text/event-stream"))
        asked.send(b"data: 1\n\n")
    site.settle()
    go_away(site, which)
    assert got.answer.is_complete
    assert got.answer.body == b"data: 1\n\n"
    assert listened.answer.is_complete
    assert listened.answer.events[-1]["result"]["resultType"] == "complete"
    assert listened.answer.events[-1]["id"] == 7
    assert [asked.aborted for asked in (get, listen, call)] == [True, True, False]
    call.send(b"data: 2\n\n")
    call.end()
    site.settle()
    assert called.answer.is_complete
    assert called.answer.body == b"data: 1\n\ndata: 2\n\n"
    assert streams(site) == 0


def test_what_waits_for_a_slow_client_comes_before_the_last_word(site: TransparentSite) -> None:
    """A small event that the client had no room for yet is not lost when somebody stops."""
    listened = site.begin(body=LISTEN, fields=LISTENS)
    site.last.answer(200, ("content-type", "text/event-stream"))
    site.last.send(b"data: 1\n\n")
    site.settle()
    listened.slow_down()
    site.last.send(b'data: {"id": 2}\n\n')
    site.settle()
    go_away(site, "relay")
    assert listened.answer.is_complete
    assert [event.get("id") for event in listened.answer.events[1:]] == [2, 7]


def test_a_stream_that_has_not_begun_is_put_off(site: TransparentSite) -> None:
    listened = site.begin(body=LISTEN, fields=LISTENS)
    go_away(site, "agent")
    assert told(listened, 503, "unknown") == "There is no stream now: somebody is stopping."
    assert listened.answer.headers["retry-after"] == "1"
    assert site.last.aborted


def test_a_file_that_is_fetched_is_no_stream(site: TransparentSite) -> None:
    got = site.begin("GET")
    site.last.answer(200, ("content-type", "application/json"))
    site.settle()
    go_away(site, "relay")
    site.last.send(b"{}")
    site.last.end()
    site.settle()
    assert got.answer.body == b"{}"
    assert got.answer.is_complete
