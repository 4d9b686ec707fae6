"""Listens on legacy servers."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mcptunnel.mcp.server_half.listens import MAX_LISTENS_OF_ASKER
from mcptunnel.mcp.versions import Era
from tests.mcp.server_half.bench import EVE, KEN, Bench, info
from tests.mcp.server_half.talk import delivered, written

ACK = "notifications/subscriptions/acknowledged"
UPDATED = "notifications/resources/updated"
ID = "io.modelcontextprotocol/subscriptionId"


def heard(bench: Bench) -> list[tuple[int, str, Any]]:
    """Who heard what, under which id."""
    return [
        (key, message["method"], message["params"]["_meta"][ID]) for key, message in bench.heard()
    ]


def test_a_listen_is_acknowledged_first_with_what_the_server_can() -> None:
    bench = Bench(info(capabilities={"tools": {"listChanged": True}, "prompts": {}}))
    wanted: dict[str, Any] = {
        "toolsListChanged": True,
        "promptsListChanged": True,
        "resourceSubscriptions": ["a"],
    }
    key = bench.listen(request_id=5, **wanted)
    actions = bench.take()
    assert written(actions) == []
    assert delivered(actions) == [
        (
            key,
            {
                "jsonrpc": "2.0",
                "method": ACK,
                "params": {"notifications": {"toolsListChanged": True}, "_meta": {ID: 5}},
            },
        )
    ]


def test_changes_go_to_those_who_opted_in_each_under_its_own_id() -> None:
    bench = Bench()
    tools = bench.listen(request_id="t", toolsListChanged=True)
    both = bench.listen(EVE, request_id=2, toolsListChanged=True, promptsListChanged=True)
    bench.listen(request_id="n")
    bench.take()
    bench.say(method="notifications/tools/list_changed")
    assert heard(bench) == [
        (tools, "notifications/tools/list_changed", "t"),
        (both, "notifications/tools/list_changed", 2),
    ]
    bench.say(method="notifications/prompts/list_changed", params={})
    assert heard(bench) == [(both, "notifications/prompts/list_changed", 2)]
    bench.say(method="notifications/resources/list_changed")
    assert heard(bench) == []


def test_a_resource_is_subscribed_to_once_and_until_the_last_listen_ends() -> None:
    bench = Bench()
    first = bench.listen(resourceSubscriptions=["a", "b"])
    actions = bench.take()
    ack, asked = delivered(actions)[0][1], written(actions)
    assert ack["params"]["notifications"] == {"resourceSubscriptions": ["a", "b"]}
    assert [(line["method"], line["params"]) for line in asked] == [
        ("resources/subscribe", {"uri": "a"}),
        ("resources/subscribe", {"uri": "b"}),
    ]
    bench.say(id=asked[0]["id"], result={})
    bench.say(id=asked[1]["id"], error={"code": -32002, "message": "no b"})
    second = bench.listen(EVE, resourceSubscriptions=["b", "c"])
    assert [line["params"]["uri"] for line in bench.sent()] == ["c"]
    bench.say(method=UPDATED, params={"uri": "b"})
    assert [key for key, _, _ in heard(bench)] == [first, second]
    bench.conversation.cancel(first, "gone")
    assert [(line["method"], line["params"]) for line in bench.sent()] == [
        ("resources/unsubscribe", {"uri": "a"})
    ]
    bench.conversation.cancel(second, "gone")
    assert {line["params"]["uri"] for line in bench.sent()} == {"b", "c"}
    bench.say(method=UPDATED, params={"uri": "b"})
    assert bench.take() == []


@pytest.mark.parametrize(
    ("subscribed", "updated", "is_told"),
    [
        ("file:///a", "file:///a", True),
        ("file:///a", "file:///a/b/c", True),
        ("file:///a/", "file:///a/b", True),
        ("file:///a", "file:///ab", False),
        ("file:///a/b", "file:///a", False),
        ("file:///a", "", False),
        ("x", "/" * 500, False),
    ],
)
def test_an_update_may_be_of_a_part_of_what_was_subscribed_to(
    subscribed: str, updated: str, is_told: bool
) -> None:
    bench = Bench()
    bench.listen(resourceSubscriptions=[subscribed])
    bench.take()
    bench.say(method=UPDATED, params={"uri": updated})
    assert bool(heard(bench)) is is_told


def test_a_part_that_another_asked_for_is_told_by_the_name_of_the_whole() -> None:
    """The server may tell of it for the other's sake alone: nobody learns what another subscribed to."""
    bench = Bench()
    whole = bench.listen(resourceSubscriptions=["file:///a", "file:///"])
    part = bench.listen(EVE, resourceSubscriptions=["file:///a/secret", "file:///a"])
    bench.take()
    bench.say(method=UPDATED, params={"uri": "file:///a/secret", "title": "t"})
    said = {key: message["params"] for key, message in bench.heard()}
    assert (said[whole]["uri"], said[part]["uri"]) == ("file:///a", "file:///a/secret")
    assert ("title" in said[whole], said[part]["title"]) == (False, "t")
    bench.conversation.cancel(part, "gone")
    bench.take()
    bench.say(method=UPDATED, params={"uri": "file:///a/secret"})
    ((key, message),) = bench.heard()
    assert (key, message["params"]["uri"]) == (whole, "file:///a/secret")


