"""Calls over one channel, over a client of the test's."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.agent.servers.http_handshake import Agreed
from mcptunnel.agent.servers.http_talk import Ended, Told
from mcptunnel.agent.servers.old_calls import OldCalls
from mcptunnel.agent.servers.old_channel import OldChannel
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import Notification, Response
from mcptunnel.mcp.server_half.actions import Deliver
from mcptunnel.mcp.server_half.context import ServerContext
from mcptunnel.mcp.server_half.handshake import ServerInfo
from mcptunnel.mcp.service import Asker
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Outcome
from tests.agent import CLIENT_INFO, STATES, request, tool_call
from tests.agent.servers.http_client import Asked, FakeClient

INFO = ServerInfo(Era.LEGACY, "2024-11-05", jsonrpc.raw({"tools": {"listChanged": True}}))
ASKS: dict[str, object] = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}


class Bench:
    def __init__(self, context: ServerContext | None = None) -> None:
        self.client = FakeClient()
        self.channel = OldChannel(self.client.as_client, "http://127.0.0.1:1/sse", ())
        Deferred.fromCoroutine(self.channel.open())
        self.stream = self.client.last
        self.stream.head()
        self.stream.receiver.data_received(b"event: endpoint\ndata: /messages\n\n")
        self.delivered: list[Deliver] = []
        self.ended: list[Ended] = []
        self.told: list[str] = []
        self.left: list[OldChannel] = []
        self.context = context or ServerContext(CLIENT_INFO, STATES)
        self.clock = Clock()
        self.calls = OldCalls(
            self.clock,
            self.channel,
            Agreed(INFO, None),
            self.context,
            Told(
                self.delivered.append,
                self.ended.append,
                lambda: self.told.append("lists"),
                lambda: self.told.append("over"),
            ),
            self.left.append,
        )
        self.calls.begin()

    def asked(self, key: int = 7) -> Asked:
        self.calls.call(key, tool_call("read", "caller's"))
        return self.client.last

    def say(self, **members: Any) -> None:
        self.stream.event({"jsonrpc": "2.0", **members})


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_call_is_posted_and_answered_on_the_stream(bench: Bench) -> None:
    post = bench.asked()
    assert post.message["id"] > 1, "initialize had that"
    post.status(202)
    bench.say(id=post.message["id"], result={"content": []})
    (delivery,) = bench.delivered
    assert isinstance(delivery.message, Response)
    assert (delivery.key, delivery.message.id) == (7, "caller's")
    bench.calls.cancel(7, "late")
    assert bench.client.last is post


@pytest.mark.parametrize(
    ("end", "detail", "outcome"),
    [
        (lambda post: post.status(404), "answered with HTTP 404", Outcome.NOT_DELIVERED),
        (lambda post: post.fail("broke"), "gave no answer: broke", Outcome.UNKNOWN),
    ],
)
def test_a_call_that_is_not_taken_ends(
    bench: Bench, end: Any, detail: str, outcome: Outcome
) -> None:
    end(bench.asked())
    (ended,) = bench.ended
    assert (ended.key, ended.detail, ended.outcome, ended.ask_again) == (7, detail, outcome, True)


@pytest.mark.parametrize(
    ("end", "may_ask"),
    [(lambda post: post.status(404), False), (lambda post: post.fail("broke"), True)],
)
def test_a_call_that_may_have_been_taken_may_still_ask(
    bench: Bench, end: Any, may_ask: bool
) -> None:
    """For all that is known: so no other client is the only one that the server works for."""
    bench.calls.call(7, tool_call("read"), Asker("local|eve", "key-2"))
    end(bench.client.last)
    questions = bench.calls._conversation._questions
    assert questions.is_only(Asker("local|ken", "key-1")) is not may_ask


def test_what_is_told_without_an_answer_may_get_lost(bench: Bench) -> None:
    bench.asked()
    bench.calls.cancel(7, "gone")
    cancelled = bench.client.last
    assert cancelled.message["method"] == "notifications/cancelled"
    cancelled.status(500)
    assert bench.ended == []


def test_the_end_of_the_stream_is_that_of_all_calls(bench: Bench) -> None:
    for key in (7, 8):
        bench.asked(key)
    bench.stream.fail("gone")
    assert [(one.key, one.detail, one.outcome) for one in bench.ended] == [
        (key, "closed its stream: gone", Outcome.UNKNOWN) for key in (7, 8)
    ]
    assert bench.told == ["over"]


def test_who_retires_leaves_the_channel_and_its_calls(bench: Bench) -> None:
    bench.asked()
    bench.calls.pause(7)
    bench.calls.resume(7)
    bench.calls.retire()
    assert bench.left == [bench.channel]
    assert [one.outcome for one in bench.ended] == [Outcome.UNKNOWN]


def test_changes_and_listens_are_carried(bench: Bench) -> None:
    bench.calls.call(7, request("subscriptions/listen", notifications={"toolsListChanged": True}))
    bench.say(method="notifications/tools/list_changed")
    assert bench.told == ["lists"]
    messages = [one.message for one in bench.delivered]
    assert [one.method for one in messages if isinstance(one, Notification)] == [
        "notifications/subscriptions/acknowledged",
        "notifications/tools/list_changed",
    ]


def test_questions_are_parked_and_given_up(bench: Bench) -> None:
    bench.calls.call(7, request("tools/call", name="ask", _meta=ASKS))
    bench.say(id="q", method="elicitation/create", params={})
    assert bench.calls.parked_count == 1
    (delivery,) = bench.delivered
    assert isinstance(delivery.message, Response)
    state = jsonrpc.decode(delivery.message.result or b"")["requestState"]
    other = Bench(bench.context)
    other.calls.call(8, request("tools/call", name="ask", _meta=ASKS, requestState=state))
    (ended,) = other.ended
    assert (ended.key, ended.outcome) == (8, Outcome.UNKNOWN)
    bench.calls.tick(3600.0)
    assert bench.calls.parked_count == 0
    assert bench.client.last.message["method"] == "notifications/cancelled"
