"""`/mcp` for clients whose streams last: questions, GET streams, long calls, batches; on the wire."""

from typing import Any

import pytest

from mcptunnel.testing.local_server import MemoryServer
from tests.relay.hub.servers import with_resources
from tests.relay.web.site import HttpClient, MemorySite

FORM = {"method": "elicitation/create", "params": {"mode": "form", "message": "Sure?"}}


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


def test_a_server_asks_a_legacy_client(
    client: HttpClient, files: MemoryServer, site: MemorySite
) -> None:
    """From the local server to the client and back, within one call."""
    client.initialize(capabilities={"elicitation": {}})
    call = client.legacy("tools/call", {"name": "files__wait"}, request_id="c")
    about = bytes(files.requests[-1].params["_meta"])
    assert b'/clientCapabilities":{"elicitation":{"form":{}}}' in about
    files.calls[0].answer(
        {"resultType": "input_required", "inputRequests": {"k": FORM}, "requestState": "s"}
    )
    site.joined.settle()
    (question,) = call.answer.events
    assert question["method"] == "elicitation/create"
    answer = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}}
    assert client.post(answer).answer.status == 202
    again = files.requests[-1].params
    assert bytes(again["inputResponses"]) == b'{"k":{"action": "decline"}}'
    assert bytes(again["requestState"]) == b'"s"'
    files.calls[1].answer("done")
    site.joined.settle()
    assert call.answer.events[-1]["id"] == "c"
    assert call.answer.events[-1]["result"]["content"][0]["text"] == "done"
    assert call.answer.is_complete


def test_a_get_stream_is_held_open(client: HttpClient, site: MemorySite) -> None:
    """With comments; leaving it hurts nobody."""
    client.initialize()
    stream = client.request("GET", accept="text/event-stream")
    assert stream.answer.status == 200
    assert stream.answer.headers["content-type"] == "text/event-stream"
    assert stream.answer.headers["x-accel-buffering"] == "no"
    site.joined.wait_s(60)
    assert stream.answer.body.count(b":\n\n") >= 4
    assert not stream.answer.is_complete
    stream.slow_down()
    stream.go_on()
    stream.hang_up()
    assert client.legacy("ping").answer.status == 200


def test_a_second_get_takes_the_place_of_the_first(client: HttpClient) -> None:
    client.initialize()
    first = client.request("GET", accept="text/event-stream")
    second = client.request("GET", accept="text/event-stream")
    assert first.answer.is_complete
    assert not second.answer.is_complete


@pytest.mark.parametrize("end", ["end_streams", "stop"])
def test_we_end_streams_in_order(client: HttpClient, site: MemorySite, end: str) -> None:
    client.initialize()
    stream = client.request("GET", accept="text/event-stream")
    getattr(site.endpoint, end)()
    assert stream.answer.is_complete


def test_a_revoked_key_ends_what_it_has_open(site: MemorySite, client: HttpClient) -> None:
    """And nothing of another key of the same user."""
    other = site.client()
    streams = []
    for one in (client, other):
        one.initialize()
        streams.append(one.request("GET", accept="text/event-stream"))
    site.revoke(site.keys.issued[0].text)
    assert [stream.answer.is_complete for stream in streams] == [True, False]
    assert client.legacy("ping").answer.status == 401
    assert other.legacy("ping").answer.status == 200
    assert len(site.sessions) == 1


@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_a_long_call_becomes_a_stream(
    site: MemorySite, client: HttpClient, files: MemoryServer, era: str
) -> None:
    client.initialize()
    ask: Any = client.modern if era == "modern" else client.legacy
    call = ask("tools/call", {"name": "files__wait"})
    site.joined.wait_s(4)
    assert not call.answers
    site.joined.wait_s(4)
    assert call.answer.headers["content-type"] == "text/event-stream"
    assert call.answer.body == b":\n\n"
    files.calls[0].answer("done")
    site.joined.settle()
    assert call.answer.events[-1]["result"]["content"][0]["text"] == "done"
    assert call.answer.is_complete


def test_a_batch(client: HttpClient) -> None:
    client.initialize("2025-03-26")
    params = {"name": "files__read", "arguments": {"a": 1}}
    answer = client.post(
        [
            {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params},
            {"jsonrpc": "2.0", "method": "notifications/initialized"},
            {"jsonrpc": "2.0", "id": 2, "method": "ping"},
        ]
    ).answer
    assert {one["id"] for one in answer.json} == {1, 2}


@pytest.fixture
def shelf(site: MemorySite, files: MemoryServer) -> MemoryServer:
    """A server with a resource that can be listened to."""
    assert files.status.name == "files"
    shelf = with_resources("shelf", "file:///x")
    site.joined.agent(shelf, name="tower")
    return shelf


def test_a_subscription_of_a_legacy_client(
    client: HttpClient, site: MemorySite, shelf: MemoryServer
) -> None:
    """What the server tells of it comes on the GET stream, as 2025-11-25 knows it."""
    client.initialize()
    client.legacy("resources/list")
    unknown = client.legacy("resources/subscribe", {"uri": "other:///y"})
    assert client.legacy("resources/subscribe", {"uri": "file:///x"}).answer.json["result"] == {}
    stream = client.request("GET", accept="text/event-stream")
    site.joined.wait_s(1)
    assert shelf.listens[-1].wishes["resourceSubscriptions"] == ["file:///x", "other:///y"]
    assert unknown.answer.json["result"] == {}
    shelf.tell("notifications/resources/updated", uri="file:///x")
    site.joined.settle()
    (event,) = stream.answer.events
    assert event == {
        "jsonrpc": "2.0",
        "method": "notifications/resources/updated",
        "params": {"uri": "file:///x"},
    }
    client.legacy("resources/unsubscribe", {"uri": "file:///x"})
    site.joined.wait_s(1)
    assert shelf.listens[-1].wishes["resourceSubscriptions"] == ["other:///y"]


def test_a_resource_of_nobody_cannot_be_subscribed_to(client: HttpClient) -> None:
    client.initialize()
    client.legacy("resources/list")
    client.legacy("resources/templates/list")
    answer = client.legacy("resources/subscribe", {"uri": "file:///x"}).answer
    assert answer.json["error"]["code"] == -32602
    assert "does not tell of changes of 'file:///x'" in answer.json["error"]["message"]


def test_a_modern_listen_bears_its_own_id(
    client: HttpClient, site: MemorySite, shelf: MemoryServer
) -> None:
    """Once, whatever id the server's own listen has; and it ends with a result."""
    client.modern("resources/list")
    wishes = {"toolsListChanged": True, "resourceSubscriptions": ["file:///x"]}
    listen = client.modern("subscriptions/listen", {"notifications": wishes}, request_id="mine")
    site.joined.wait_s(1)
    shelf.tell("notifications/resources/updated", uri="file:///x", _other=1)
    site.joined.agent(MemoryServer("more", {"t": None}), name="third")
    site.joined.wait_s(2)
    site.endpoint.end_streams()
    tagged = {"io.modelcontextprotocol/subscriptionId": "mine"}
    acknowledged, updated, changed, ended = listen.answer.events
    assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
    assert acknowledged["params"] == {"notifications": wishes, "_meta": tagged}
    assert updated["params"] == {"uri": "file:///x", "_other": 1, "_meta": tagged}
    assert changed["method"] == "notifications/tools/list_changed"
    assert changed["params"] == {"_meta": tagged}
    assert ended["result"] == {"resultType": "complete", "_meta": tagged}
    assert listen.answer.is_complete
    site.joined.wait_s(1)
    assert shelf.listens[-1].cancelled
