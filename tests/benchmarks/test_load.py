"""The load and the echo server, against each other: every call is answered, counted and right."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks import load
from tests.benchmarks.load import Lane
from tests.benchmarks.phases import PHASES, Scale, cases
from tests.benchmarks.requests import VARIANTS, Calls, Era, Target
from tests.benchmarks.stage import ECHO_SERVER, Stage, running

TINY = Scale(1, 2, 20, 0.02, (1, 8), ((100, 3), (300_000, 2)), 2, 0.02)
ERAS: tuple[Era, ...] = ("legacy", "modern")


@pytest.fixture(params=ERAS)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with running(tmp_path, request.param, [], legacy_servers=False) as found:
        yield found


@pytest.mark.parametrize("phase", PHASES)
def test_every_phase_runs_without_errors(stage: Stage, phase: str) -> None:
    """Each phase measures the direct way, and finds its figures."""
    (target,) = stage.targets
    for case in cases([phase], TINY):
        found = case.run(target, stage.pids[target.name])
        assert found.errors == {}
        assert found.figures["calls_per_s"] > 0
        assert found.figures["cpu_ms.server"] >= 0
        if phase == "sse":
            assert found.figures["events"] == 1000


def test_a_lane_makes_exactly_its_calls(stage: Stage) -> None:
    lane = Lane(stage.targets[0], Calls(stage.targets[0], "echo", {"size": 10}), 5, calls_left=17)
    lane.open()
    load.run([lane])
    lane.close()
    assert len(lane.latencies_ms) == 17


def test_failed_calls_are_counted_not_timed(stage: Stage) -> None:
    """An unknown tool is answered with an error: that is no latency."""
    lane = Lane(stage.targets[0], Calls(stage.targets[0], "nothing", {}), calls_left=3)
    lane.open()
    load.run([lane])
    lane.close()
    assert not lane.latencies_ms
    assert lane.errors == {"not the result": 3}


@pytest.mark.parametrize("era", ERAS)
def test_requests_differ_and_are_well_formed(era: Era) -> None:
    """Content-Length fits, ids are new each time, and no two of a round have the same body."""
    target = Target("t", "http://127.0.0.1:9/mcp", era, token="k", prefix="echo__", session="s")
    calls = Calls(target, "progress", {"n": 1}, progress=True)
    bodies, lengths = set(), set()
    for _ in range(VARIANTS):
        data, request_id = calls.next()
        head, _, body = data.partition(b"\r\n\r\n")
        assert b"\r\nContent-Length: %d" % len(body) in head
        message = json.loads(body)
        assert message["id"] == int(request_id)
        assert message["params"]["name"] == "echo__progress"
        assert message["params"]["_meta"]["progressToken"] == request_id.decode()
        bodies.add(body)
        lengths.add(len(body))
    assert len(bodies) == len(lengths) == VARIANTS


def test_the_echo_server_over_stdio() -> None:
    """The stdio form answers the same tools, one line per message."""
    call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call"}
    meta = {"progressToken": "p"}
    asked = [
        {**call, "params": {"name": "echo", "arguments": {"size": 5}}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {**call, "params": {"name": "progress", "arguments": {"n": 2}, "_meta": meta}},
    ]
    done = subprocess.run(
        [sys.executable, ECHO_SERVER, "--stdio"],
        input="".join(json.dumps(message) + "\n" for message in asked).encode(),
        stdout=subprocess.PIPE,
        timeout=20,
        check=True,
    )
    echoed, *progress, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert echoed["result"]["content"] == [{"type": "text", "text": "xxxxx"}]
    assert [message["params"]["progress"] for message in progress] == [1, 2]
    assert last["id"] == 7
