"""Calls on children of all sorts, and what else such children write."""

import json
from typing import Any

import pytest
from msgspec import Raw

from mcptunnel.mcp.server_half.actions import (
    Deliver,
    Junk,
    ListsChanged,
    Lost,
    LostCause,
)
from mcptunnel.mcp.server_half.child import MAX_WAITING, Child
from mcptunnel.mcp.server_half.phases import Phase
from mcptunnel.model import Outcome
from tests.mcp.server_half.talk import (
    delivered,
    discovered,
    in_flight,
    legacy_child,
    modern_child,
    new_child,
    request,
    say,
    written,
)

NOT_DELIVERED, UNKNOWN = Outcome.NOT_DELIVERED, Outcome.UNKNOWN


def test_a_crash_loses_every_open_call_and_refuses_later_ones() -> None:
    child = legacy_child()
    for key in (8, 9):
        child.call(key, request("same"))
    child.take_actions()
    child.exited()
    child.call(10, request("late"))
    assert child.take_actions() == [
        Lost(8, LostCause.EXITED, UNKNOWN),
        Lost(9, LostCause.EXITED, UNKNOWN),
        Lost(10, LostCause.EXITED, NOT_DELIVERED),
    ]
    assert in_flight(child) == 0
    say(child, id=3, result={})
    assert child.take_actions() == []


def test_no_more_calls_wait_than_allowed() -> None:
    child = new_child()
    child.take_actions()
    for key in range(MAX_WAITING):
        child.call(key, request(key))
    assert child.take_actions() == []
    child.call(-1, request(0))
    assert child.take_actions() == [Lost(-1, LostCause.BUSY, NOT_DELIVERED)]


def test_a_call_cancelled_before_ready_is_never_written() -> None:
    child = new_child()
    child.take_actions()
    child.call(1, request("a"))
    child.call(2, request("b"))
    child.cancel(1, "not wanted")
    assert child.take_actions() == []
    say(child, id=1, result=discovered("2026-07-28"))
    assert len(written(child.take_actions())) == 1
    assert in_flight(child) == 1


def test_a_call_cancelled_after_it_was_written_is_cancelled_at_the_child() -> None:
    """Its late answer and progress are dropped, and are no junk: that is an ordinary race."""
    child = legacy_child()
    child.call(1, request("a", meta={"progressToken": 5}))
    child.take_actions()
    child.cancel(1, 'he said "no"\n')
    assert written(child.take_actions()) == [
        {
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": {"requestId": 3, "reason": 'he said "no"\n'},
        }
    ]
    say(child, method="notifications/progress", params={"progressToken": 3, "progress": 1})
    say(child, id=3, result={"content": []})
    child.cancel(1, "again")
    child.cancel(99, "unknown")
    assert child.take_actions() == []
    assert (in_flight(child), child.junk_count) == (0, 0)


@pytest.mark.parametrize("make", [modern_child, legacy_child])
def test_two_calls_with_equal_ids_and_tokens_keep_apart(make: Any) -> None:
    """Interleaved progress reaches the call it belongs to, in order, under the caller's token."""
    child: Child = make()
    child.call(1, request(1, meta={"progressToken": "p"}, name="a"))
    child.call(2, request(1, meta={"progressToken": "p"}, name="b"))
    first, second = (line["id"] for line in written(child.take_actions()))
    for own, done in ((second, 1), (first, 1), (second, 2)):
        progress = {"progressToken": own, "progress": done, "message": "m"}
        say(child, method="notifications/progress", params=progress)
    say(child, id=second, error={"code": 1, "message": "b failed"})
    say(child, method="notifications/progress", params={"progressToken": second, "progress": 3})
    say(child, id=first, error={"code": 1, "message": "a failed"})
    got = delivered(child.take_actions())
    assert [(key, m.get("params", {}).get("progress")) for key, m in got] == [
        (2, 1),
        (1, 1),
        (2, 2),
        (2, None),
        (1, None),
    ]
    assert all(m["params"]["progressToken"] == "p" for _, m in got[:3])
    assert [(m["id"], m["error"]["message"]) for _, m in got[3:]] == [
        (1, "b failed"),
        (1, "a failed"),
    ]


