"""What the relay answers to HTTP that no MCP client would send, over bare sockets."""

import json
from collections.abc import Callable

import pytest

from mcptunnel.wire.constants import SUBPROTOCOL
from tests.programs.client import MODERN
from tests.programs.conftest import Stage
from tests.programs.raw import Connection, Reply, fetch, request

MIB = 1024 * 1024
LIMIT_BYTES = 4 * MIB
HUGE_BYTES = 10 * MIB
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\n\r\n"

META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


def call(stage: Stage, *, seconds: float | None = None, **headers: str) -> bytes:
    """Return a good request: alice calls `add`, or `sleep` for some seconds."""
    name = "modern__add" if seconds is None else "modern__sleep"
    arguments = {"a": 1, "b": 2} if seconds is None else {"seconds": seconds}
    params = {"name": name, "arguments": arguments, "_meta": META}
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
    fields = {
        "authorization": f"Bearer {stage.key}",
        "content_type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp_protocol_version": MODERN,
        "mcp_method": "tools/call",
        "mcp_name": name,
    }
    return request("POST", "/mcp", json.dumps(message).encode(), **{**fields, **headers})


def is_sum(reply: Reply) -> bool:
    return bool(reply.json["result"]["structuredContent"] == {"sum": 3})


@pytest.fixture(autouse=True)
def _still_well(stage: Stage) -> None:
    """Every test here starts with a call that works: the one before broke nothing."""
    assert stage.client(MODERN).call("modern__add", a=1, b=2).text == '{"sum": 3}'


def test_the_good_request_is_good(stage: Stage) -> None:
    """So that the others fail for their own reason."""
    assert is_sum(fetch(stage.relay.port, call(stage)))


def test_health_and_index(stage: Stage) -> None:
    """JSON for programs, a page for people; any Host may ask for /health."""
    health = fetch(stage.relay.port, request("GET", "/health", host="elsewhere.example"))
    assert (health.status, health.json["status"], health.json["tunnel"]) == (200, "ok", "connected")
    index = fetch(stage.relay.port, request("GET", "/", accept="application/json"))
    assert index.json["mcp"] == f"{stage.relay.origin}/mcp"
    page = fetch(stage.relay.port, request("GET", "/", accept="text/html"))
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert f"{stage.relay.origin}/mcp".encode() in page.body
    head = b"HEAD /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with Connection(stage.relay.port) as connection:
        connection.send(head)
        assert connection.rest().endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "path", ["/nothing", "/mcp/more", "/health/more", "/%2e%2e/etc", "//", "/mcp%00"]
)
def test_there_is_json_where_nothing_is(stage: Stage, path: str) -> None:
    reply = fetch(stage.relay.port, request("GET", path))
    assert (reply.status, reply.json["error"]) == (404, "not_found")


def test_where_nobody_signs_in_that_is_told(stage: Stage) -> None:
    """This relay takes keys alone."""
    reply = fetch(stage.relay.port, request("GET", "/authorize"))
    assert (reply.status, reply.json["error"]) == (404, "no_sign_in")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "["])
def test_a_foreign_host_is_refused(stage: Stage, host: str) -> None:
    """As a page under another name would send it (DNS rebinding), good key or not."""
    reply = fetch(stage.relay.port, call(stage, host=host))
    assert reply.status == 421
    assert "error" in reply.json


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]:1", "LOCALHOST:80"])
def test_the_loopback_has_many_names(stage: Stage, host: str) -> None:
    assert is_sum(fetch(stage.relay.port, call(stage, host=host)))


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1"])
def test_a_foreign_origin_is_refused(stage: Stage, origin: str) -> None:
    assert fetch(stage.relay.port, call(stage, origin=origin)).status == 403


def test_our_own_origin_may_call(stage: Stage) -> None:
    assert is_sum(fetch(stage.relay.port, call(stage, origin=stage.relay.origin)))


