"""Listens on modern servers."""

from typing import Any

import pytest

from mcptunnel.mcp.server_half.actions import ListsChanged
from mcptunnel.mcp.versions import Era
from tests.mcp.server_half.bench import EVE, Bench, dropped, info, owns
from tests.mcp.server_half.talk import MODERN_META, delivered, written

ACK = "notifications/subscriptions/acknowledged"
UPDATED = "notifications/resources/updated"
ID = "io.modelcontextprotocol/subscriptionId"
TOOLS = "notifications/tools/list_changed"
QUIET = info(Era.MODERN, {"resources": {"subscribe": True}})


def say(bench: Bench, method: str, own: object, **params: Any) -> None:
    bench.say(method=method, params={**params, "_meta": {ID: own}})


def listening(bench: Bench, request_id: Any = "mine", **wanted: Any) -> tuple[int, int]:
    """A listen that the server has acknowledged: its key and own id."""
    key = bench.listen(request_id=request_id, **wanted)
    (line,) = bench.sent()
    say(bench, ACK, line["id"], notifications=wanted)
    bench.take()
    return key, line["id"]


def test_a_listen_is_asked_of_the_server_under_an_id_of_ours() -> None:
    bench = Bench(QUIET)
    key = bench.listen(request_id="mine", resourceSubscriptions=["a"])
    actions = bench.take()
    (line,) = written(actions)
    assert owns(actions) == [line["id"]]
    assert line["params"] == {
        "notifications": {"resourceSubscriptions": ["a"]},
        "_meta": MODERN_META,
    }
    say(bench, ACK, line["id"], notifications={"resourceSubscriptions": ["a"]})
    say(bench, UPDATED, line["id"], uri="a")
    heard = bench.heard()
    assert [(told, message["method"]) for told, message in heard] == [(key, ACK), (key, UPDATED)]
    assert [message["params"]["_meta"][ID] for _, message in heard] == ["mine", "mine"]


def test_listens_are_told_apart_by_our_ids() -> None:
    bench = Bench(QUIET)
    first, first_id = listening(bench, 1)
    second, second_id = listening(bench, 1)
    for own in (second_id, first_id, "1", 999, None):
        say(bench, UPDATED, own, uri="a")
    assert [key for key, _ in bench.heard()] == [second, first]
    bench.say(method=UPDATED)
    bench.say(method=UPDATED, params={"_meta": 5})
    assert bench.take() == []


@pytest.mark.parametrize("streams", [False, True])
def test_a_cancelled_listen_is_cancelled_at_the_server(streams: bool) -> None:
    bench = Bench(QUIET, streams=streams)
    key, own = listening(bench)
    bench.conversation.cancel(key, "gone")
    actions = bench.take()
    assert [line["params"] for line in written(actions)] == (
        [] if streams else [{"requestId": own, "reason": "gone"}]
    )
    assert dropped(actions) == ([own] if streams else [])
    say(bench, UPDATED, own, uri="a")
    assert bench.take() == []


def test_the_servers_end_of_a_listen_is_passed_on_with_the_callers_id() -> None:
    bench = Bench(QUIET)
    key, own = listening(bench)
    bench.say(id=own, result={"resultType": "complete", "x": 1, "_meta": {ID: own, "v": 2}})
    assert bench.heard() == [
        (
            key,
            {
                "jsonrpc": "2.0",
                "id": "mine",
                "result": {"resultType": "complete", "x": 1, "_meta": {ID: "mine", "v": 2}},
            },
        )
    ]
    assert len(bench.context.listens) == 0
    key, own = listening(bench)
    bench.say(id=own, error={"code": -32601, "message": "no"})
    bench.say(id=own, result={})
    ((told, message),) = bench.heard()
    assert (told, message["id"], message["error"]["code"]) == (key, "mine", -32601)
    key, own = listening(bench)
    bench.say(id=own, result=5)
    ((_, message),) = bench.heard()
    assert message["result"] == {"resultType": "complete", "_meta": {ID: "mine"}}


def test_a_fresh_server_is_asked_again_and_its_lists_may_be_others() -> None:
    """The second acknowledgement is not the caller's affair."""
    bench = Bench(info(Era.MODERN))
    bench.take()
    key, _ = listening(bench, toolsListChanged=True, resourceSubscriptions=["a"])
    after = Bench(info(Era.MODERN), context=bench.context)
    actions = after.take()
    ours, theirs = written(actions)
    assert [told for told, _ in delivered(actions)] == [key]
    assert delivered(actions)[0][1]["method"] == TOOLS
    say(after, ACK, theirs["id"], notifications={})
    assert after.take() == []
    say(after, UPDATED, theirs["id"], uri="a")
    assert [told for told, _ in after.heard()] == [key]
    assert ours["id"] != theirs["id"]


