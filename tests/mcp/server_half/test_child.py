"""Whole conversations with children of all sorts."""

import json
from typing import Any

import pytest

from mcptunnel.mcp.server_half.actions import (
    Failed,
    Lost,
    LostCause,
    ProbeKilled,
    Ready,
    Write,
)
from mcptunnel.mcp.server_half.phases import Phase
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Outcome
from tests.mcp.server_half.talk import (
    MODERN_META,
    delivered,
    discovered,
    in_flight,
    initialized,
    legacy_child,
    modern_child,
    new_child,
    others,
    request,
    say,
    written,
)

NOT_DELIVERED, UNKNOWN = Outcome.NOT_DELIVERED, Outcome.UNKNOWN


def test_a_modern_child_is_ready_after_one_answer() -> None:
    """Discover is asked with the modern `_meta`; the answer is all that is needed."""
    child = new_child()
    assert child.next_tick_s == 3.0
    (probe,) = written(child.take_actions())
    assert probe["method"] == "server/discover"
    assert probe["params"]["_meta"] == {
        **MODERN_META,
        "io.modelcontextprotocol/clientInfo": {"name": "mcptunnel", "version": "1"},
    }
    say(child, id=probe["id"], result=discovered("2025-11-25", "2026-07-28"))
    (ready,) = child.take_actions()
    assert isinstance(ready, Ready)
    assert (ready.info.era, ready.info.version) == (Era.MODERN, "2026-07-28")
    assert json.loads(bytes(ready.info.server_info or b"")) == {"name": "files", "version": "2"}
    assert child.next_tick_s is None


def test_a_modern_child_gets_a_request_with_only_id_and_token_replaced() -> None:
    """And what it answers goes back untouched but for these two."""
    child = modern_child()
    child.call(70, request("a", meta={"progressToken": "t", "vendor/x": 1}, name="read"))
    child.call(71, request("b", "vendor/method", any=[1]))
    asked = written(child.take_actions())
    assert asked == [
        {
            "jsonrpc": "2.0",
            "id": 2,
            "method": "tools/call",
            "params": {
                "name": "read",
                "_meta": {**MODERN_META, "progressToken": 2, "vendor/x": 1},
            },
        },
        {
            "jsonrpc": "2.0",
            "id": 3,
            "method": "vendor/method",
            "params": {"any": [1], "_meta": MODERN_META},
        },
    ]
    say(child, id=2, result={"resultType": "input_required", "requestState": "s"})
    say(child, id=3, error={"code": -32002, "message": "?"})
    assert delivered(child.take_actions()) == [
        (
            70,
            {
                "jsonrpc": "2.0",
                "id": "a",
                "result": {"resultType": "input_required", "requestState": "s"},
            },
        ),
        (71, {"jsonrpc": "2.0", "id": "b", "error": {"code": -32002, "message": "?"}}),
    ]
    assert in_flight(child) == 0


def test_a_modern_child_that_asks_is_never_answered() -> None:
    child = modern_child()
    say(child, id=9, method="ping")
    assert child.take_actions() == []
    assert child.junk_count == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": -32601, "message": "Method not found"}},
        {"error": {"code": -32022, "message": "?", "data": {"supported": ["2025-11-25"]}}},
        {"error": {"code": -32022, "message": "?", "data": {"supported": "2026-07-28"}}},
        {"error": {"code": -32022, "message": "?"}},
        {"error": "no object"},
        {"result": discovered("2025-11-25")},
        {"result": {}},
        {"result": None},
        {"id": None, "error": {"code": -32600, "message": "Server not initialized"}},
    ],
)
def test_any_answer_that_shows_no_modern_server_leads_to_initialize(answer: Any) -> None:
    child = new_child()
    child.take_actions()
    say(child, 2.0, **{"id": 1, **answer})
    (greeting,) = written(child.take_actions())
    assert greeting == {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {
                "elicitation": {"form": {}, "url": {}},
                "sampling": {"tools": {}},
                "roots": {},
                "extensions": {
                    "io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}
                },
            },
            "clientInfo": {"name": "mcptunnel", "version": "1"},
        },
    }
    assert (child.phase, child.next_tick_s) == (Phase.INITIALIZING, 62.0)