def test_threat_26_no_page_makes_a_websocket(stage: Stage) -> None:
    """With a good key and from whatever origin; a cookie is no key, and nor is what is in the address."""
    key = stage.relay.key("alice", "agent")
    fields = {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec_websocket_version": "13",
        "sec_websocket_key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "sec_websocket_protocol": SUBPROTOCOL,
    }
    bearer = {"authorization": f"Bearer {key}"}

    def status(path: str = "/tunnel", **more: str) -> int:
        with Connection(stage.relay.port) as connection:
            connection.send(request("GET", path, b"", **fields, **more))
            return connection.reply_head().status

    assert status(**bearer, origin=stage.relay.origin) == 403
    assert status(**bearer, origin="null") == 403
    assert status(cookie=f"key={key}") == 401
    assert status(f"/tunnel?access_token={key}") == 401
    assert status(**bearer) == 101


def test_two_hosts_are_none(stage: Stage) -> None:
    """A proxy in front may have looked at the other one."""
    doubled = call(stage).replace(b"host: localhost", b"host: localhost\r\nhost: evil.example")
    assert fetch(stage.relay.port, doubled).status in (400, 421)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"\xff\xfe", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b"[]", {}, 400),
        (b"null", {}, 400),
        (b"", {}, 400),
        (b"{}", {"content_type": "text/plain"}, 415),
        (b"{}", {"content_type": ""}, 415),
        (b"{}", {"accept": "text/html"}, 406),
        (b"{}", {"authorization": "Basic YTpi"}, 401),
        (b"{}", {"authorization": ""}, 401),
    ],
)
def test_a_bad_request_is_answered_with_json(
    stage: Stage, body: bytes, headers: dict[str, str], status: int
) -> None:
    fields = {
        "authorization": f"Bearer {stage.key}",
        "content_type": "application/json",
        "accept": "application/json, text/event-stream",
    }
    reply = fetch(stage.relay.port, request("POST", "/mcp", body, **{**fields, **headers}))
    assert reply.status == status
    assert "error" in reply.json
    assert b"Traceback" not in reply.body


