"""A stdio server over a process that does what the test says, on a clock of the test's."""

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.agent.servers import kept, stdio
from mcptunnel.agent.servers.interfaces import ServerState
from mcptunnel.agent.servers.printed import MAX_LINES
from mcptunnel.agent.servers.stdio import MAX_UNREAD_BYTES, StdioServer
from mcptunnel.config.agent import ServerConfig
from mcptunnel.mcp import jsonrpc
from mcptunnel.model import Outcome
from tests.agent import CLIENT_INFO, Caller, done, request, tool_call
from tests.agent.conftest import Log
from tests.agent.servers import FakeProcess, Workshop


class Bench:
    """A server, its clock, its processes, and every status that it told."""

    def __init__(self, workshop: Workshop, **options: Any) -> None:
        self.clock = Clock()
        self.workshop = workshop
        self.states: list[ServerState] = []
        settings = {"command": ("server", "--flag"), "timeout_s": 10.0, **options}
        config = ServerConfig(name="files", kind="stdio", **settings)
        self.server = StdioServer(
            self.clock, config, client_info=CLIENT_INFO, changed=self._changed
        )

    def _changed(self) -> None:
        self.states.append(self.server.status.state)

    def started(self) -> FakeProcess:
        self.server.start()
        return self.workshop.last

    def call(self, name: str = "read", **arguments: Any) -> Caller:
        caller = Caller()
        self.server.call(tool_call(name, **arguments), caller)
        return caller

    def pass_seconds(self, count: float) -> None:
        self.clock.pump([0.5] * round(2 * count))


@pytest.fixture
def workshop(monkeypatch: pytest.MonkeyPatch) -> Workshop:
    made = Workshop()
    monkeypatch.setattr(stdio, "ChildProcess", made)
    return made


@pytest.fixture
def bench(workshop: Workshop) -> Bench:
    return Bench(workshop)


def failed(caller: Caller) -> tuple[str, Outcome]:
    assert caller.failure is not None
    return caller.failure.text, caller.failure.outcome


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


def test_a_crash_fails_what_was_asked_as_unknown_and_the_next_process_works(bench: Bench) -> None:
    process = bench.started().be_modern()
    caller = bench.call()
    process.exit(70)
    text = "The server 'files' exited (exit code 70) while it was answering."
    assert failed(caller) == (text, Outcome.UNKNOWN)
    assert bench.server.status.state is ServerState.FAILED
    assert bench.server.status.detail == "exited (exit code 70)"
    bench.clock.advance(0.1)
    bench.workshop.last.be_modern()
    status = bench.server.status
    assert (status.state, status.restarts, status.revision) == ("ready", 1, 2)
    assert len(bench.workshop.processes) == 2


def test_a_call_right_after_a_crash_waits_for_the_next_process(bench: Bench) -> None:
    bench.started().be_modern().exit(70)
    caller, given_up = bench.call(), Caller()
    bench.server.call(tool_call("write"), given_up).cancel("changed my mind")
    assert not caller.is_over
    bench.clock.advance(0.1)
    process = bench.workshop.last.be_modern()
    (asked,) = process.asked("tools/call")
    assert asked["params"]["name"] == "read"
    process.answer("tools/call", {"content": []})
    assert caller.result["content"] == []


def test_a_call_that_waits_fails_with_the_next_start(bench: Bench) -> None:
    bench.started().be_modern().exit(70)
    caller = bench.call()
    bench.workshop.refusal = "cannot start 'server': it is not executable"
    bench.clock.advance(0.1)
    text = "The server 'files' cannot start 'server': it is not executable."
    assert failed(caller) == (text, Outcome.NOT_DELIVERED)


def test_no_more_than_so_many_calls_wait_for_the_next_process(bench: Bench) -> None:
    bench.started().be_modern().exit(70)
    callers = [bench.call() for _ in range(kept.MAX_WAITING + 1)]
    assert [caller.is_over for caller in callers] == [False] * kept.MAX_WAITING + [True]
    assert failed(callers[-1])[1] is Outcome.NOT_DELIVERED


def test_a_call_is_refused_at_once_when_the_next_start_is_far_away(bench: Bench) -> None:
    """After 0.1 + 0.2 + 0.4 + 0.8 + 1.6 s it is tried after 3.2 s."""
    bench.started()
    for delay_s in (0.1, 0.2, 0.4, 0.8, 1.6):
        bench.workshop.last.be_modern().exit(70)
        bench.clock.advance(delay_s)
    bench.workshop.last.be_modern().exit(70)
    text = "The server 'files' exited (exit code 70)."
    assert failed(bench.call()) == (text, Outcome.NOT_DELIVERED)


def test_a_stop_ends_the_wait_for_the_next_process(bench: Bench) -> None:
    bench.started().be_modern().exit(70)
    caller = bench.call()
    Deferred.fromCoroutine(bench.server.stop())
    assert failed(caller)[0] == "The server 'files' was stopped."
    assert not bench.clock.getDelayedCalls()


def test_a_server_that_keeps_crashing_is_started_less_and_less_often_but_for_ever(
    bench: Bench,
) -> None:
    starts_s = []
    bench.started()
    for _ in range(40):
        bench.workshop.last.be_modern().exit()
        known = len(bench.workshop.processes)
        while len(bench.workshop.processes) == known:
            bench.clock.advance(0.1)
        starts_s.append(bench.clock.seconds())
    assert starts_s[1] - starts_s[0] < 0.5
    assert 29 < starts_s[-1] - starts_s[-2] < 31
    assert bench.server.status.restarts == 40


