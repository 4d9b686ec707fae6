"""Bodies: in memory, bounded, and refused so that the client gets to hear it."""

from types import SimpleNamespace
from typing import Any

import pytest

from mcptunnel.config.relay import LimitsConfig
from mcptunnel.relay.web.reply import Reply
from mcptunnel.testing.local_server import MemoryServer
from tests.conftest import LoggedFailures
from tests.relay.web.site import Connection, HttpClient, MemorySite, head_of

LIMIT = 4096


@pytest.fixture
def site() -> MemorySite:
    return MemorySite(limits=LimitsConfig(max_request_bytes=LIMIT))


@pytest.fixture
def client(site: MemorySite) -> HttpClient:
    return site.client()


def padded(size: int) -> bytes:
    """Return a request of so many bytes."""
    start, end = b'{"jsonrpc":"2.0","id":1,"method":"', b'"}'
    return start + b"x" * (size - len(start) - len(end)) + end


def begin(client: HttpClient, **headers: str) -> Connection:
    connection = client.site.connection()
    wanted = {**client.headers, **{name.replace("_", "-"): v for name, v in headers.items()}}
    connection.send(head_of("POST", "/mcp", wanted))
    return connection


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def test_the_limit_itself_is_allowed(client: HttpClient) -> None:
    assert client.post(padded(LIMIT)).answer.status == 400
    assert "initialize" in client.post(padded(LIMIT)).answer.json["error"]["message"]


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(client: HttpClient) -> None:
    connection = begin(client, content_length=str(LIMIT + 1))
    answer = connection.answer
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert answer.json["error"]["message"] == f"The request body is larger than {LIMIT} bytes"
    assert answer.is_complete
    assert not connection.is_lost


def test_the_client_hears_it_when_it_has_sent_everything(client: HttpClient) -> None:
    """The connection ends after the body, not before: else a reset could eat the answer."""
    connection = begin(client, content_length=str(2 * LIMIT))
    lost = []
    for _ in range(2):
        connection.send(bytes(LIMIT))
        lost.append(connection.is_lost)
    assert lost == [False, True]
    assert not connection.wire.aborted
    assert connection.answer.status == 413


def test_chunks_that_grow_too_large_are_refused_on_the_way(client: HttpClient) -> None:
    connection = begin(client, transfer_encoding="chunked")
    connection.send(chunk(bytes(LIMIT)))
    assert not connection.answers
    connection.send(chunk(b"x"))
    assert connection.answer.status == 413
    connection.send(chunk(bytes(LIMIT)) + b"0\r\n\r\n")
    assert connection.is_lost
    assert connection.answer.status == 413


@pytest.mark.parametrize("chunked", [True, False])
def test_an_endless_body_is_cut_off_and_never_held(client: HttpClient, *, chunked: bool) -> None:
    headers = {"transfer_encoding": "chunked"} if chunked else {"content_length": str(10**12)}
    connection = begin(client, **headers)
    request = connection._protocol.requests[0]
    for _ in range(1000):
        if connection.is_lost:
            break
        assert request.held_bytes <= LIMIT
        held = request.body_in._held
        assert held is None or held.getbuffer().nbytes <= LIMIT
        connection.send(chunk(bytes(1024)) if chunked else bytes(1024))
    assert connection.wire.aborted
    assert connection.answer.status == 413
    assert request.body_in.received_bytes <= 17 * LIMIT + 2 * 1024


def test_a_refused_body_reaches_nobody(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.site.endpoint, "_endpoint", None)
    connection = begin(client, content_length=str(LIMIT + 1))
    connection.send(padded(LIMIT + 1))
    assert [answer.status for answer in connection.answers] == [413]


def test_chunked_bodies_are_read_whole(client: HttpClient) -> None:
    client.initialize()
    connection = client.site.connection()
    head = head_of(
        "POST",
        "/mcp",
        {
            **client.headers,
            "transfer-encoding": "chunked",
            "mcp-session-id": client.session or "",
        },
    )
    body = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    data = head + b"".join(chunk(bytes([byte])) for byte in body) + b"0\r\n\r\n"
    for start in range(0, len(data), 7):
        connection.send(data[start : start + 7])
    assert connection.answer.json["result"] == {}


def test_large_bodies_stay_in_memory() -> None:
    """Above 100 kB the framework would use a file."""
    site = MemorySite()
    client = site.client()
    answer = client.modern("x" * 20, {"padding": "y" * 500_000}).answer
    assert answer.status == 404


def test_a_request_in_the_making_may_end_at_any_byte(client: HttpClient) -> None:
    """Nothing is held, nothing is logged."""
    data = head_of("POST", "/mcp", {**client.headers, "content-length": "40"}) + bytes(20)
    for end in range(0, len(data), 11):
        connection = client.site.connection()
        connection.send(data[:end])
        connection.hang_up()
        assert not connection.answers


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /health HTTP/1.1\r\nHost: relay.test\r\nX: a\r\n b\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: relay.test\r\n\tX: a\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\n" + (b"X: " + b"x" * 8000 + b"\r\n") * 3 + b"\r\n",
    ],
)
def test_what_is_no_http_is_400(site: MemorySite, data: bytes) -> None:
    connection = site.connection()
    connection.send(data)
    assert connection.wire.value().startswith(b"HTTP/1.1 400 ")
    assert connection.is_lost


def test_an_endpoint_may_take_the_connection_over(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the channel must be done with the request, though there is no body to wait for."""
    took_over: list[bool] = []

    def answer(reply: Reply, *_values: object) -> None:
        took_over.append(not reply._http.queued)
        reply._http.finish()

    monkeypatch.setattr(client.site.endpoint, "_endpoint", SimpleNamespace(answer=answer))
    client.request("GET")
    client.request("GET")  # now the token is known, and nothing is waited for
    assert took_over == [True, True]


def open_request(client: HttpClient, site: MemorySite) -> tuple[Connection, Any]:
    """Return a connection with a request that nobody has answered yet, and the request."""
    server = MemoryServer("files", {"wait": None})
    site.joined.agent(server)
    connection = client.modern("tools/call", {"name": "files__wait"})
    return connection, connection._protocol.requests[-1]


def test_what_is_written_soon_keeps_its_order(client: HttpClient, site: MemorySite) -> None:
    """A write takes it along, and so does the end."""
    connection, request = open_request(client, site)
    request.write_soon(b"one ")
    request.write_soon(b"two ")
    assert connection.wire.value() == b""
    request.write(b"three ")
    request.write_soon(b"four ")
    site.joined.settle()
    request.write_soon(b"five")
    request.finish()
    assert [answer.body for answer in connection.answers] == [b"one two three four five"]
    site.joined.settle()
    assert connection.wire.value().count(b"five") == 1


def test_what_is_written_soon_to_a_client_that_is_gone_is_dropped(
    client: HttpClient, site: MemorySite
) -> None:
    """Whether it went before or after."""
    connection, request = open_request(client, site)
    request.write_soon(b"late")
    connection.hang_up()
    request.write_soon(b"later")
    site.joined.settle()
    assert b"late" not in connection.wire.value()


def test_a_mistake_after_something_was_written_soon_ends_the_connection(
    client: HttpClient, site: MemorySite, logged_failures: LoggedFailures
) -> None:
    """What waits belongs to an answer that cannot be completed: no other may follow it."""
    connection, request = open_request(client, site)
    request.write_soon(b"half an ans")
    try:
        raise RuntimeError
    except RuntimeError:
        request.failed()
    site.joined.settle()
    assert logged_failures.take(RuntimeError)
    assert b"HTTP/1.1 500" not in connection.wire.value()