def test_a_method_that_is_not_offered(stage: Stage) -> None:
    """GET is for sessions alone."""
    for method in ("GET", "PUT", "PATCH", "NONSENSE"):
        asked = request(method, "/mcp", authorization=f"Bearer {stage.key}")
        reply = fetch(stage.relay.port, asked)
        allowed = "POST, DELETE" if method == "GET" else "GET, POST, DELETE"
        assert (reply.status, reply.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"\x00" * 5000,
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Name: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_garbage_ends_its_own_connection(stage: Stage, garbage: bytes) -> None:
    """With 400 at most, or 401 if its head was whole; no page, no traceback, and soon."""
    with Connection(stage.relay.port) as connection:
        connection.send(garbage)
        connection.end()
        said = connection.rest()
    assert said in (b"", BAD_REQUEST) or said.startswith(b"HTTP/1.1 401 ")
    assert BAD_REQUEST not in said[1:]
    assert "Traceback" not in stage.relay.program.log


def test_half_a_request_is_none(stage: Stage) -> None:
    """Cut anywhere in head or body: no answer, no call."""
    whole = call(stage)
    for cut in (1, 10, len(whole) // 2, len(whole) - 1):
        with Connection(stage.relay.port) as connection:
            connection.send(whole[:cut])
            connection.end()
            assert connection.rest() == b""


def test_huge_headers_are_refused(stage: Stage) -> None:
    """One long line, and many lines: the connection ends before they are all read."""
    before = stage.relay.program.rss_bytes
    for fields in (b"x-long: " + b"a" * MIB + b"\r\n", b"x-many: " + b"b" * 90 + b"\r\n"):
        count = MIB // len(fields) + 1
        with Connection(stage.relay.port) as connection:
            try:
                connection.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + fields * count)
                connection.send(b"\r\n")
            except ConnectionError:
                continue
            assert connection.rest() in (b"", BAD_REQUEST)
    assert stage.relay.program.rss_bytes - before < 4 * MIB


def chunked(stage: Stage, size: int) -> bytes:
    """Return a request with a body of so many bytes in chunks of 64 KiB."""
    head = request(
        "POST",
        "/mcp",
        content_length="",
        transfer_encoding="chunked",
        authorization=f"Bearer {stage.key}",
        content_type="application/json",
    )
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    return head + chunk * (size // 65536) + b"0\r\n\r\n"


def stated(stage: Stage, size: int) -> bytes:
    """Return a request whose Content-Length says so many bytes, and that has them."""
    return request(
        "POST",
        "/mcp",
        b" " * size,
        authorization=f"Bearer {stage.key}",
        content_type="application/json",
    )


@pytest.mark.parametrize(
    ("form", "spare_bytes"),
    [(stated, 2 * MIB), (chunked, 3 * LIMIT_BYTES)],  # in chunks it is read up to the limit
    ids=["content-length", "chunked"],
)
def test_an_oversized_body_is_refused_and_not_kept(
    stage: Stage, form: Callable[[Stage, int], bytes], spare_bytes: int
) -> None:
    """A client that sends all of it before it reads gets 413; 50 MB leave the relay as it was."""
    sent = form(stage, HUGE_BYTES)
    before = stage.relay.program.rss_bytes
    for _ in range(5):
        with Connection(stage.relay.port) as connection:
            connection.send(sent)
            reply = connection.reply()
            assert reply.status == 413
            assert str(LIMIT_BYTES) in reply.json["error"]["message"]
            assert connection.rest() == b""
    assert stage.relay.program.rss_bytes - before < spare_bytes


def test_a_body_just_within_the_limit_is_read(stage: Stage) -> None:
    """White space around JSON is JSON."""
    good = call(stage)
    head, _, body = good.partition(b"\r\n\r\n")
    padded = body + b" " * (LIMIT_BYTES - len(body))
    length = b"content-length: %d"
    head = head.replace(length % len(body), length % len(padded))
    assert is_sum(fetch(stage.relay.port, head + b"\r\n\r\n" + padded))


def test_http_1_0(stage: Stage) -> None:
    """With a Host it is served, and the connection ends; without one only /health is."""
    with Connection(stage.relay.port) as connection:
        connection.send(call(stage).replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert is_sum(connection.reply())
        assert connection.rest() == b""
    for path, status in (("/mcp", b"421"), ("/health", b"200")):
        with Connection(stage.relay.port) as connection:
            connection.send(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            assert connection.rest().split()[1] == status


def test_pipelined_requests_are_answered_in_order(stage: Stage) -> None:
    """A slow call first: the quick ones behind it wait their turn."""
    with Connection(stage.relay.port) as connection:
        connection.send(
            call(stage, seconds=0.1) + call(stage) + request("GET", "/health") + call(stage)
        )
        first, second, third, fourth = (connection.reply() for _ in range(4))
    assert first.json["result"]["structuredContent"] == {"seconds": 0.1}
    assert is_sum(second)
    assert third.json["status"] == "ok"
    assert is_sum(fourth)


def test_a_request_may_come_in_drops(stage: Stage) -> None:
    with Connection(stage.relay.port) as connection:
        whole = call(stage)
        for at in range(0, len(whole), 16):
            connection.send(whole[at : at + 16])
        assert is_sum(connection.reply())


def test_expect_continue(stage: Stage) -> None:
    """As curl asks before a large body (RFC 9110, section 10.1.1)."""
    head, _, body = call(stage, expect="100-continue").partition(b"\r\n\r\n")
    with Connection(stage.relay.port) as connection:
        connection.send(head + b"\r\n\r\n")
        assert connection.reply_head().status == 100
        connection.send(body)
        assert is_sum(connection.reply())
