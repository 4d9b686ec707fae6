"""A session of 2024-11-05: everything comes on its stream, and it ends with that."""

from typing import Any

import pytest

from mcptunnel.mcp import sse
from mcptunnel.mcp.client_half import sse_session
from mcptunnel.mcp.client_half.unread import DEADLINE_S
from tests.mcp.client_half.stage import ALICE, Asked, FakeHttp, Stage, request
from tests.mcp.client_half.test_sse_endpoint import initialize, session_of


class OldClient:
    """A client of 2024-11-05; `messages` are those it has heard."""

    def __init__(self, stage: Stage, **capabilities: Any) -> None:
        self.stage = stage
        self.stream: FakeHttp = stage.sse()
        self.session = session_of(self.stream)
        assert self.post(initialize(**capabilities)).status == 202
        self.listen = stage.asked.pop()  # for changes; before it comes server/discover
        stage.asked.clear()

    def post(self, message: Any) -> FakeHttp:
        return self.stage.post_sse(self.session, message)

    def call(self, request_id: int = 2) -> Asked:
        self.post(request("tools/call", {"name": "t"}, request_id))
        return self.stage.take()

    @property
    def messages(self) -> list[Any]:
        return self.stream.events


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def client(stage: Stage) -> OldClient:
    return OldClient(stage, roots={}, elicitation={})


def test_initialize_agrees_on_the_version_of_the_transport(client: OldClient) -> None:
    (answer,) = client.messages
    assert answer["id"] == 1
    assert answer["result"]["protocolVersion"] == "2024-11-05"
    assert answer["result"]["serverInfo"]["name"] == "fake"
    assert client.stream.sent == ()
    again = client.post(initialize())
    assert again.status == 202
    assert client.messages[-1]["error"]["code"] == -32600


def test_before_initialize_there_is_only_ping(stage: Stage) -> None:
    stream = stage.sse()
    session = session_of(stream)
    stage.post_sse(session, request("tools/list", {}, 1))
    stage.post_sse(session, request("ping", {}, 2))
    stage.post_sse(session, request("notifications/initialized", {}, None))
    stage.post_sse(session, request("initialize", {}, 3))
    first, second, third = stream.events
    assert first["error"]["message"].startswith("Send initialize first")
    assert second["result"] == {}
    assert third["error"]["code"] == -32602
    assert not stage.asked


def test_a_session_that_cannot_begin_may_be_tried_again(stage: Stage) -> None:
    """And a second attempt while the first is under way is refused."""
    stage.discovers = False
    stream = stage.sse()
    session = session_of(stream)
    stage.post_sse(session, initialize())
    stage.post_sse(session, request("initialize", {"protocolVersion": "2024-11-05"}, 2))
    assert [one["id"] for one in stream.events] == [2]
    stage.take().error(-32603, "no")
    assert stream.events[-1]["error"]["message"] == "no"
    stage.post_sse(session, request("initialize", {"protocolVersion": "2024-11-05"}, 4))
    stage.take().result(capabilities={})
    assert stream.events[-1]["result"]["protocolVersion"] == "2024-11-05"
    stage.take()  # the listen


def test_answers_and_news_come_on_the_stream(client: OldClient) -> None:
    call = client.call()
    assert call.about["protocolVersion"] == "2026-07-28"
    call.notify("notifications/progress", progress=1)
    call.text("done")
    progress, answer = client.messages[-2:]
    assert progress["method"] == "notifications/progress"
    assert (answer["id"], answer["result"]["content"][0]["text"]) == (2, "done")
    assert "resultType" not in answer["result"]
    assert not client.stream.is_over


def test_a_server_asks_on_the_stream(client: OldClient) -> None:
    """For what 2024-11-05 knows: elicitation is not among it."""
    call = client.call()
    assert call.about["clientCapabilities"] == {"roots": {}}
    call.needs({"a": {"method": "roots/list"}})
    question = client.messages[-1]
    assert question["method"] == "roots/list"
    client.post({"jsonrpc": "2.0", "id": question["id"], "result": {"roots": []}})
    again = client.stage.take()
    assert again.params["inputResponses"] == {"a": {"roots": []}}
    again.text("done")
    assert client.messages[-1]["id"] == 2