def test_a_listen_not_acknowledged_yet_is_acknowledged_by_the_fresh_server() -> None:
    bench = Bench(QUIET)
    key = bench.listen()
    after = Bench(QUIET, context=bench.context)
    (line,) = after.sent()
    say(after, ACK, line["id"], notifications={})
    assert [(told, message["method"]) for told, message in after.heard()] == [(key, ACK)]


def test_a_stream_that_breaks_is_asked_for_again() -> None:
    bench = Bench(QUIET, streams=True)
    key, own = listening(bench)
    assert bench.conversation.lost(own) is None
    (line,) = bench.sent()
    say(bench, UPDATED, own, uri="a")
    assert bench.take() == []
    say(bench, UPDATED, line["id"], uri="a")
    assert [told for told, _ in bench.heard()] == [key]
    bench.conversation.cancel(key, "gone")
    bench.take()
    assert bench.conversation.lost(line["id"]) is None
    assert bench.take() == []


def test_a_listen_beside_calls_is_no_call() -> None:
    """Ends of processes and log messages leave it alone."""
    bench = Bench(QUIET)
    listening(bench)
    key, _ = bench.called(EVE)
    assert bench.conversation.end() == [key]
    assert len(bench.context.listens) == 1


def follows(bench: Bench) -> int:
    """Return the id of the agent's own listen, which was asked for just now."""
    (line,) = bench.sent()
    assert line["method"] == "subscriptions/listen"
    assert line["params"]["notifications"]["toolsListChanged"]
    own: int = line["id"]
    return own


def pass_s(bench: Bench, seconds: float) -> None:
    for _ in range(int(seconds)):
        bench.now_s += 1
        bench.conversation.tick(bench.now_s)


END: dict[str, Any] = {"result": {"resultType": "complete"}}
ERROR: dict[str, Any] = {"error": {"code": -32603, "message": "too many"}}


@pytest.mark.parametrize("end", [END, ERROR])
def test_the_agents_own_listen_is_asked_for_again_less_and_less_often(end: dict[str, Any]) -> None:
    """And one that lasted, soon."""
    bench, waits_s = Bench(info(Era.MODERN)), list[int]()
    own = follows(bench)
    pass_s(bench, 1)
    for _ in range(9):
        bench.say(id=own, **end)
        waited_s = 0
        while not (actions := bench.take()):
            pass_s(bench, 1)
            waited_s += 1
        (line,) = written(actions)
        own = line["id"]
        waits_s.append(waited_s)
    assert waits_s == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    say(bench, ACK, own, notifications={})
    pass_s(bench, 100)
    bench.take()
    bench.say(id=own, **end)
    pass_s(bench, 1)
    assert follows(bench) > own


def test_after_a_while_without_the_agents_own_listen_lists_may_be_others() -> None:
    """After its end and after a break; not at the start."""
    bench = Bench(info(Era.MODERN))
    own = follows(bench)
    say(bench, ACK, own, notifications={})
    assert bench.take() == []
    bench.say(id=own, **END)
    pass_s(bench, 1)
    own = follows(bench)
    say(bench, ACK, own, notifications={})
    assert bench.take() == [ListsChanged()]
    say(bench, TOOLS, own)
    assert bench.take() == [ListsChanged()]
    assert bench.conversation.lost(own) is None
    own = follows(bench)
    say(bench, ACK, own, notifications={})
    assert bench.take() == [ListsChanged()]


def test_a_server_that_knows_no_listens_is_not_asked_again() -> None:
    """What it tells nobody in particular counts then."""
    bench = Bench(info(Era.MODERN))
    bench.say(id=follows(bench), error={"code": -32601, "message": "no"})
    pass_s(bench, 200)
    assert bench.take() == []
    bench.say(method=TOOLS)
    assert bench.take() == [ListsChanged()]


def test_a_conversation_that_is_over_asks_for_nothing_again() -> None:
    bench = Bench(info(Era.MODERN))
    bench.say(id=follows(bench), **END)
    bench.conversation.retire()
    pass_s(bench, 200)
    assert bench.take() == []
