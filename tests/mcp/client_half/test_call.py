"""Modern requests: status, stream, disconnect, slow clients."""

import pytest

from mcptunnel.mcp.client_half.keep_alive import INTERVAL_S, SWEEPS
from tests.mcp.client_half.stage import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_result_is_one_body(stage: Stage) -> None:
    http = stage.modern("tools/list", request_id="x")
    stage.take().result(tools=[])
    assert (http.status, http.json["id"]) == (200, "x")
    assert http.json["result"] == {"resultType": "complete", "tools": []}
    assert http.watcher is None


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (-32601, 404),
        (-32602, 400),
        (-32600, 400),
        (-32020, 400),
        (-32021, 400),
        (-32022, 400),
        (-32603, 200),
        (5, 200),
    ],
)
def test_errors_have_a_status(stage: Stage, code: int, status: int) -> None:
    http = stage.modern("x/y", request_id=7)
    stage.take().error(code, "no", {"requiredCapabilities": {"roots": {}}})
    assert (http.status, http.code, http.json["id"]) == (status, code, 7)
    assert http.json["error"]["data"] == {"requiredCapabilities": {"roots": {}}}


def test_news_make_a_stream(stage: Stage) -> None:
    http = stage.modern("tools/call", {"name": "t"})
    asked = stage.take()
    asked.notify("notifications/progress", progressToken=1, progress=1)
    assert not http.is_over
    asked.error(-32602)
    assert [event.get("method") for event in http.events] == ["notifications/progress", None]
    assert (http.status, http.code, http.is_over) == (200, -32602, True)


def test_a_modern_client_answers_input_requests_itself(stage: Stage) -> None:
    http = stage.modern("tools/call", {"name": "t"})
    stage.take().needs({"k": {"method": "roots/list", "params": {}}}, "s")
    assert http.json["result"]["resultType"] == "input_required"


def test_session_and_last_event_id_are_ignored(stage: Stage) -> None:
    http = stage.modern("tools/list", mcp_session_id="nobodys", last_event_id="5")
    stage.take().result(tools=[])
    assert http.status == 200
    assert http.sent == ()


def test_leaving_cancels(stage: Stage) -> None:
    http = stage.modern("tools/call", {"name": "t"})
    asked = stage.take()
    http.hang_up()
    assert asked.cancelled == "the client closed the stream"
    asked.notify("notifications/progress", progress=1)
    asked.text("late")
    assert not http.status


def test_a_slow_client_holds_its_call(stage: Stage) -> None:
    http = stage.modern("tools/call", {"name": "t"})
    asked = stage.take()
    asked.notify("notifications/progress", progress=1)
    http.slow(True)
    http.slow(False)
    assert asked.held == [True, False]


@pytest.mark.parametrize("legacy", [True, False])
def test_a_long_answer_becomes_a_stream(stage: Stage, legacy: bool) -> None:
    """After 5 s, at most 7.5; then a comment every 15 s, until the result."""
    http = stage.client().call() if legacy else stage.modern("tools/call", {"name": "t"})
    asked = stage.take()
    stage.timers.pass_s(4.9)
    assert not http.status
    stage.timers.pass_s(7.5 - 4.9)
    assert (http.status, http.is_stream, http.comments) == (200, True, 1)
    for count in range(2, 6):
        stage.timers.pass_s(INTERVAL_S)
        assert http.comments == count
    asked.text("done")
    assert http.last["result"]["content"][0]["text"] == "done"
    assert http.is_over
    stage.timers.pass_s(60)
    assert stage.timers.count == 0


def test_a_slow_client_gets_no_comments(stage: Stage) -> None:
    http = stage.modern("tools/call", {"name": "t"})
    stage.timers.pass_s(8)
    http.slow(True)
    stage.timers.pass_s(100)
    assert http.comments == 1


def test_a_client_that_takes_no_streams_waits_for_its_body(stage: Stage) -> None:
    http = stage.modern("tools/call", {"name": "t"}, accept="application/json")
    asked = stage.take()
    asked.notify("notifications/progress", progress=1)
    stage.timers.pass_s(60)
    assert not http.status
    asked.text("done")
    assert http.json["result"]["content"][0]["text"] == "done"


def test_quick_calls_share_one_timer(stage: Stage) -> None:
    for _ in range(50):
        stage.modern("tools/call", {"name": "t"})
        stage.take().text("done")
    assert stage.timers.count == 1
    stage.timers.pass_s(INTERVAL_S / SWEEPS)
    assert stage.timers.count == 0
