"""Calls, logs, cancellation: what is the same whatever carries the conversation."""

from typing import Any

import pytest

from mcptunnel.mcp.server_half.actions import ListsChanged
from mcptunnel.mcp.versions import Era
from tests.mcp.server_half.bench import EVE, Bench, declaring, dropped, info, owns
from tests.mcp.server_half.talk import delivered, request, written

LEVEL = "io.modelcontextprotocol/logLevel"


def log(bench: Bench, level: str, origin: int | None = None) -> list[int]:
    """Let the server log; return who heard it."""
    params = {"level": level, "data": "x"}
    bench.say(origin, method="notifications/message", params=params)
    return [key for key, _ in bench.heard()]


def test_a_server_logs_what_the_most_curious_call_wants() -> None:
    bench = Bench()
    _, first = bench.called()
    assert bench.sent() == []
    bench.call(meta=declaring(**{LEVEL: "warning"}))
    actions = bench.take()
    asked, call = written(actions)
    assert (asked["method"], asked["params"]) == ("logging/setLevel", {"level": "warning"})
    assert call["params"] == {"name": "t"}
    assert owns(actions) == [None, call["id"]]
    bench.call(meta=declaring(**{LEVEL: "error"}))
    assert [line["method"] for line in bench.sent()] == ["tools/call"]
    bench.call(meta=declaring(**{LEVEL: "debug"}))
    assert [line["params"].get("level") for line in bench.sent()] == ["debug", None]
    assert bench.say(id=asked["id"], result={})
    assert bench.take() == []
    assert first != call["id"]


def test_a_server_without_logging_is_not_asked_to() -> None:
    bench = Bench(info(capabilities={}))
    bench.call(meta=declaring(**{LEVEL: "debug"}))
    assert [line["method"] for line in bench.sent()] == ["tools/call"]


@pytest.mark.parametrize("era", Era)
def test_a_log_message_goes_to_the_only_call_from_its_level_on(era: Era) -> None:
    bench = Bench(info(era, {"logging": {}}))
    key, own = bench.called(meta=declaring(**{LEVEL: "warning"}))
    assert log(bench, "error") == [key]
    assert log(bench, "warning") == [key]
    assert log(bench, "info") == []
    assert log(bench, "nonsense") == []
    other, _ = bench.called(EVE, meta=declaring(**{LEVEL: "debug"}))
    assert log(bench, "error") == [], "it may be either's"
    bench.say(id=own, result={})
    bench.take()
    assert log(bench, "error") == [other]


def test_a_stream_says_whose_a_log_message_is() -> None:
    bench = Bench(streams=True)
    wants, own = bench.called(meta=declaring(**{LEVEL: "info"}))
    _, silent = bench.called()
    assert log(bench, "error", own) == [wants]
    assert log(bench, "error", silent) == []
    assert log(bench, "error", 999) == []
    assert log(bench, "error") == []


def test_nobody_hears_what_a_parked_call_logs() -> None:
    bench = Bench()
    bench.called(meta=declaring(**{LEVEL: "info"}))
    bench.question()
    bench.asked()
    assert log(bench, "error") == []


def test_an_unknown_level_is_refused() -> None:
    bench = Bench()
    bench.call(meta=declaring(**{LEVEL: "loud"}))
    ((_, message),) = bench.heard()
    assert message["error"]["code"] == -32602


@pytest.mark.parametrize(
    ("era", "streams", "methods", "is_dropped"),
    [
        (Era.LEGACY, False, ["notifications/cancelled"], False),
        (Era.MODERN, False, ["notifications/cancelled"], False),
        (Era.LEGACY, True, ["notifications/cancelled"], True),
        (Era.MODERN, True, [], True),
    ],
)
def test_a_server_hears_of_a_cancelled_call_as_its_transport_has_it(
    era: Era, streams: bool, methods: list[str], is_dropped: bool
) -> None:
    bench = Bench(info(era), streams=streams)
    bench.take()
    key, own = bench.called()
    bench.conversation.cancel(key, "gone")
    actions = bench.take()
    assert [line["method"] for line in written(actions)] == methods
    assert dropped(actions) == ([own] if is_dropped else [])
    bench.conversation.cancel(key, "again")
    assert bench.take() == []


def test_a_stream_that_ends_too_soon_loses_its_call() -> None:
    bench = Bench(streams=True)
    key, own = bench.called()
    assert bench.conversation.lost(own) == key
    assert bench.conversation.lost(own) is None


def test_a_stream_that_ends_while_its_call_is_parked_ends_that() -> None:
    bench = Bench(streams=True)
    _, own = bench.called()
    bench.question("q", origin=own)
    _, _, state = bench.asked()
    assert bench.conversation.lost(own) is None
    bench.retry(state)
    ((_, message),) = bench.heard()
    assert message["error"]["code"] == -32602


@pytest.mark.parametrize("kind", ["tools", "prompts", "resources"])
@pytest.mark.parametrize(("era", "about"), [(Era.LEGACY, {}), (Era.MODERN, {})])
def test_a_changed_list_is_told_to_the_agent(kind: str, era: Era, about: Any) -> None:
    bench = Bench(info(era, about))
    bench.say(method=f"notifications/{kind}/list_changed")
    assert bench.take() == [ListsChanged()]


def test_what_a_server_has_no_business_to_say_is_told_apart() -> None:
    legacy, modern = Bench(), Bench(info(Era.MODERN, {}))
    assert not modern.say(id=1, method="ping")
    assert not modern.say(id=1, result={})
    assert not legacy.say(id=1, result={})
    assert legacy.say(id=1, method="ping")
    assert legacy.say(method="notifications/unknown")
    assert legacy.sent() == [{"jsonrpc": "2.0", "id": 1, "result": {}}]


def test_the_agent_follows_a_modern_servers_lists_with_a_listen_of_its_own() -> None:
    bench = Bench(info(Era.MODERN))
    (line,) = bench.sent()
    assert line["method"] == "subscriptions/listen"
    assert line["params"]["notifications"] == {
        "toolsListChanged": True,
        "promptsListChanged": True,
        "resourcesListChanged": True,
    }
    about = {"io.modelcontextprotocol/subscriptionId": line["id"]}
    bench.say(method="notifications/subscriptions/acknowledged", params={"_meta": about})
    bench.say(method="notifications/prompts/list_changed", params={"_meta": about})
    assert bench.take() == [ListsChanged()]
    bench.say(method="notifications/prompts/list_changed")
    assert bench.take() == [], "it is told once"
    bench.say(id=line["id"], result={})
    bench.say(method="notifications/prompts/list_changed")
    assert bench.take() == [ListsChanged()]


def test_every_other_request_of_a_modern_server_passes() -> None:
    bench = Bench(info(Era.MODERN, {}))
    bench.ask(request("d", "server/discover"))
    bench.call(requestState="theirs", inputResponses={"a": {}})
    discover, call = bench.sent()
    assert discover["method"] == "server/discover"
    assert call["params"]["requestState"] == "theirs"
    bench.say(id=call["id"], result={"resultType": "input_required", "requestState": "s"})
    ((_, message),) = delivered(bench.take())
    assert message["result"] == {"resultType": "input_required", "requestState": "s"}