def test_an_error_that_lists_our_version_shows_a_modern_server() -> None:
    child = new_child()
    data = {"supported": ["2027-01-01", "2026-07-28"], "requested": "x"}
    say(child, id=1, error={"code": -32022, "message": "?", "data": data})
    assert child.phase is Phase.READY
    assert child.info is not None
    assert (child.info.era, child.info.version) == (Era.MODERN, "2026-07-28")


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_a_legacy_child_of_any_version_is_greeted_and_ready(version: str) -> None:
    """`notifications/initialized` is written before anything else is."""
    child = new_child(probe=False)
    child.call(1, request("a"))
    assert [line["method"] for line in written(child.take_actions())] == ["initialize"]
    say(child, id=1, result=initialized(version))
    actions = child.take_actions()
    assert [line["method"] for line in written(actions)] == [
        "notifications/initialized",
        "tools/call",
    ]
    (ready,) = others(actions)
    assert isinstance(ready, Ready)
    assert (ready.info.era, ready.info.version) == (Era.LEGACY, version)
    assert ready.info.instructions == "Be kind."
    assert [type(action) for action in actions] == [Write, Ready, Write]


def test_a_legacy_child_gets_legacy_requests_and_its_results_become_modern() -> None:
    child = legacy_child()
    child.call(5, request("a", meta={"progressToken": "t", "traceparent": "00-1"}, name="read"))
    child.call(6, request("b", "tools/list"))
    asked = written(child.take_actions())
    assert asked[0]["params"] == {
        "name": "read",
        "_meta": {"progressToken": 3, "traceparent": "00-1"},
    }
    assert "params" not in asked[1]
    say(child, id=3, result={"content": []})
    say(child, id=4, result={"tools": []})
    about = {"io.modelcontextprotocol/serverInfo": {"name": "files", "version": "2"}}
    assert [(key, message["result"]) for key, message in delivered(child.take_actions())] == [
        (5, {"resultType": "complete", "_meta": about, "content": []}),
        (
            6,
            {
                "resultType": "complete",
                "ttlMs": 0,
                "cacheScope": "private",
                "_meta": about,
                "tools": [],
            },
        ),
    ]


def test_discover_of_a_legacy_child_is_answered_without_asking_it() -> None:
    child = legacy_child()
    child.call(1, request("d", "server/discover"))
    actions = child.take_actions()
    ((key, message),) = delivered(actions)
    assert (key, message["id"], written(actions)) == (1, "d", [])
    assert message["result"] == {
        "resultType": "complete",
        "supportedVersions": ["2026-07-28"],
        "capabilities": {"tools": {"listChanged": True}},
        "ttlMs": 0,
        "cacheScope": "private",
        "instructions": "Be kind.",
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "files", "version": "2"}},
    }


def test_a_child_that_dies_of_the_probe_hands_its_calls_to_the_next() -> None:
    """The fresh process is not probed and serves the calls that waited."""
    child = new_child()
    child.call(1, request("a"))
    child.call(2, request("b"))
    child.take_actions()
    child.exited()
    (killed,) = child.take_actions()
    assert isinstance(killed, ProbeKilled)
    assert [key for key, _ in killed.waiting] == [1, 2]
    fresh = new_child(probe=False)
    for key, asked in killed.waiting:
        fresh.call(key, asked)
    say(fresh, id=1, result=initialized())
    methods = [line["method"] for line in written(fresh.take_actions())]
    assert methods == ["initialize", "notifications/initialized", "tools/call", "tools/call"]


