"""A stdio server with real child processes."""

import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from mcptunnel.agent.servers import kept
from mcptunnel.agent.servers.stdio import StdioServer
from mcptunnel.config.agent import ServerConfig
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.model import Outcome
from tests.agent import (
    CLIENT_INFO,
    META,
    STATES,
    Caller,
    in_reactor,
    request,
    the_reactor,
    tool_call,
    until,
)
from tests.conftest import Log

DEMO = (sys.executable, "-m", "mcptunnel.testing.demo_server")
CHECKOUT = Path(__file__).parents[3]

DIES_OF_THE_PROBE = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message["method"] == "server/discover":
        sys.exit("initialize first, I said")
    result = {"protocolVersion": "2024-11-05", "capabilities": {}} \\
        if message["method"] == "initialize" else {"tools": []}
    if "id" in message:
        print("INFO: about to answer", flush=True)
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""

Start: TypeAlias = Callable[..., StdioServer]


@pytest.fixture
def start(
    running_reactor: Any,
    monkeypatch: pytest.MonkeyPatch,
    no_child_left: None,  # noqa: ARG001 - for its effect
) -> Iterator[Start]:
    """Return a function that starts a server; after the test no process is left."""
    assert running_reactor
    monkeypatch.chdir(CHECKOUT)
    monkeypatch.setattr(kept, "SWEEP_INTERVAL_S", 0.05)
    servers: list[StdioServer] = []

    def make(*command: str, **options: Any) -> StdioServer:
        config = ServerConfig(name="demo", kind="stdio", command=command, **options)
        server = StdioServer(
            the_reactor(), config, client_info=CLIENT_INFO, states=STATES, changed=lambda: None
        )
        servers.append(server)
        server.start()
        return server

    yield make
    stopping = [Deferred.fromCoroutine(server.stop()) for server in servers]
    pytest_twisted.blockon(gatherResults(stopping))


async def ready(server: StdioServer) -> StdioServer:
    await until(lambda: server.status.state is ServerState.READY)
    return server


async def called(server: StdioServer, name: str, **arguments: Any) -> Any:
    caller = Caller()
    server.call(tool_call(name, **arguments), caller)
    return (await caller.over()).result


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("era", ["legacy", "modern", "dual"])
@in_reactor
async def test_servers_of_every_era_answer_alike(start: Start, era: str) -> None:
    server = start(*DEMO, "--era", era)
    listed, added = Caller(), Caller()
    server.call(request("tools/list", _meta=META), listed)
    server.call(tool_call("add", a=1, b=2), added)
    assert "add" in [tool["name"] for tool in (await listed.over()).result["tools"]]
    assert (await added.over()).result["structuredContent"] == {"sum": 3}
    assert added.result["resultType"] == "complete"
    assert server.status.era == ("legacy" if era == "legacy" else "modern")


@in_reactor
async def test_a_crash_during_a_call_is_told_within_a_second_and_mended(
    start: Start, log: Log
) -> None:
    server = await ready(start(*DEMO))
    crashed, refused = Caller(), Caller()
    crashed.at_failure = lambda: server.call(tool_call("echo", text="x"), refused)
    asked_s = the_reactor().seconds()
    server.call(tool_call("crash"), crashed)
    await crashed.over()
    assert the_reactor().seconds() - asked_s < 1.0
    assert crashed.failure is not None
    assert "'demo' exited (exit code 70) while it was answering" in crashed.failure.text
    assert crashed.failure.outcome is Outcome.UNKNOWN
    assert refused.failure is not None
    assert refused.failure.outcome is Outcome.NOT_DELIVERED
    assert "demo: demo server: crashing, as asked" in log
    await ready(server)
    assert (await called(server, "add", a=1, b=1))["structuredContent"] == {"sum": 2}
    assert server.status.restarts == 1


