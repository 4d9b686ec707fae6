"""`/sse` and `/messages`: the hub for clients of 2024-11-05, on the wire."""

import json
from typing import Any

import pytest

from mcptunnel.mcp import sse
from mcptunnel.testing.local_server import MemoryServer
from tests.relay.web.site import Connection, HttpClient, MemorySite


@pytest.fixture
def site() -> MemorySite:
    return MemorySite()


@pytest.fixture
def files(site: MemorySite) -> MemoryServer:
    server = MemoryServer("files", {"read": str, "wait": None})
    site.joined.agent(server)
    return server


@pytest.fixture
def client(site: MemorySite, files: MemoryServer) -> HttpClient:
    assert files.status.name == "files"
    return site.client()


def opened(client: HttpClient) -> tuple[Connection, str]:
    """Open the stream; return it and where to post."""
    stream = client.at("/sse", "GET", accept="text/event-stream")
    (first,) = sse.Parser(10**6).feed(stream.answer.body)
    assert first.type == "endpoint"
    path = first.data.decode()
    assert path.startswith("/messages?session_id=")
    assert len(path) > 60
    return stream, path


def post(
    client: HttpClient, path: str, method: str, params: Any = None, request_id: int | None = 1
) -> int:
    message = {"jsonrpc": "2.0", "method": method, "params": params or {}}
    if request_id is not None:
        message["id"] = request_id
    return client.at(path, "POST", json.dumps(message).encode()).answer.status


def begun(client: HttpClient) -> tuple[Connection, str]:
    stream, path = opened(client)
    about = {"capabilities": {}, "clientInfo": {"name": "old", "version": "1"}}
    assert post(client, path, "initialize", {"protocolVersion": "2024-11-05", **about}) == 202
    assert post(client, path, "notifications/initialized", request_id=None) == 202
    return stream, path


def test_a_whole_conversation(client: HttpClient, site: MemorySite, files: MemoryServer) -> None:
    stream, path = begun(client)
    assert stream.answer.headers["content-type"] == "text/event-stream"
    assert post(client, path, "tools/list", request_id=2) == 202
    assert post(client, path, "tools/call", {"name": "files__wait"}, 3) == 202
    files.calls[0].answer("done")
    files.offer({"more": None})
    site.joined.wait_s(2)
    hello, listed, called, changed = stream.answer.events
    assert hello["result"]["protocolVersion"] == "2024-11-05"
    assert hello["result"]["serverInfo"]["name"] == "mcptunnel"
    assert "files__read" in {tool["name"] for tool in listed["result"]["tools"]}
    assert (called["id"], called["result"]["content"][0]["text"]) == (3, "done")
    assert changed["method"] == "notifications/tools/list_changed"
    site.joined.wait_s(60)
    assert stream.answer.body.count(b":\n\n") >= 3
    stream.hang_up()
    assert post(client, path, "ping") == 404


@pytest.mark.parametrize("path", ["/sse", "/messages?session_id=x"])
def test_both_want_a_key_and_the_right_host(site: MemorySite, path: str) -> None:
    method = "GET" if path == "/sse" else "POST"
    assert site.ask(method, path).status == 401
    key = {"authorization": f"Bearer {site.key()}"}
    assert site.ask(method, path, {**key, "origin": "https://evil.test"}).status == 403
    assert site.ask(method, path, {**key, "host": "evil.test"}).status == 421


def test_only_who_opened_the_stream_may_post(client: HttpClient, site: MemorySite) -> None:
    """Not even another key of the same user."""
    stream, path = begun(client)
    before = stream.answer.body
    assert post(site.client(), path, "tools/list") == 404
    assert post(client, "/messages", "tools/list") == 400
    assert post(client, "/messages?session_id=%00", "tools/list") == 404
    assert stream.answer.body == before


def test_a_revoked_key_ends_the_stream(client: HttpClient, site: MemorySite) -> None:
    stream, path = begun(client)
    site.revoke(site.keys.issued[0].text)
    assert stream.answer.is_complete
    assert post(client, path, "ping") == 401


def test_nothing_is_below(client: HttpClient) -> None:
    assert client.at("/sse/x", "GET").answer.status == 404
    assert client.at("/messages/x", "POST").answer.status == 404