@pytest.mark.parametrize("code", [-32022, -32600])
def test_a_child_whose_era_the_probe_locked_needs_a_fresh_process(code: int) -> None:
    child = new_child()
    say(child, id=1, error={"code": -32601, "message": "?"})
    say(child, id=2, error={"code": code, "message": "?"})
    assert others(child.take_actions()) == [ProbeKilled(())]
    assert child.phase is Phase.FAILED


def test_a_child_silent_in_the_probe_is_greeted_on_the_same_process() -> None:
    child = new_child(probe_timeout_s=2.0)
    child.take_actions()
    child.tick(1.9)
    assert child.take_actions() == []
    child.tick(2.0)
    assert [line["method"] for line in written(child.take_actions())] == ["initialize"]
    say(child, id=2, result=initialized())
    assert child.phase is Phase.READY


def test_a_child_silent_to_everything_is_tried_once_without_a_probe() -> None:
    child = new_child()
    child.tick(3.0)
    child.tick(63.0)
    assert others(child.take_actions()) == [ProbeKilled(())]
    child = new_child(probe=False, initialize_timeout_s=10.0)
    child.tick(10.0)
    reason = "The server did not answer initialize within 10 s"
    assert others(child.take_actions()) == [Failed(reason)]


def test_a_child_that_answered_the_probe_and_not_initialize_has_failed() -> None:
    child = new_child()
    say(child, 1.0, id=1, error={"code": -32601, "message": "?"})
    child.tick(61.0)
    assert [type(action) for action in others(child.take_actions())] == [Failed]


def test_a_slow_modern_child_is_still_found_modern() -> None:
    """It answers both the probe and, as PY does, initialize with an error; only the first counts."""
    child = new_child()
    child.tick(3.0)
    say(child, 20.0, id=1, result=discovered("2026-07-28"))
    say(child, 20.0, id=2, error={"code": -32022, "message": "?"})
    assert child.phase is Phase.READY
    assert [type(action) for action in others(child.take_actions())] == [Ready]
    assert child.junk_count == 0


def test_an_answer_to_initialize_after_a_late_modern_answer_changes_nothing() -> None:
    child = new_child()
    child.tick(3.0)
    say(child, id=1, result=discovered("2026-07-28"))
    child.take_actions()
    say(child, id=2, result=initialized())
    assert child.take_actions() == []
    assert child.info is not None
    assert child.info.era is Era.MODERN


def test_a_modern_server_that_refuses_initialize_by_naming_its_version_is_taken_at_its_word() -> (
    None
):
    child = new_child(probe=False)
    say(child, id=1, error={"code": -32022, "message": "?", "data": {"supported": ["2026-07-28"]}})
    assert child.phase is Phase.READY


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"error": {"code": -32603, "message": "broken"}}, "broken (-32603)"),
        ({"error": {"code": 1, "message": "x" * 999}}, "x" * 200 + "…"),
        ({"result": initialized("2026-07-28")}, "MCP version 2026-07-28"),
        ({"result": initialized("1999-01-01")}, "MCP version 1999-01-01"),
        ({"result": {"capabilities": {}}}, "invalid"),
        ({"result": 5}, "invalid"),
    ],
)
def test_a_server_that_cannot_be_agreed_with_fails_with_a_reason(answer: Any, words: str) -> None:
    """The calls that waited are known not to have run."""
    child = new_child(probe=False)
    child.call(1, request("a"))
    say(child, id=1, **answer)
    failed, lost = others(child.take_actions())
    assert isinstance(failed, Failed)
    assert words in failed.reason
    assert lost == Lost(1, LostCause.FAILED, NOT_DELIVERED)
    child.call(2, request("b"))
    assert child.take_actions() == [Lost(2, LostCause.FAILED, NOT_DELIVERED)]


def test_an_unprobed_child_that_exits_while_starting_has_failed() -> None:
    child = new_child(probe=False)
    child.call(1, request("a"))
    child.take_actions()
    child.exited()
    assert child.take_actions() == [
        Failed("The server exited before it was initialized"),
        Lost(1, LostCause.FAILED, NOT_DELIVERED),
    ]