@in_reactor
async def test_a_server_that_dies_of_the_probe_works_as_a_legacy_one(
    start: Start, log: Log
) -> None:
    server = start(sys.executable, "-c", DIES_OF_THE_PROBE)
    listed = Caller()
    server.call(request("tools/list"), listed)
    assert (await listed.over()).result["tools"] == []
    assert (server.status.version, server.status.restarts) == ("2024-11-05", 0)
    assert "demo: initialize first, I said" in log
    assert "not a message: INFO: about to answer" in log


@pytest.mark.parametrize("era", ["legacy", "modern"])
@in_reactor
async def test_a_cancelled_call_is_cancelled_in_the_server(start: Start, era: str) -> None:
    server = await ready(start(*DEMO, "--era", era))
    slept = Caller()
    cancel = server.call(tool_call("sleep", seconds=600), slept).cancel
    cancel("never mind")
    counted = await called(server, "cancelled")
    assert counted["structuredContent"] == {"count": 1}
    assert not slept.is_over


@in_reactor
async def test_a_call_that_takes_too_long_is_given_up_in_the_server_too(start: Start) -> None:
    server = await ready(start(*DEMO, timeout_s=0.3))
    slept = Caller()
    server.call(tool_call("sleep", seconds=600), slept)
    await slept.over()
    assert slept.failure is not None
    assert slept.failure.text == "The server 'demo' gave no answer within 0.3 s."
    assert (await called(server, "cancelled"))["structuredContent"] == {"count": 1}


@in_reactor
async def test_progress_arrives_while_the_call_runs_and_keeps_it_alive(start: Start) -> None:
    server = await ready(start(*DEMO, timeout_s=1.0))
    counting = Caller()
    server.call(tool_call("countdown", n=8, interval=0.2), counting)
    await until(lambda: counting.notifications)
    assert not counting.is_over
    assert (await counting.over()).result["structuredContent"] == {"steps": 8}
    assert len(counting.notifications) == 8


@in_reactor
async def test_a_megabyte_comes_whole(start: Start) -> None:
    server = start(*DEMO)
    echoed = await called(server, "echo", size=1_000_000)
    assert len(echoed["content"][0]["text"]) == 1_000_000


@in_reactor
async def test_stop_ends_wrappers_and_what_they_started(start: Start, tmp_path: Path) -> None:
    """A shell waits for the server, and a process in the background ignores every hint."""
    stubborn = tmp_path / "pid"
    script = (
        f"(trap '' TERM; exec {shlex.quote(sys.executable)} -c "
        f"\"import os,time; open('{stubborn}','w').write(str(os.getpid())); time.sleep(600)\") & "
        f"{shlex.join(DEMO)}; true"
    )
    server = await ready(start("sh", "-c", script))
    await until(lambda: stubborn.exists() and stubborn.read_text())
    pid = int(stubborn.read_text())
    assert is_alive(pid)
    began_s = the_reactor().seconds()
    await server.stop()
    assert the_reactor().seconds() - began_s < 3.0
    await until(lambda: not is_alive(pid))  # killed; its last parent sees to the rest


@in_reactor
async def test_a_server_that_ignores_its_end_is_ended_within_three_seconds(start: Start) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    server = start(sys.executable, "-c", deaf + "print('up', flush=True); time.sleep(600)")
    began_s = the_reactor().seconds()
    await server.stop()
    assert the_reactor().seconds() - began_s < 3.0


@in_reactor
async def test_a_command_that_does_not_exist_is_told_and_tried_again(
    start: Start, tmp_path: Path
) -> None:
    program = tmp_path / "server"
    server = start(str(program))
    status = server.status
    assert status.state is ServerState.FAILED
    assert status.detail.startswith(f"cannot start '{program}': there is no such file")
    program.write_text(f"#!/bin/sh\nexec {shlex.join(DEMO)}\n")
    program.chmod(0o700)
    await ready(server)
    assert server.status.restarts >= 1


@in_reactor
async def test_restart_is_another_process_that_works(start: Start) -> None:
    server = await ready(start(*DEMO))
    slept = Caller()
    server.call(tool_call("sleep", seconds=600), slept)
    await server.restart()
    assert slept.failure is not None
    assert (await called(server, "add", a=2, b=2))["structuredContent"] == {"sum": 4}
