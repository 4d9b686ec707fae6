"""Listens on legacy servers that have resources, and do not say whether they tell of them."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mcptunnel.mcp.server_half.actions import Deliver
from mcptunnel.mcp.server_half.emulated_listens import ACKNOWLEDGE_S
from tests.mcp.server_half.bench import EVE, KEN, Bench, info
from tests.mcp.server_half.talk import delivered, written
from tests.mcp.server_half.test_emulated_listens import ACK, ID, UPDATED, heard

URIS = ["a", "a/b", "c"]
DOUBTFUL = info(capabilities={"tools": {"listChanged": True}, "resources": {"listChanged": True}})
"""A server that has resources, and does not say whether it tells of them."""


def doubtful(*uris: str, **lists: Any) -> tuple[Bench, int, list[int]]:
    """Listen at such a server; return the key of the listen and the ids of what the server is asked."""
    bench = Bench(DOUBTFUL)
    key = bench.listen(KEN, resourceSubscriptions=list(uris), **lists)
    actions = bench.take()
    assert delivered(actions) == []
    asked = written(actions)
    assert [line["params"]["uri"] for line in asked] == sorted(uris)
    return bench, key, [line["id"] for line in asked]


def honoured(bench: Bench) -> list[tuple[int, Any]]:
    """Whose listens were acknowledged since the last look, and with what."""
    told = [(key, message) for key, message in bench.heard() if message.get("method") == ACK]
    return [(key, message["params"]["notifications"]) for key, message in told]


def refuse(bench: Bench, own: int) -> None:
    bench.say(id=own, error={"code": -32601, "message": "Method not found"})


def test_what_a_server_does_not_declare_is_tried_and_acknowledged_as_it_says() -> None:
    """The next listen hears of what is known, and the server is not asked again."""
    bench, key, (taken, refused) = doubtful("a", "b", toolsListChanged=True)
    refuse(bench, refused)
    assert bench.take() == []
    bench.say(id=taken, result={})
    wishes = {"toolsListChanged": True, "resourceSubscriptions": ["a"]}
    assert honoured(bench) == [(key, wishes)]
    again = bench.listen(EVE, resourceSubscriptions=["a", "b"])
    assert honoured(bench) == [(again, {"resourceSubscriptions": ["a"]})]
    only = bench.listen(resourceSubscriptions=["b"])
    assert honoured(bench) == [(only, {})]
    bench.say(method=UPDATED, params={"uri": "a"})
    assert [told for told, _, _ in heard(bench)] == [key, again]
    bench.conversation.cancel(only, "gone")
    bench.conversation.cancel(key, "gone")
    assert bench.take() == []
    bench.conversation.cancel(again, "gone")
    assert [(line["method"], line["params"]["uri"]) for line in bench.sent()] == [
        ("resources/unsubscribe", "a")
    ]


def test_without_a_uri_nothing_waits() -> None:
    bench = Bench(DOUBTFUL)
    key = bench.listen(toolsListChanged=True)
    assert honoured(bench) == [(key, {"toolsListChanged": True})]


def test_changed_resources_may_be_taken_after_all() -> None:
    bench, _, (own,) = doubtful("a")
    refuse(bench, own)
    bench.take()
    bench.say(method="notifications/resources/list_changed")
    key = bench.listen(resourceSubscriptions=["a"])
    (again,) = bench.sent()
    bench.say(id=again["id"], result={})
    assert honoured(bench) == [(key, {"resourceSubscriptions": ["a"]})]


def test_news_wait_for_the_acknowledgement() -> None:
    """Of several alike the last one is told, and nothing of what was refused."""
    bench, key, (taken, refused) = doubtful("a", "b", toolsListChanged=True)
    for title in ("old", "new"):
        bench.say(method=UPDATED, params={"uri": "a", "title": title})
    bench.say(method=UPDATED, params={"uri": "b"})
    bench.say(method="notifications/tools/list_changed")
    assert bench.heard() == []
    refuse(bench, refused)
    bench.say(id=taken, result={})
    (_, first), (_, second), (_, third) = bench.heard()
    assert first["method"] == ACK
    assert second["params"] == {"uri": "a", "title": "new", "_meta": {ID: "listen"}}
    assert third["method"] == "notifications/tools/list_changed"
    bench.conversation.cancel(key, "gone")


def test_a_server_that_does_not_answer_is_believed_and_may_refuse_yet() -> None:
    """Then the listen ends with its result; others go on."""
    bench, key, (own, late) = doubtful("a", "b")
    other = bench.listen(EVE, request_id="other", resourceSubscriptions=["a"])
    bench.pass_seconds(1000)
    bench.pass_seconds(ACKNOWLEDGE_S - 1)
    assert bench.take() == []
    bench.pass_seconds(1)
    both = ["a", "b"]
    assert honoured(bench) == [
        (key, {"resourceSubscriptions": both}),
        (other, {"resourceSubscriptions": ["a"]}),
    ]
    bench.say(id=own, result={})
    refuse(bench, late)
    ((ended, message),) = bench.heard()
    assert (ended, message["result"]["resultType"]) == (key, "complete")
    bench.say(method=UPDATED, params={"uri": "a"})
    assert [told for told, _, _ in heard(bench)] == [other]
    bench.pass_seconds(100)
    assert bench.take() == []


def test_a_fresh_process_that_refuses_ends_the_listen() -> None:
    """It was told that it would hear; what else it subscribed to is given up."""
    bench, key, owns = doubtful("a", "b")
    for own in owns:
        bench.say(id=own, result={})
    bench.take()
    after = Bench(DOUBTFUL, context=bench.context)
    first, second = after.sent()
    after.say(id=first["id"], result={})
    refuse(after, second["id"])
    actions = after.take()
    ((ended, message),) = delivered(actions)
    assert (ended, message["result"]["resultType"]) == (key, "complete")
    assert [(line["method"], line["params"]["uri"]) for line in written(actions)] == [
        ("resources/unsubscribe", "a")
    ]


def test_a_listen_that_waits_is_acknowledged_by_the_conversation_that_follows() -> None:
    """Once, whatever the retired one still hears."""
    bench, key, (own,) = doubtful("a", toolsListChanged=True)
    bench.conversation.retire()
    after = Bench(DOUBTFUL, context=bench.context)
    (asked,) = after.sent()
    bench.say(id=own, result={})
    bench.say(method="notifications/tools/list_changed")
    bench.pass_seconds(1000)
    bench.pass_seconds(1000)
    assert [told for told in bench.take() if isinstance(told, Deliver)] == []
    after.say(id=asked["id"], result={})
    assert honoured(after) == [
        (key, {"toolsListChanged": True, "resourceSubscriptions": ["a"]}),
    ]


def test_a_listen_that_ends_while_it_waits_is_forgotten() -> None:
    bench, key, (own,) = doubtful("a")
    bench.conversation.cancel(key, "gone")
    assert [line["method"] for line in bench.sent()] == ["resources/unsubscribe"]
    bench.say(id=own, result={})
    bench.pass_seconds(1)
    bench.pass_seconds(100)
    assert bench.take() == []


class Trying(RuleBasedStateMachine):
    """A server that does not declare subscriptions takes some URIs and refuses others, in any order.

    It has what is wanted and not refused; nobody is told that a refused URI is honoured; what it
    refused it is not asked for again; and once it has answered nobody waits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(DOUBTFUL)
        self.keys = iter(range(1, 10_000))
        self.wanted: dict[int, set[str]] = {}
        self.honoured: dict[int, set[str]] = {}
        self.open: dict[int, str] = {}
        self.latest: dict[str, int] = {}
        self.subscribed: set[str] = set()
        self.refused: set[str] = set()

    def perform(self) -> None:
        actions = self.bench.take()
        for line in written(actions):
            uri = line["params"]["uri"]
            if line["method"] == "resources/subscribe":
                assert uri not in self.refused
                self.open[line["id"]], self.latest[uri] = uri, line["id"]
            else:
                self.subscribed.discard(uri)
                self.latest.pop(uri, None)
        for key, message in delivered(actions):
            if "result" in message:
                assert self.honoured.pop(key) & self.refused
                del self.wanted[key]
            elif message["method"] == ACK:
                assert key not in self.honoured
                told = message["params"]["notifications"].get("resourceSubscriptions", [])
                self.honoured[key] = set(told)
            else:
                assert key in self.honoured

    @rule(uris=st.sets(st.sampled_from(URIS)))
    def listen(self, uris: set[str]) -> None:
        if len(self.wanted) >= 20:
            return
        key = next(self.keys)
        self.bench._keys = iter([key])
        self.wanted[key] = uris
        self.bench.listen(KEN if key % 2 else EVE, resourceSubscriptions=sorted(uris))
        self.perform()
        if uris <= self.refused | self.subscribed:
            assert self.honoured[key] == uris - self.refused

    @precondition(lambda self: self.wanted)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.wanted)))
        del self.wanted[key]
        self.honoured.pop(key, None)
        self.bench.conversation.cancel(key, "gone")
        self.perform()

    @precondition(lambda self: self.open)
    @rule(data=st.data(), takes=st.booleans())
    def answer(self, data: st.DataObject, *, takes: bool) -> None:
        own = data.draw(st.sampled_from(sorted(self.open)))
        uri = self.open.pop(own)
        if self.latest.get(uri) == own:  # else it was unsubscribed from since
            (self.subscribed if takes else self.refused).add(uri)
        if takes:
            self.bench.say(id=own, result={})
        else:
            refuse(self.bench, own)
        self.perform()

    @rule()
    def restart(self) -> None:
        self.open.clear()
        self.latest.clear()
        self.subscribed.clear()
        self.refused.clear()
        self.bench = Bench(DOUBTFUL, context=self.bench.context)
        self.perform()

    @rule()
    def wait(self) -> None:
        for _ in range(2):
            self.bench.pass_seconds(ACKNOWLEDGE_S)
        self.perform()
        assert self.honoured.keys() == self.wanted.keys()

    @rule(uri=st.sampled_from(URIS))
    def update(self, uri: str) -> None:
        self.bench.say(method=UPDATED, params={"uri": uri})
        self.perform()

    @invariant()
    def nobody_is_told_wrong(self) -> None:
        for key, told in self.honoured.items():
            assert told <= self.wanted[key]
            assert not told & self.refused

    @invariant()
    def nobody_waits_for_what_is_answered(self) -> None:
        known = self.subscribed | self.refused
        for key in self.wanted.keys() - self.honoured.keys():
            assert not self.wanted[key] <= known

    @invariant()
    def when_all_is_answered_the_server_has_what_is_honoured(self) -> None:
        if not self.open:
            assert self.honoured.keys() == self.wanted.keys()
            assert self.subscribed == set().union(*self.honoured.values())


TestTrying = Trying.TestCase