def test_changes_and_subscriptions(client: OldClient) -> None:
    client.listen.acknowledge(toolsListChanged=True)
    client.listen.notify("notifications/tools/list_changed")
    assert client.messages[-1]["method"] == "notifications/tools/list_changed"
    client.post(request("resources/subscribe", {"uri": "a:1"}, 5))
    listen = client.stage.take()
    listen.acknowledge(resourceSubscriptions=["a:1"])
    assert client.messages[-1] == {"jsonrpc": "2.0", "id": 5, "result": {}}
    listen.notify("notifications/resources/updated", uri="a:1")
    assert client.messages[-1]["params"] == {"uri": "a:1"}


def test_a_call_is_cancelled_by_its_id(client: OldClient) -> None:
    call = client.call()
    before = client.messages
    client.post(request("notifications/cancelled", {"requestId": 2}, None))
    assert call.cancelled
    assert client.messages == before


def test_a_quiet_stream_gets_comments(client: OldClient, stage: Stage) -> None:
    stage.timers.pass_s(61)
    assert client.stream.comments == 4
    client.stream.slow(True)
    stage.timers.pass_s(60)
    assert client.stream.comments == 4


def test_closing_the_stream_ends_the_session(client: OldClient, stage: Stage) -> None:
    call = client.call()
    client.stream.hang_up()
    assert call.cancelled
    assert client.listen.cancelled
    assert client.post(request("ping")).status == 404
    stage.timers.pass_s(60)
    assert stage.timers.count == 0
    assert not stage.endpoint._sse._sessions
    assert not stage.endpoint._streams._open


def test_a_client_that_leaves_while_it_begins(stage: Stage) -> None:
    stage.discovers = False
    stream = stage.sse()
    stage.post_sse(session_of(stream), initialize())
    stream.hang_up()
    assert stage.take().cancelled


def test_a_slow_client_slows_down_what_it_asked_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And if it reads nothing at all its stream ends, with all that was under way."""
    monkeypatch.setattr(sse_session, "MAX_UNREAD_BYTES", 1000)
    client = OldClient(stage)
    call, other = client.call(), client.call(3)
    client.stream.slow(True)
    assert call.held == other.held == [True]
    client.stream.slow(False)
    assert call.held == other.held == [True, False]
    client.stream.slow(True)
    call.text("x" * 900)
    assert not client.stream.is_over
    other.text("x" * 900)
    assert client.stream.is_over


def test_when_we_stop_it_ends_in_order(client: OldClient, stage: Stage) -> None:
    call = client.call()
    stage.stop()
    assert client.stream.is_over
    assert call.cancelled
    assert stage.timers.count == 0


def test_nothing_is_an_event_of_another_kind(client: OldClient) -> None:
    """Only the first one is no message."""
    client.call().text("done")
    kinds = [event.type for event in sse.Parser(10**6).feed(client.stream.body)]
    assert kinds == ["endpoint", "message", "message"]


def test_each_stream_is_a_client_of_its_own_to_the_service(stage: Stage) -> None:
    """From its session on."""
    names = {OldClient(stage).call().asker.client for _ in range(2)}
    assert len(names) == 2
    assert all(name.startswith(f"{ALICE.client} session:") for name in names)


def test_what_a_slow_client_asks_for_is_held_from_the_start(client: OldClient) -> None:
    client.stream.slow(True)
    call = client.call()
    assert call.held == [True]
    client.stream.slow(False)
    assert call.held == [True, False]


def test_a_client_that_takes_nothing_loses_its_session(client: OldClient, stage: Stage) -> None:
    """With what it asked for; and nothing is counted for it any more."""
    call = client.call()
    client.stream.slow(True)
    client.call(3).text("x" * 10_000)
    ends = []
    for wait_s in (DEADLINE_S - 1, 2):
        stage.timers.pass_s(wait_s)
        ends.append(client.stream.is_over)
    assert ends == [False, True]
    assert call.cancelled
    assert not stage.endpoint._streams._open
    assert stage.timers.count == 1  # of the keep-alive, which has nothing to look after