@pytest.mark.parametrize("token", [7, "7", "", 0])
def test_a_progress_token_comes_back_with_its_type(token: object) -> None:
    child = legacy_child()
    child.call(1, request("a", meta={"progressToken": token}))
    say(child, method="notifications/progress", params={"progressToken": 3, "progress": 1})
    ((_, progress),) = delivered(child.take_actions())
    assert progress["params"] == {"progressToken": token, "progress": 1}


@pytest.mark.parametrize("token", [3, 4, "3", None, 1.5, [3], -1])
def test_progress_that_nobody_asked_for_is_dropped(token: object) -> None:
    """Also with the id of a call that has no token."""
    child = legacy_child()
    child.call(1, request("a"))
    child.take_actions()
    say(child, method="notifications/progress", params={"progressToken": token, "progress": 1})
    say(child, method="notifications/progress")
    assert child.take_actions() == []


def test_a_legacy_child_is_answered_ping_and_refused_everything_else() -> None:
    child = legacy_child()
    say(child, id="p", method="ping")
    say(child, id=3, method="sampling/createMessage", params={})
    assert written(child.take_actions()) == [
        {"jsonrpc": "2.0", "id": "p", "result": {}},
        {
            "jsonrpc": "2.0",
            "id": 3,
            "error": {"code": -32601, "message": "Method not found: sampling/createMessage"},
        },
    ]


def test_a_child_that_pings_and_does_not_read_is_owed_one_answer() -> None:
    """To the last ping; what a call needs is still written."""
    child = legacy_child()
    child.writing_paused()
    for number in range(100):
        say(child, id=number, method="ping")
    assert child.take_actions() == []
    child.call(1, request("a"))
    assert [line["method"] for line in written(child.take_actions())] == ["tools/call"]
    child.writing_resumed()
    assert written(child.take_actions()) == [{"jsonrpc": "2.0", "id": 99, "result": {}}]
    child.writing_resumed()
    say(child, id=100, method="ping")
    assert [line["id"] for line in written(child.take_actions())] == [100]


def test_ping_is_answered_while_the_child_starts() -> None:
    child = new_child(probe=False)
    child.take_actions()
    say(child, id=0, method="ping")
    assert written(child.take_actions()) == [{"jsonrpc": "2.0", "id": 0, "result": {}}]


def test_a_changed_list_of_tools_is_told_once_the_child_is_ready() -> None:
    child = new_child()
    child.take_actions()
    say(child, method="notifications/tools/list_changed")
    assert child.take_actions() == []
    child = legacy_child()
    say(child, method="notifications/tools/list_changed")
    say(child, method="notifications/message", params={"level": "info", "data": "x"})
    assert child.take_actions() == [ListsChanged()]


@pytest.mark.parametrize(
    ("line", "sample"),
    [
        (b"Server running on stdio", "Server running on stdio"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"42", "42"),
        (b"[]", "[]"),
        (b"[1, 2]", "1"),
        (b"[[]]", "[[]]"),
        (b'{"jsonrpc":"2.0"}', '{"jsonrpc":"2.0"}'),
        (b"x" * 1000, "x" * 200),
    ],
)
@pytest.mark.parametrize("make", [new_child, modern_child, legacy_child])
def test_lines_that_are_no_jsonrpc_are_counted_and_change_nothing(
    line: bytes, sample: str, make: Any
) -> None:
    child: Child = make()
    child.take_actions()
    phase = child.phase
    child.receive_line(line, 1.0)
    assert child.take_actions() == [Junk(sample)]
    assert (child.junk_count, child.phase) == (1, phase)


def test_blank_lines_are_nothing() -> None:
    child = legacy_child()
    for line in (b"", b"\r\n", b"  \t\n"):
        child.receive_line(line, 1.0)
    assert (child.take_actions(), child.junk_count) == ([], 0)