def test_a_fresh_server_is_asked_again_and_its_lists_may_be_others() -> None:
    bench = Bench()
    key = bench.listen(toolsListChanged=True, resourceSubscriptions=["a"])
    bench.take()
    after = Bench(context=bench.context)
    actions = after.take()
    assert [line["method"] for line in written(actions)] == ["resources/subscribe"]
    assert [(told, message["method"]) for told, message in delivered(actions)] == [
        (key, "notifications/tools/list_changed")
    ]
    after.say(method=UPDATED, params={"uri": "a"})
    assert [told for told, _, _ in heard(after)] == [key]


def test_a_server_that_became_another_is_listened_to_as_it_now_can() -> None:
    """From modern to legacy and back; the listen ends never."""
    bench = Bench()
    key = bench.listen(toolsListChanged=True, promptsListChanged=True)
    bench.take()
    modern = Bench(info(Era.MODERN), context=bench.context)
    own, passed = written(modern.take())
    assert passed["params"]["notifications"] == {
        "toolsListChanged": True,
        "promptsListChanged": True,
    }
    legacy = Bench(info(capabilities={"prompts": {"listChanged": True}}), context=bench.context)
    assert [(told, method) for told, method, _ in heard(legacy)] == [
        (key, "notifications/prompts/list_changed")
    ]
    assert own["id"] != passed["id"]


def test_too_many_listens_are_refused_and_a_malformed_one_too() -> None:
    bench = Bench()
    for _ in range(MAX_LISTENS_OF_ASKER):
        bench.listen()
    bench.take()
    bench.listen()
    bench.listen(toolsListChanged=1)
    assert [message["error"]["code"] for _, message in bench.heard()] == [-32603, -32602]


def test_capabilities_that_make_no_sense_are_none() -> None:
    bench = Bench(info(capabilities={"tools": 5}))
    bench.listen(toolsListChanged=True)
    ((_, ack),) = bench.heard()
    assert ack["params"]["notifications"] == {}


URIS = ["a", "a/b", "c"]
KINDS = ["toolsListChanged", "promptsListChanged", "resourcesListChanged"]


class Listening(RuleBasedStateMachine):
    """Listens come and go, the server restarts: it is always asked for exactly what is wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.wanted: dict[int, tuple[set[str], set[str]]] = {}
        self.subscribed: Counter[str] = Counter()
        self.acknowledged: set[int] = set()

    def perform(self) -> list[tuple[int, str]]:
        actions = self.bench.take()
        for line in written(actions):
            change = 1 if line["method"] == "resources/subscribe" else -1
            self.subscribed[line["params"]["uri"]] += change
        told = []
        for key, message in delivered(actions):
            assert message["params"]["_meta"][ID] == f"id {key}"
            if message["method"] == ACK:
                assert key not in self.acknowledged
                self.acknowledged.add(key)
            else:
                assert key in self.acknowledged
                told.append((key, message["method"]))
        return told

    @rule(kinds=st.sets(st.sampled_from(KINDS)), uris=st.sets(st.sampled_from(URIS)))
    def listen(self, kinds: set[str], uris: set[str]) -> None:
        if len(self.wanted) >= 20:
            return
        options: dict[str, Any] = dict.fromkeys(kinds, True)
        following = len(self.acknowledged) + 1
        asker = KEN if following % 2 else EVE
        self.bench._keys = iter([following])
        key = self.bench.listen(
            asker, f"id {following}", resourceSubscriptions=list(uris), **options
        )
        self.wanted[key] = kinds, uris
        assert self.perform() == []
        assert key in self.acknowledged

    @precondition(lambda self: self.wanted)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.wanted)))
        del self.wanted[key]
        self.bench.conversation.cancel(key, "gone")
        self.perform()

    @rule()
    def restart(self) -> None:
        self.subscribed.clear()
        self.bench = Bench(context=self.bench.context)
        expected = {
            (key, f"notifications/{kind.removesuffix('ListChanged')}/list_changed")
            for key, (kinds, _) in self.wanted.items()
            for kind in kinds
        }
        told = self.perform()
        assert (set(told), len(told)) == (expected, len(expected))

    @rule(uri=st.sampled_from(URIS))
    def update(self, uri: str) -> None:
        self.bench.say(method=UPDATED, params={"uri": uri})
        parents = {uri, uri.partition("/")[0]}
        expected = [key for key, (_, uris) in self.wanted.items() if uris & parents]
        assert [key for key, _ in self.perform()] == expected

    @rule(kind=st.sampled_from(KINDS))
    def change(self, kind: str) -> None:
        name = kind.removesuffix("ListChanged")
        self.bench.say(method=f"notifications/{name}/list_changed")
        expected = [key for key, (kinds, _) in self.wanted.items() if kind in kinds]
        assert [key for key, _ in self.perform()] == expected

    @invariant()
    def exactly_what_is_wanted_is_subscribed_to(self) -> None:
        wanted = set().union(*(uris for _, uris in self.wanted.values()))
        assert {uri: count for uri, count in self.subscribed.items() if count} == dict.fromkeys(
            wanted, 1
        )


TestListening = Listening.TestCase