def test_a_process_that_dies_of_the_probe_is_replaced_at_once_and_unasked(bench: Bench) -> None:
    """As older Rust servers do. Who waits does not notice, and nobody is told of a failure."""
    first = bench.started()
    caller = bench.call()
    first.exit(1)
    second = bench.workshop.last
    assert second is not first
    assert not second.asked("server/discover")
    second.answer("initialize", {"protocolVersion": "2025-06-18"})
    second.answer("tools/call", {"content": []})
    assert caller.result["content"] == []
    assert ServerState.FAILED not in bench.states
    assert bench.server.status.restarts == 0


def locked(bench: Bench) -> FakeProcess:
    """Start a process that the probe has spoilt, and that takes its time to end."""
    process = bench.started()
    process.answer("server/discover", code=-32602, message="what?")
    process.answer("initialize", code=-32600, message="modern already")
    assert process.stopping == [stdio.STOP_GRACE_S]
    return process


def test_calls_made_while_a_spoilt_process_ends_wait_for_the_next_one(bench: Bench) -> None:
    process = locked(bench)
    caller, given_up = Caller(), Caller()
    bench.server.call(tool_call("read"), caller)
    bench.server.call(tool_call("write"), given_up).cancel("changed my mind")
    process.exit(0)
    second = bench.workshop.last
    second.answer("initialize", {"protocolVersion": "2025-06-18"})
    (asked,) = second.asked("tools/call")
    assert asked["params"]["name"] == "read"
    second.answer("tools/call", {"content": []})
    assert caller.is_over
    assert not given_up.is_over


def test_a_call_that_was_handed_on_can_still_be_cancelled(bench: Bench) -> None:
    first = bench.started()
    cancel = bench.server.call(tool_call("read"), Caller()).cancel
    first.exit(1)
    second = bench.workshop.last
    second.answer("initialize", {"protocolVersion": "2025-06-18"})
    cancel("gone")
    (told,) = second.asked("notifications/cancelled")
    assert told["params"]["requestId"] == second.asked("tools/call")[0]["id"]


def test_what_waits_for_a_process_that_cannot_be_started_any_more_is_refused(
    bench: Bench,
) -> None:
    first = bench.started()
    caller = bench.call()
    bench.workshop.refusal = "cannot start 'server': it is not executable"
    first.exit(1)
    text, outcome = failed(caller)
    assert text == "The server 'files' cannot start 'server': it is not executable."
    assert outcome is Outcome.NOT_DELIVERED


def test_a_server_that_ends_before_it_is_ready_says_how(bench: Bench) -> None:
    bench.started().exit(1)
    caller = bench.call()
    bench.workshop.last.exit(2)
    assert bench.server.status.detail == "exited (exit code 2) while starting"
    text = "The server 'files' exited (exit code 2) while starting."
    assert failed(caller) == (text, Outcome.NOT_DELIVERED)


def test_a_server_that_refuses_the_handshake_is_ended_and_tried_again(bench: Bench) -> None:
    process = bench.started()
    caller = bench.call()
    process.answer("server/discover", code=-32601, message="no")
    process.answer("initialize", code=-32603, message="\x1b[1mno\nlicence")
    assert failed(caller)[1] is Outcome.NOT_DELIVERED
    assert "[1mno licence" in bench.server.status.detail
    assert process.stopping
    assert "[1mno licence" in failed(bench.call())[0]
    process.exit(0)
    assert "[1mno licence" in bench.server.status.detail
    bench.clock.advance(0.1)
    assert bench.workshop.last is not process


def test_what_is_wrong_is_logged_when_it_changes_with_what_to_do(bench: Bench, log: Log) -> None:
    bench.workshop.refusal = "cannot start 'server': no such program in PATH"
    bench.server.start()
    bench.pass_seconds(300)
    told = (
        "server files: cannot start 'server': no such program in PATH."
        " Install it in servers.files.command. Trying again, less and less often."
    )
    assert log.lines == [told]
    bench.workshop.refusal = ""
    bench.pass_seconds(31)
    bench.workshop.last.exit(1)  # the next ones are not asked for their era
    for _ in range(3):
        known = len(bench.workshop.processes)
        bench.workshop.last.exit(2)
        while len(bench.workshop.processes) == known:
            bench.clock.advance(0.5)
    other = "server files: exited (exit code 2) while starting. Trying again, less and less often."
    assert [line for line in log.lines if "era" not in line] == [told, other]
    bench.workshop.last.answer("initialize", {"protocolVersion": "2025-06-18"})
    assert "server files is ready: legacy 2025-06-18" in log
    bench.workshop.last.exit(2)
    assert log.lines[-1] == (
        "server files: exited (exit code 2). Trying again, less and less often."
    )


def test_a_command_that_cannot_be_started_is_tried_for_ever(bench: Bench) -> None:
    bench.workshop.refusal = "cannot start 'server': no such program in PATH"
    bench.server.start()
    status = bench.server.status
    assert status.state is ServerState.FAILED
    assert status.detail == "cannot start 'server': no such program in PATH"
    bench.pass_seconds(300)
    assert failed(bench.call())[1] is Outcome.NOT_DELIVERED
    assert bench.server.status.restarts > 10
    bench.workshop.refusal = ""
    bench.pass_seconds(31)
    bench.workshop.last.be_modern()
    assert bench.server.status.state is ServerState.READY


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


def test_stop_while_waiting_for_the_next_start_means_no_next_start(bench: Bench) -> None:
    bench.started().be_modern().exit(1)
    assert done(Deferred.fromCoroutine(bench.server.stop()))
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
