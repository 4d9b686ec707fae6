"""A modern client's subscriptions."""

from typing import Any

import pytest

from mcptunnel.mcp.client_half.streams import MAX_STREAMS
from mcptunnel.mcp.service import Asker
from tests.mcp.client_half.stage import ALICE, FakeHttp, Stage

TAG = "io.modelcontextprotocol/subscriptionId"
LISTEN = "subscriptions/listen"
WANTED: dict[str, Any] = {"notifications": {"toolsListChanged": True}}


@pytest.fixture
def stage() -> Stage:
    return Stage()


def tags(http: FakeHttp) -> list[Any]:
    return [
        event.get("params", event.get("result", {})).get("_meta", {}).get(TAG)
        for event in http.events
    ]


@pytest.mark.parametrize("request_id", ["7", 7])
def test_everything_bears_the_clients_own_id(stage: Stage, request_id: int | str) -> None:
    """With its JSON type, whatever the service wrote; other members of `_meta` stay."""
    http = stage.modern(LISTEN, WANTED, request_id=request_id)
    asked = stage.take()
    assert asked.params["notifications"] == {"toolsListChanged": True}
    asked.acknowledge(toolsListChanged=True)
    asked.notify("notifications/tools/list_changed", _meta={TAG: "another", "x/y": 1})
    asked.notify("notifications/resources/updated", uri="file:///x")
    asked.result(_meta={TAG: "another"})
    assert tags(http) == [request_id] * 4
    assert http.events[1]["params"]["_meta"]["x/y"] == 1
    assert http.events[3]["id"] == request_id
    assert http.is_over


def test_nothing_comes_before_the_acknowledgement(stage: Stage) -> None:
    """And never what belongs to other requests."""
    http = stage.modern(LISTEN, WANTED)
    asked = stage.take()
    asked.notify("notifications/tools/list_changed")
    assert not http.status
    asked.acknowledge()
    asked.notify("notifications/message", level="info", data="x")
    asked.notify("notifications/progress", progressToken=1, progress=1)
    assert [event["method"] for event in http.events] == [
        "notifications/subscriptions/acknowledged"
    ]


def test_malformed_members_do_no_harm(stage: Stage) -> None:
    http = stage.modern(LISTEN, WANTED)
    asked = stage.take()
    asked.acknowledge()
    asked.notify("notifications/tools/list_changed", _meta=5)
    asked.result(_meta=[])
    assert tags(http) == [1, 1]
    assert http.events[-1]["result"]["resultType"] == "complete"


def test_it_is_held_open_with_comments(stage: Stage) -> None:
    http = stage.modern(LISTEN, WANTED)
    asked = stage.take()
    asked.acknowledge()
    stage.timers.pass_s(3600)
    assert http.comments == 240
    assert not http.is_over
    http.hang_up()
    assert asked.cancelled == "the client closed the stream"
    stage.timers.pass_s(60)
    assert stage.timers.count == 0


def test_an_error_keeps_its_status(stage: Stage) -> None:
    http = stage.modern(LISTEN, WANTED)
    stage.take().error(-32601)
    assert (http.status, http.code) == (404, -32601)


def test_it_needs_an_event_stream(stage: Stage) -> None:
    http = stage.modern(LISTEN, WANTED, accept="application/json", request_id="x")
    assert (http.status, http.code, http.json["id"]) == (406, -32600, "x")
    assert not stage.asked


def test_we_end_it_with_a_result(stage: Stage) -> None:
    """Before the stream ends, so that the client knows it was no accident; once."""
    http = stage.modern(LISTEN, WANTED, request_id="x")
    asked = stage.take()
    asked.acknowledge()
    stage.endpoint.end_streams()
    stage.stop()
    assert http.last == {
        "jsonrpc": "2.0",
        "id": "x",
        "result": {"resultType": "complete", "_meta": {TAG: "x"}},
    }
    assert http.is_over
    assert asked.cancelled == "the subscription was ended"
    assert stage.timers.count == 0


@pytest.mark.parametrize("is_revoked", [True, False])
def test_without_access_it_ends_in_order(stage: Stage, is_revoked: bool) -> None:
    """Also when it only expired: it would last for ever."""
    hers, his = stage.modern(LISTEN, WANTED), stage.modern(LISTEN, WANTED)
    for asked in stage.asked:
        asked.acknowledge()
    assert hers.watcher is not None
    hers.watcher.access_ended(is_revoked)
    assert hers.is_over
    assert hers.last["result"]["resultType"] == "complete"
    assert [asked.cancelled for asked in stage.asked] == ["the subscription was ended", None]
    assert not his.is_over


def test_a_principal_may_have_so_many(stage: Stage) -> None:
    """Of all its clients together; another has room."""
    streams = [stage.modern(LISTEN, WANTED) for _ in range(MAX_STREAMS)]
    other = Asker(ALICE.principal, "key:other")
    refused = stage.modern(LISTEN, WANTED, asker=other, request_id=9)
    assert (refused.status, refused.code, refused.json["id"]) == (429, -32603, 9)
    assert not stage.modern(LISTEN, WANTED, asker=Asker("local|bob", "key:b")).status
    streams[0].hang_up()
    assert not stage.modern(LISTEN, WANTED, asker=other).status
