"""A stdio server whose process ends, or cannot be started, and is tried again."""

from twisted.internet.defer import Deferred

from mcptunnel.agent.servers import kept
from mcptunnel.agent.servers.interfaces import STOP_GRACE_S
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.model import Outcome
from tests.agent import Caller, done, tool_call
from tests.agent.servers import FakeProcess
from tests.agent.servers.bench import Bench, failed
from tests.conftest import Log


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
    assert process.stopping == [STOP_GRACE_S]
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


def test_stop_while_waiting_for_the_next_start_means_no_next_start(bench: Bench) -> None:
    bench.started().be_modern().exit(1)
    assert done(Deferred.fromCoroutine(bench.server.stop()))
    assert not bench.clock.getDelayedCalls()