@pytest.mark.parametrize("unknown", [999, 0, -1, "3", None])
def test_answers_to_what_was_never_asked_are_counted(unknown: object) -> None:
    child = legacy_child()
    child.call(1, request("a"))
    child.take_actions()
    say(child, id=unknown, result={})
    assert (child.take_actions(), child.junk_count, in_flight(child)) == ([], 1, 1)


def test_a_broken_answer_ends_its_call() -> None:
    """Better an error than a call that hangs; a broken request with that id ends nothing."""
    child = modern_child()
    child.call(1, request("a"))
    child.take_actions()
    say(child, id=2, method="ping", params=[])
    assert in_flight(child) == 1
    say(child, id=2)
    junk, delivery = child.take_actions()[1:]
    assert isinstance(junk, Junk)
    assert isinstance(delivery, Deliver)
    ((_, message),) = delivered([delivery])
    assert (message["id"], message["error"]["code"]) == ("a", -32603)


def test_a_broken_answer_ends_the_handshakes_waiting_too() -> None:
    child = new_child()
    phases = []
    for own in (1, 2):
        say(child, id=own)
        phases.append(child.phase)
    assert phases == [Phase.INITIALIZING, Phase.FAILED]


@pytest.mark.parametrize("result", [None, [], "ok", 5])
def test_a_result_of_a_legacy_child_that_is_no_object_becomes_an_error(result: object) -> None:
    child = legacy_child()
    child.call(1, request("a"))
    say(child, id=3, result=result)
    ((_, message),) = delivered(child.take_actions())
    assert (message["id"], message["error"]["code"]) == ("a", -32603)


def test_an_error_of_a_legacy_child_gets_its_modern_code() -> None:
    child = legacy_child()
    child.call(1, request("a", "resources/read"))
    say(child, id=3, error={"code": -32002, "message": "gone", "data": {"uri": "u"}})
    ((_, message),) = delivered(child.take_actions())
    assert message["error"] == {"code": -32602, "message": "gone", "data": {"uri": "u"}}


def test_batches_of_answers_are_taken_apart() -> None:
    child = legacy_child()
    child.call(1, request("a"))
    child.call(2, request("b"))
    answers: list[Any] = [{"jsonrpc": "2.0", "id": own, "result": {}} for own in (4, 3)]
    child.receive_line(json.dumps(answers).encode(), 1.0)
    assert [key for key, _ in delivered(child.take_actions())] == [2, 1]


def test_a_request_whose_meta_is_no_object_is_refused_without_asking_the_child() -> None:
    child = modern_child()
    asked = request("a")
    asked.params["_meta"] = Raw(b"[]")
    child.call(1, asked)
    actions = child.take_actions()
    ((_, message),) = delivered(actions)
    assert (message["id"], message["error"]["code"], written(actions)) == ("a", -32602, [])
    assert in_flight(child) == 0


def test_an_error_nested_too_deep_to_read_is_still_an_error() -> None:
    child = new_child(probe=False)
    deep = "[" * 100_000 + "]" * 100_000
    line = f'{{"jsonrpc":"2.0","id":1,"error":{{"code":-32603,"message":"m","data":{deep}}}}}'
    child.receive_line(line.encode(), 1.0)
    assert child.phase is not Phase.READY


@pytest.mark.parametrize("make", [modern_child, legacy_child])
def test_an_answer_nested_too_deep_to_read_ends_its_call_and_no_other(make: Any) -> None:
    child: Child = make()
    child.call(1, request("a"))
    child.call(2, request("b"))
    _, own = (line["id"] for line in written(child.take_actions()))
    deep = "[" * 100_000 + "]" * 100_000
    child.receive_line(f'{{"jsonrpc":"2.0","id":{own},"result":{deep}}}'.encode(), 1.0)
    ((key, message),) = delivered(child.take_actions())
    assert (key, message["id"], message["error"]["code"]) == (2, "b", -32603)
    assert in_flight(child) == 1
