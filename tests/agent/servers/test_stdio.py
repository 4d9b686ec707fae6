"""A stdio server over a process that does what the test says, on a clock of the test's."""

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import LogLevel

from mcptunnel.agent.servers.printed import MAX_LINES
from mcptunnel.agent.servers.stdio import MAX_UNREAD_BYTES
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.service import Asker
from mcptunnel.model import Outcome
from tests.agent import Caller, done, request, tool_call
from tests.agent.servers import LEGACY_RESULT, FakeProcess, Workshop
from tests.agent.servers.bench import Bench, failed
from tests.conftest import Log


def test_the_command_runs_with_its_own_environment_and_directory(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCPTUNNEL_KEY", "secret")
    process = Bench(workshop, env={"TZ": "UTC"}, cwd=Path("/srv")).started()
    assert process.command == ("server", "--flag")
    assert process.cwd == "/srv"
    assert process.env["TZ"] == "UTC"
    assert "MCPTUNNEL_KEY" not in process.env


def test_a_modern_server_is_ready_after_the_probe(bench: Bench) -> None:
    assert failed(bench.call()) == ("The server 'files' is stopped.", Outcome.NOT_DELIVERED)
    process = bench.started()
    assert bench.server.status.state is ServerState.STARTING
    process.be_modern()
    status = bench.server.status
    assert (status.state, status.era, status.version) == ("ready", "modern", "2026-07-28")
    assert (status.revision, status.detail, status.restarts) == (1, "", 0)


def test_a_call_waits_for_the_start_and_is_answered_under_its_own_id(bench: Bench) -> None:
    process = bench.started()
    caller = Caller()
    bench.server.call(tool_call("read", "the caller's"), caller)
    assert not process.asked("tools/call")
    process.be_legacy().answer("tools/call", {"content": []})
    assert caller.answer is not None
    assert caller.answer.id == "the caller's"
    assert caller.result["resultType"] == "complete"


def test_a_silent_probe_is_given_up_and_the_server_greeted_as_a_legacy_one(bench: Bench) -> None:
    process = bench.started()
    bench.pass_seconds(4)
    process.answer("initialize", {"protocolVersion": "2025-06-18"})
    assert bench.server.status.version == "2025-06-18"


def test_a_change_of_the_tools_is_a_new_revision(bench: Bench) -> None:
    process = bench.started().be_modern()
    process.say({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
    assert bench.server.status.revision == 2


def test_junk_is_passed_over_and_stderr_is_in_the_log(bench: Bench, log: Log) -> None:
    process = bench.started()
    process.say(b"Welcome to {my} server!")
    process.complain("it {works}")
    process.be_modern()
    assert bench.server.status.state is ServerState.READY
    assert "files: it {works}" in log
    assert "server files: not a message: Welcome to {my} server!" in log
    process.say(b"[")
    process.exit(1)
    assert "server files: 2 lines or answers that it wrote were no messages for us" in log


def test_more_calls_than_may_wait_are_refused(bench: Bench) -> None:
    bench.started()
    callers = [bench.call() for _ in range(257)]
    assert [caller.is_over for caller in callers] == [False] * 256 + [True]
    assert "too many calls wait" in failed(callers[-1])[0]
    assert failed(callers[-1])[1] is Outcome.NOT_DELIVERED


def test_a_cancelled_call_is_told_to_the_server_once(bench: Bench) -> None:
    process = bench.started().be_modern()
    caller = Caller()
    cancel = bench.server.call(tool_call("read"), caller).cancel
    cancel("no longer wanted")
    cancel("again")
    (told,) = process.asked("notifications/cancelled")
    own_id = process.asked("tools/call")[0]["id"]
    assert told["params"] == {"requestId": own_id, "reason": "no longer wanted"}
    process.answer("tools/call", {"content": []})
    assert not caller.is_over


def test_a_cancelled_call_that_still_waits_is_never_asked(bench: Bench) -> None:
    process = bench.started()
    bench.server.call(tool_call("read"), Caller()).cancel("never mind")
    process.be_modern()
    assert not process.asked("tools/call")


def test_cancelling_what_is_over_is_harmless(bench: Bench) -> None:
    process = bench.started().be_modern()
    caller = Caller()
    cancel = bench.server.call(tool_call("read"), caller).cancel
    process.exit(1)
    cancel("too late")
    refused = bench.server.call(tool_call("read"), Caller())
    refused.cancel("too late")
    assert not process.asked("notifications/cancelled")


def test_a_call_without_an_answer_is_given_up_and_the_server_told(bench: Bench) -> None:
    process = bench.started().be_modern()
    caller = bench.call()
    bench.pass_seconds(9)
    assert not caller.is_over
    bench.pass_seconds(2)
    text = "The server 'files' gave no answer within 10 s."
    assert failed(caller) == (text, Outcome.UNKNOWN)
    assert process.asked("notifications/cancelled")[0]["params"]["reason"] == "timeout"


def test_progress_is_passed_on_under_the_callers_token_and_extends_the_deadline(
    bench: Bench,
) -> None:
    process = bench.started().be_modern()
    caller = bench.call()
    token = process.asked("tools/call")[0]["params"]["_meta"]["progressToken"]
    for step in range(5):
        bench.pass_seconds(8)
        params = {"progressToken": token, "progress": step}
        process.say({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
    assert len(caller.notifications) == 5
    assert jsonrpc.decode(caller.notifications[0].params["progressToken"]) == "caller's own"
    process.answer("tools/call", {"content": []})
    assert caller.result["content"] == []


def test_progress_of_a_call_that_nobody_waits_for_goes_nowhere(bench: Bench) -> None:
    process = bench.started().be_modern()
    caller = Caller()
    cancel = bench.server.call(tool_call("read"), caller).cancel
    token = process.asked("tools/call")[0]["params"]["_meta"]["progressToken"]
    cancel("gone")
    params = {"progressToken": token, "progress": 1}
    process.say({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
    assert not caller.notifications


def test_stop_fails_what_is_open_ends_the_process_and_leaves_no_timer(bench: Bench) -> None:
    process = bench.started().be_modern()
    caller = bench.call()
    stopping = Deferred.fromCoroutine(bench.server.stop())
    assert failed(caller) == ("The server 'files' was stopped.", Outcome.UNKNOWN)
    assert not done(stopping)
    process.say({"jsonrpc": "2.0", "id": 2, "result": {}})  # last words
    process.exit(0)
    assert done(stopping)
    assert bench.server.status.state is ServerState.STOPPED
    assert failed(bench.call()) == ("The server 'files' is stopped.", Outcome.NOT_DELIVERED)
    assert not bench.clock.getDelayedCalls()


def test_restart_begins_afresh_after_the_old_process_is_gone(bench: Bench) -> None:
    process = bench.started().be_legacy()
    Deferred.fromCoroutine(bench.server.restart())
    assert bench.workshop.last is process
    process.exit(0)
    assert bench.workshop.last.asked("server/discover"), "the era is asked for again"
    assert bench.server.status.restarts == 0


def test_two_restarts_at_once_start_one_process(bench: Bench) -> None:
    process = bench.started().be_modern()
    orders = [Deferred.fromCoroutine(bench.server.restart()) for _ in range(2)]
    process.exit(0)
    assert all(map(done, orders))
    assert len(bench.workshop.processes) == 2


def test_a_stop_during_a_restart_wins_and_waits_for_the_process(bench: Bench) -> None:
    process = bench.started().be_modern()
    Deferred.fromCoroutine(bench.server.restart())
    stopping = Deferred.fromCoroutine(bench.server.stop())
    assert not done(stopping)
    process.exit(0)
    assert done(stopping)
    assert bench.workshop.last is process
    assert not bench.clock.getDelayedCalls()


def test_what_a_legacy_server_said_of_itself_is_not_asked_again(bench: Bench) -> None:
    process = bench.started().be_legacy()
    caller = Caller()
    bench.server.call(request("server/discover"), caller)
    assert caller.result["supportedVersions"] == ["2026-07-28"]
    assert len(process.asked("server/discover")) == 1


def test_a_child_that_reads_slowly_changes_nothing(bench: Bench) -> None:
    bench.started()
    bench.server.write_paused()
    bench.server.write_resumed()
    assert bench.server.status.state is ServerState.STARTING


def test_a_process_that_does_not_end_when_it_should_is_logged(
    bench: Bench, logged_failures: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stop(_self: FakeProcess, _grace_s: float) -> None:
        raise OSError("no such process")

    monkeypatch.setattr(FakeProcess, "stop", stop)
    process = bench.started()
    process.answer("server/discover", code=-32601, message="no")
    process.answer("initialize", code=-32603, message="no licence")
    assert logged_failures.take(OSError)


def test_a_server_that_does_not_read_is_asked_nothing_more_until_it_does(bench: Bench) -> None:
    """Calls that were cancelled count as well: their bytes are in the pipe."""
    process = bench.started().be_legacy()
    bench.call()
    process.be_deaf(MAX_UNREAD_BYTES + 1)
    said = "The server 'files' does not read what it is sent."
    assert failed(bench.call()) == (said, Outcome.NOT_DELIVERED)
    assert len(process.asked("tools/call")) == 1
    process.hear_again()
    assert not bench.call().is_over
    assert len(process.asked("tools/call")) == 2


def test_a_server_that_does_not_read_is_owed_one_pong(bench: Bench) -> None:
    process = bench.started().be_legacy()
    process.be_deaf(100_000)
    before = len(process.written)
    for number in range(50):
        process.say({"jsonrpc": "2.0", "id": number, "method": "ping"})
    assert len(process.written) == before
    process.hear_again()
    assert process.written[before:] == [{"jsonrpc": "2.0", "id": 49, "result": {}}]


def test_people_do_not_hear_of_a_process_that_was_only_tried(workshop: Workshop, log: Log) -> None:
    """It is greeted without being asked for its era; once it was ready it is one like any other."""
    bench = Bench(workshop, probe=False)
    bench.started().answer("initialize", code=-32601, message="Method not found")
    refused = "refused initialize"
    assert bench.server.status.state is ServerState.FAILED
    assert log.levels(refused) == [LogLevel.debug]
    workshop.last.exit(1)
    bench.pass_seconds(2)
    workshop.last.answer("initialize", LEGACY_RESULT)
    workshop.last.exit(1)
    assert log.levels("exited (exit code 1). Trying again") == [LogLevel.warn]


def test_a_flood_of_lines_is_told_in_one_line_each_second(bench: Bench, log: Log) -> None:
    process = bench.started().be_legacy()
    for _ in range(300):
        process.complain("spam")
        process.say(b"spam")
    bench.pass_seconds(1)
    assert log.count("spam") == MAX_LINES
    assert "server files: 500 lines left out" in log
    for _ in range(MAX_LINES + 7):
        process.complain("last words")
    process.exit(1)
    assert log.count("last words") == MAX_LINES
    assert "server files: 7 lines left out" in log


ASKS: dict[str, object] = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}


def test_a_client_that_does_not_come_back_ends_its_call_in_the_server(bench: Bench) -> None:
    process = bench.started().be_legacy()
    caller = Caller()
    bench.server.call(request("tools/call", name="ask", _meta=ASKS), caller)
    process.say({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create"})
    assert caller.result["resultType"] == "input_required"
    assert not bench.server.is_idle
    bench.pass_seconds(3599)
    assert not process.asked("notifications/cancelled")
    bench.pass_seconds(2)
    (told,) = process.asked("notifications/cancelled")
    assert told["params"]["requestId"] == process.asked("tools/call")[0]["id"]
    assert bench.server.is_idle


def test_a_listen_waits_for_ever_and_survives_a_crash(bench: Bench) -> None:
    process = bench.started().be_legacy()
    caller = Caller()
    listening = bench.server.call(request("subscriptions/listen"), caller, Asker("local|ken", ""))
    bench.pass_seconds(100)
    process.exit(1)
    bench.pass_seconds(1)
    bench.workshop.last.be_legacy()
    assert [one.method for one in caller.notifications] == [
        "notifications/subscriptions/acknowledged"
    ]
    assert not caller.is_over
    assert not bench.server.is_idle
    listening.cancel("gone")
    assert bench.server.is_idle


def test_a_listen_that_is_given_up_while_no_process_runs_is_gone(bench: Bench) -> None:
    process = bench.started().be_legacy()
    kinds = {"toolsListChanged": True}
    caller = Caller()
    listening = bench.server.call(request("subscriptions/listen", notifications=kinds), caller)
    process.exit(1)
    listening.cancel("gone")
    bench.pass_seconds(1)
    bench.workshop.last.be_legacy()
    bench.workshop.last.say({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
    assert len(caller.notifications) == 1


def test_a_listen_ends_with_a_result_when_the_server_is_stopped(bench: Bench) -> None:
    bench.started().be_legacy()
    caller = Caller()
    bench.server.call(request("subscriptions/listen", "mine"), caller)
    Deferred.fromCoroutine(bench.server.stop())
    about = {"io.modelcontextprotocol/subscriptionId": "mine"}
    assert caller.result == {"resultType": "complete", "_meta": about}
    bench.workshop.last.exit(0)


def test_that_a_server_does_not_bear_the_probe_is_forgotten_after_an_hour(bench: Bench) -> None:
    """It may have become another one."""
    bench.started().exit(1)
    process = bench.workshop.last
    assert not process.asked("server/discover")
    process.answer("initialize", LEGACY_RESULT)
    process.exit(1)
    bench.pass_seconds(1)
    assert not bench.workshop.last.asked("server/discover")
    bench.workshop.last.answer("initialize", LEGACY_RESULT)
    bench.clock.advance(3600)
    bench.workshop.last.exit(1)
    bench.pass_seconds(1)
    assert bench.workshop.last.asked("server/discover")


def test_a_server_that_dies_of_an_offer_gets_a_lesser_one(bench: Bench) -> None:
    bench.started().answer("server/discover", code=-32601, message="no")
    offers = list[Any]()
    for _ in range(5):
        process = bench.workshop.last
        offers.append(process.asked("initialize")[0]["params"]["capabilities"])
        process.exit(1)
        bench.pass_seconds(20)
    assert [len(offer) for offer in offers] == [4, 4, 3, 0, 4]
    assert [len(offer.get("elicitation", ())) for offer in offers] == [2, 2, 0, 0, 2]
