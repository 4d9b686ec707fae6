"""What a session hears: subscriptions and lists, through one listen on the service."""

from typing import Any

import pytest

from mcptunnel.mcp.client_half.listening import MAX_MISSED, MAX_SUBSCRIPTIONS
from mcptunnel.mcp.client_half.subscribing import ACKNOWLEDGE_S
from tests.mcp.client_half.stage import Asked, LegacyClient, Stage

LISTS = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def client(stage: Stage) -> LegacyClient:
    return stage.client()


def subscribe(client: LegacyClient, uri: str, request_id: int = 1) -> Any:
    return client.request("resources/subscribe", {"uri": uri}, request_id=request_id)


def updated(asked: Asked, uri: str) -> None:
    tag = {"io.modelcontextprotocol/subscriptionId": asked.request.id}
    asked.notify("notifications/resources/updated", uri=uri, _meta=tag)


def subscribed(client: LegacyClient, *uris: str) -> Asked:
    """Subscribe to all; return the listen that is left."""
    for uri in uris:
        http = subscribe(client, uri)
        asked = client.stage.take()
        asked.acknowledge(
            resourceSubscriptions=asked.params["notifications"]["resourceSubscriptions"]
        )
        assert http.json["result"] == {}
    return asked


def test_a_stream_listens_to_all_lists(client: LegacyClient, stage: Stage) -> None:
    """What comes loses the subscription's id, and other members stay."""
    http = client.listen()
    asked = stage.take()
    assert asked.request.method == "subscriptions/listen"
    assert asked.params["notifications"] == LISTS
    assert asked.about["protocolVersion"] == "2026-07-28"
    asked.acknowledge(**LISTS)
    tag = {"io.modelcontextprotocol/subscriptionId": asked.request.id}
    asked.notify("notifications/tools/list_changed", _meta=tag)
    asked.notify("notifications/prompts/list_changed", _meta={**tag, "x/y": 1})
    asked.notify("notifications/resources/list_changed", _meta=5)
    assert http.events == [
        {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"},
        {
            "jsonrpc": "2.0",
            "method": "notifications/prompts/list_changed",
            "params": {"_meta": {"x/y": 1}},
        },
        {"jsonrpc": "2.0", "method": "notifications/resources/list_changed"},
    ]


def test_nothing_else_is_heard(client: LegacyClient, stage: Stage) -> None:
    http = client.listen()
    asked = stage.take()
    asked.notify("notifications/tools/list_changed")
    asked.acknowledge()
    asked.acknowledge()
    asked.notify("notifications/message", level="error", data="x")
    asked.notify("notifications/x")
    assert http.events == []


def test_a_service_that_tells_of_nothing_leaves_the_stream_silent(
    client: LegacyClient, stage: Stage
) -> None:
    """It is not asked again and again."""
    http = client.listen()
    stage.take().error(-32601)
    stage.timers.pass_s(3600)
    assert not stage.asked
    assert not http.is_over
    assert http.comments == 241


def test_a_listen_that_ends_is_begun_again(client: LegacyClient, stage: Stage) -> None:
    """After longer and longer waits; the first acknowledgement makes them short again."""
    client.listen()
    for wait_s in (1, 2, 4, 8, 16, 32, 60, 60):
        stage.take().error(-32603)
        stage.timers.pass_s(wait_s - 0.1)
        assert not stage.asked
        stage.timers.pass_s(0.1)
    asked = stage.take()
    asked.acknowledge()
    asked.result()
    stage.timers.pass_s(1)
    assert len(stage.asked) == 1


def test_what_may_have_changed_while_nothing_was_heard_is_told(
    client: LegacyClient, stage: Stage
) -> None:
    """After a listen that ended: each subscribed resource once, also what is honoured no more."""
    http = client.listen()
    stage.take().acknowledge()
    subscribed(client, "a:1")
    both = subscribed(client, "a:1", "a:2")
    both.result()
    stage.timers.pass_s(1)
    stage.take().acknowledge(resourceSubscriptions=["a:2"])
    assert [event["params"] for event in http.events] == [{"uri": "a:1"}, {"uri": "a:2"}]
    assert client.value.subscriptions == ("a:2",)


def test_leaving_the_stream_ends_the_listen(client: LegacyClient, stage: Stage) -> None:
    http = client.listen()
    asked = stage.take()
    asked.acknowledge()
    http.hang_up()
    assert asked.cancelled == "the session listens no more"
    asked.notify("notifications/tools/list_changed")
    asked.result()
    stage.timers.pass_s(120)
    assert not stage.asked
    assert stage.timers.count == 0


def test_a_subscription_is_answered_when_it_holds(client: LegacyClient, stage: Stage) -> None:
    http = subscribe(client, "file:///a")
    asked = stage.take()
    assert asked.params["notifications"] == {**LISTS, "resourceSubscriptions": ["file:///a"]}
    assert not http.status
    assert client.value.subscriptions == ("file:///a",)
    asked.acknowledge(resourceSubscriptions=["file:///a"])
    assert http.json["result"] == {}


def test_nothing_is_lost_while_the_wishes_change(client: LegacyClient, stage: Stage) -> None:
    """The old listen ends when the new one is acknowledged, not before."""
    http = client.listen()
    stage.take().acknowledge()
    old = subscribed(client, "file:///a")
    subscribe(client, "file:///b")
    new = stage.take()
    assert new.params["notifications"]["resourceSubscriptions"] == ["file:///a", "file:///b"]
    updated(old, "file:///a")
    assert old.is_running
    new.acknowledge(resourceSubscriptions=["file:///a", "file:///b"])
    assert old.cancelled
    updated(old, "file:///never")
    updated(new, "file:///b")
    assert [event["params"]["uri"] for event in http.events] == ["file:///a", "file:///b"]


def test_wishes_that_overtake_each_other(client: LegacyClient, stage: Stage) -> None:
    """Only the last listen counts, and answers all that wait."""
    first, second = subscribe(client, "a:1", 1), subscribe(client, "a:2", 2)
    overtaken, last = stage.asked
    assert overtaken.cancelled
    overtaken.acknowledge(resourceSubscriptions=["a:1"])
    assert not first.status
    last.acknowledge(resourceSubscriptions=["a:1", "a:2"])
    assert (first.status, second.status) == (200, 200)


def test_a_resource_that_is_not_honoured(client: LegacyClient, stage: Stage) -> None:
    subscribed(client, "a:1")
    http = subscribe(client, "a:2")
    stage.take().acknowledge(resourceSubscriptions=["a:1"])
    assert http.code == -32602
    assert "'a:2'" in http.json["error"]["message"]
    assert client.value.subscriptions == ("a:1",)


def test_a_resource_that_is_honoured_no_more(client: LegacyClient, stage: Stage) -> None:
    """It is told as updated, once, so that the client reads it and hears why; then it is forgotten."""
    subscribed(client, "a:1")
    http = client.listen()
    second = subscribe(client, "a:2")
    stage.take().acknowledge(resourceSubscriptions=["a:2"])
    assert second.json["result"] == {}
    assert [event["params"] for event in http.events] == [{"uri": "a:1"}]
    assert client.value.subscriptions == ("a:2",)
    subscribe(client, "a:3")
    asked = stage.take()
    assert asked.params["notifications"]["resourceSubscriptions"] == ["a:2", "a:3"]
    asked.acknowledge(resourceSubscriptions=["a:2", "a:3"])
    assert len(http.events) == 1


@pytest.mark.parametrize("honoured", [{}, {"resourceSubscriptions": 5}])
def test_an_acknowledgement_that_says_nothing(
    client: LegacyClient, stage: Stage, honoured: dict[str, Any]
) -> None:
    http = subscribe(client, "a:1")
    stage.take().acknowledge(**honoured)
    assert http.code == -32602


def test_a_subscription_that_fails_is_none(client: LegacyClient, stage: Stage) -> None:
    """And those before it hold."""
    old = subscribed(client, "a:1")
    http = subscribe(client, "a:2")
    stage.take().error(-32601, "no listening here")
    assert (http.status, http.code) == (200, -32601)
    assert client.value.subscriptions == ("a:1",)
    assert old.cancelled is None
    http = subscribe(client, "a:2")
    stage.take().result()
    assert http.code == -32601


def test_what_comes_without_a_stream_waits_for_one(client: LegacyClient, stage: Stage) -> None:
    """Once of each kind, in the order of the first."""
    asked = subscribed(client, "a:1", "a:2")
    for uri in ("a:2", "a:1", "a:2"):
        updated(asked, uri)
    asked.notify("notifications/tools/list_changed")
    http = client.listen()
    assert [event.get("params", {}).get("uri") for event in http.events] == ["a:2", "a:1", None]
    assert not stage.asked
    http.hang_up()
    assert asked.cancelled is None
    assert client.listen().events == []


def test_what_waits_is_bounded(client: LegacyClient) -> None:
    asked = subscribed(client, "a:1")
    for number in range(MAX_MISSED + 5):
        updated(asked, f"a:1/{number}")
    events = client.listen().events
    assert len(events) == MAX_MISSED
    assert events[0]["params"]["uri"] == "a:1/5"


def test_what_waits_is_bounded_in_bytes(client: LegacyClient) -> None:
    """Only what changed is kept, not what is said of it, and long names push out older ones."""
    asked = subscribed(client, "a:1")
    for number in range(5):
        asked.notify("notifications/resources/updated", uri=f"a:{number}", more="x" * 200_000)
    assert len(client.listen().events) == 5
    client.listen().hang_up()
    for number in range(5):
        updated(asked, f"a:1/{number}/{'x' * 100_000}")
    events = client.listen().events
    assert [event["params"]["uri"][:5] for event in events] == ["a:1/3", "a:1/4"]


def test_unsubscribing(client: LegacyClient, stage: Stage) -> None:
    asked = subscribed(client, "a:1", "a:2")
    assert client.request("resources/unsubscribe", {"uri": "a:1"}).json["result"] == {}
    smaller = stage.take()
    assert smaller.params["notifications"]["resourceSubscriptions"] == ["a:2"]
    smaller.acknowledge(resourceSubscriptions=["a:2"])
    assert asked.cancelled
    assert client.request("resources/unsubscribe", {"uri": "a:2"}).json["result"] == {}
    assert smaller.cancelled
    assert not stage.asked
    assert client.request("resources/unsubscribe", {"uri": "a:2"}).json["result"] == {}


def test_a_subscribe_that_is_cancelled(client: LegacyClient, stage: Stage) -> None:
    http = subscribe(client, "a:1")
    client.notify("notifications/cancelled", requestId=1)
    assert http.status == 202
    assert client.value.subscriptions == ()
    assert stage.take().cancelled


def test_a_subscribe_is_answered_though_it_is_undone_before_it_holds(
    client: LegacyClient, stage: Stage
) -> None:
    http = subscribe(client, "a:1")
    assert (
        client.request("resources/unsubscribe", {"uri": "a:1"}, request_id=2).json["result"] == {}
    )
    assert http.code == -32602
    assert stage.take().cancelled
    assert client.value.subscriptions == ()
    stage.timers.pass_s(ACKNOWLEDGE_S)
    assert stage.timers.count == 0


def test_who_subscribes_twice_and_cancels_one_is_subscribed(
    client: LegacyClient, stage: Stage
) -> None:
    """Whether the other waits as well, or holds already; until both are cancelled."""
    first, second = subscribe(client, "a:1", 1), subscribe(client, "a:1", 2)
    client.notify("notifications/cancelled", requestId=1)
    older, newer = stage.asked
    stage.asked.clear()
    assert older.cancelled
    newer.acknowledge(resourceSubscriptions=["a:1"])
    assert (first.status, second.json["result"]) == (202, {})
    subscribe(client, "a:1", 3)
    client.notify("notifications/cancelled", requestId=3)
    assert client.value.subscriptions == ("a:1",)
    for request_id in (4, 5):
        subscribe(client, "a:2", request_id)
    for request_id in (4, 5):
        client.notify("notifications/cancelled", requestId=request_id)
    assert client.value.subscriptions == ("a:1",)
    stage.timers.pass_s(ACKNOWLEDGE_S)
    assert stage.timers.count == 0


@pytest.mark.parametrize("has_stream", [False, True])
def test_a_service_that_does_not_acknowledge(
    client: LegacyClient, stage: Stage, has_stream: bool
) -> None:
    """The client hears so after a while; what it had heard of before goes on."""
    asked = subscribed(client, "a:1")
    if has_stream:
        client.listen()
    http = subscribe(client, "a:2", 2)
    again = subscribe(client, "a:1", 3)
    stage.timers.pass_s(ACKNOWLEDGE_S - 0.1)
    assert not http.is_over
    stage.timers.pass_s(0.1)
    for each in (http, again):
        (error,) = [event["error"] for event in each.events]
        assert "has not acknowledged" in error["message"]
    assert client.value.subscriptions == ("a:1",)
    updated(asked, "a:1")
    assert not asked.cancelled


def test_subscriptions_are_bounded(client: LegacyClient, stage: Stage) -> None:
    for number in range(MAX_SUBSCRIPTIONS):
        subscribed(client, f"a:{number}")
    assert subscribe(client, "a:more").code == -32602
    assert not stage.asked
    other = stage.client()
    for number in range(8):
        subscribed(other, f"a:{number}".ljust(8 * 1024, "x"))
    assert subscribe(other, "a:y".ljust(8 * 1024, "x")).code == -32602


def test_a_session_that_ends_listens_no_more(client: LegacyClient, stage: Stage) -> None:
    http = client.listen()
    asked = stage.take()
    asked.acknowledge()
    waiting = subscribe(client, "a:1")
    client.delete()
    assert http.is_over
    assert waiting.code == -32603
    assert asked.cancelled
    assert stage.take().cancelled
    stage.timers.pass_s(60)
    assert stage.timers.count == 0


def test_a_remembered_session_listens_to_what_it_wished(stage: Stage, client: LegacyClient) -> None:
    """As after a restart: the first GET brings all back."""
    subscribed(client, "a:1")
    another = Stage()
    another.sessions.all = dict(stage.sessions.all)
    client.stage = another
    client.listen()
    assert another.take().params["notifications"]["resourceSubscriptions"] == ["a:1"]


def test_a_service_that_answers_at_once(client: LegacyClient, stage: Stage) -> None:
    """Before its request returns: with an acknowledgement, with the end, or with both."""

    def acknowledge(asked: Asked) -> None:
        stage.asked.append(asked)
        asked.acknowledge(resourceSubscriptions=["a:1"])
        asked.notify("notifications/tools/list_changed")

    stage.at_once = acknowledge
    assert subscribe(client, "a:1").json["result"] == {}
    asked = stage.take()
    http = client.listen()
    assert len(http.events) == 1
    assert client.request("resources/unsubscribe", {"uri": "a:1"}).json["result"] == {}
    assert asked.cancelled == "the session listens no more"


def test_a_service_that_refuses_at_once(client: LegacyClient, stage: Stage) -> None:
    stage.at_once = lambda asked: asked.error(-32601)
    stage.ends_at_once = True
    assert subscribe(client, "a:1").code == -32601
    assert client.value.subscriptions == ()
    assert client.listen().status == 200
    stage.timers.pass_s(100)


def test_a_service_that_is_told_to_stop_before_it_has_begun(
    client: LegacyClient, stage: Stage
) -> None:
    """The session ends while its listen is being opened."""

    def end(asked: Asked) -> None:
        stage.asked.append(asked)
        client.delete()

    stage.at_once = end
    http = client.listen()
    assert http.is_over
    assert stage.take().cancelled == "nobody listens any more"


def test_a_session_of_an_earlier_process_listens_again(client: LegacyClient, stage: Stage) -> None:
    """With its first request, whatever that is; what comes waits for its stream."""
    subscribed(client, "a:1")
    now = Stage()
    now.sessions.all.update(stage.sessions.all)
    client.stage = now
    client.request("ping")
    asked = now.take()
    assert asked.params["notifications"] == {**LISTS, "resourceSubscriptions": ["a:1"]}
    asked.acknowledge(resourceSubscriptions=["a:1"])
    updated(asked, "a:1")
    client.request("ping")
    http = client.listen()
    assert not now.asked
    assert [event["params"]["uri"] for event in http.events] == ["a:1"]


def test_a_session_with_a_stream_is_in_use(client: LegacyClient, stage: Stage) -> None:
    assert not stage.sessions.is_open(client.session)
    http = client.listen()
    assert stage.sessions.is_open(client.session)
    http.hang_up()
    assert not stage.sessions.is_open(client.session)
    assert not stage.sessions.is_open("another")
