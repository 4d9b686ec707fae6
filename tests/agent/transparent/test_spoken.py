"""An exchange as an HTTP request: bounds, and the pace of the client."""

import json

import pytest

from mcptunnel.agent.endpoint import MAX_REQUESTS_BYTES, MAX_UNSENT_BYTES
from mcptunnel.wire.constants import ErrorCode
from tests.agent.transparent.stage import JSON_FIELDS, Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def free_bytes(stage: Stage) -> int:
    return stage.exchanges._room.free_bytes


def test_a_body_that_is_too_large_is_refused_before_its_end(stage: Stage) -> None:
    """Once more has come than is read; what follows is thrown away."""
    told = stage.begin("POST", JSON_FIELDS)
    assert told.exchange is not None
    told.exchange.write(bytes(60_000))
    stage.relay.settle()
    assert told.head is None
    told.exchange.write(bytes(60_000))
    stage.relay.settle()
    assert told.status == 413
    assert "larger than 100000 bytes" in told.json["error"]["message"]
    assert told.is_whole
    told.exchange.write(bytes(300_000))
    told.exchange.end()
    stage.relay.settle()
    assert free_bytes(stage) == MAX_REQUESTS_BYTES


def test_open_requests_share_the_room_of_the_agent(stage: Stage) -> None:
    """One that finds none is refused, and has not run; a call gives its room back with its answer."""
    told = stage.modern("tools/call", {"name": "wait"})
    left = free_bytes(stage)
    assert left < MAX_REQUESTS_BYTES
    stage.exchanges._room.free_bytes = 10
    refused = stage.modern("tools/list")
    assert refused.failure is not None
    assert refused.failure.code is ErrorCode.REFUSED_STREAM
    assert "no room" in refused.failure.text
    stage.exchanges._room.free_bytes = left
    stage.server.calls.pop().answer("done")
    stage.relay.settle()
    assert told.is_whole
    assert free_bytes(stage) == MAX_REQUESTS_BYTES


def test_a_client_that_goes_before_the_end_of_its_body_gives_its_room_back(stage: Stage) -> None:
    told = stage.begin("POST", JSON_FIELDS)
    assert told.exchange is not None
    told.exchange.write(bytes(1000))
    stage.relay.settle()
    assert free_bytes(stage) < MAX_REQUESTS_BYTES
    told.exchange.reset(ErrorCode.CANCEL, "gone")
    stage.relay.settle()
    assert free_bytes(stage) == MAX_REQUESTS_BYTES


def test_a_client_that_reads_slowly_misses_progress_and_not_the_answer(stage: Stage) -> None:
    """What waits for it is bounded."""
    told = stage.modern("tools/call", {"name": "wait", "_meta": {"progressToken": 1}}, takes=False)
    (call,) = stage.server.calls
    for step in range(2000):
        call.progress(step, "x" * 1000)
        stage.relay.settle()
    call.answer("done")
    stage.relay.settle()
    assert told.exchange is not None
    told.takes = True
    told.exchange.consumed(len(told.body))
    stage.relay.settle()
    assert len(told.body) < 3 * MAX_UNSENT_BYTES
    steps = [message for message in told.messages if "method" in message]
    assert 100 < len(steps) < 2000
    assert json.loads(json.dumps(told.messages[-1]))["id"] == 1
    assert told.is_whole


def test_a_client_that_catches_up_hears_more(stage: Stage) -> None:
    told = stage.modern("tools/call", {"name": "wait", "_meta": {"progressToken": 1}}, takes=False)
    (call,) = stage.server.calls
    for step in range(1000):
        call.progress(step, "x" * 1000)
        stage.relay.settle()
    assert told.exchange is not None
    told.takes = True
    told.exchange.consumed(len(told.body))
    stage.relay.settle()
    count = len(told.messages)
    call.progress(5000)
    stage.relay.settle()
    assert len(told.messages) == count + 1
