import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from mcptunnel.net.process import ChildProcess, ChildStartError, ExitStatus, spawn
from tests.conftest import LoggedFailures
from tests.net.process import in_reactor

reactor = cast("Any", _reactor)
ENV = {"PATH": os.environ["PATH"]}
TIMEOUT_S = 20.0


class Recorder:
    """Remembers all that a child says; `until` waits for a condition on it."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.log: list[str] = []
        self.pauses: list[str] = []
        self.status: ExitStatus | None = None
        self.after_exit = 0
        self.refused: bytes | None = None
        self._wanted: list[tuple[Callable[[], bool], Deferred[None]]] = []

    async def until(self, condition: Callable[[], bool]) -> None:
        met: Deferred[None] = Deferred()
        met.addTimeout(TIMEOUT_S, reactor)
        self._wanted.append((condition, met))
        self._check()
        await met

    async def exit(self) -> ExitStatus:
        await self.until(lambda: self.status is not None)
        assert self.status is not None
        return self.status

    def _check(self) -> None:
        for wanted in [w for w in self._wanted if w[0]()]:
            self._wanted.remove(wanted)
            wanted[1].callback(None)

    def line_received(self, line: bytes) -> None:
        if line == self.refused:
            raise ValueError(line)
        self.after_exit += self.status is not None
        self.lines.append(line)
        self._check()

    def stderr_received(self, line: str) -> None:
        self.after_exit += self.status is not None
        self.log.append(line)
        self._check()

    def write_paused(self) -> None:
        self.pauses.append("paused")
        self._check()

    def write_resumed(self) -> None:
        self.pauses.append("resumed")
        self._check()

    def exited(self, status: ExitStatus) -> None:
        assert self.status is None
        self.status = status
        self._check()


def child(*command: str, **options: Any) -> tuple[ChildProcess, Recorder]:
    recorder = Recorder()
    process = ChildProcess(reactor, recorder, command=command, env=ENV, **options)
    process.start()
    return process, recorder


def shell(script: str, **options: Any) -> tuple[ChildProcess, Recorder]:
    return child("sh", "-c", script, **options)


def python(script: str, **options: Any) -> tuple[ChildProcess, Recorder]:
    return child(sys.executable, "-I", "-S", "-c", script, **options)


def is_running(pid: int) -> bool:
    """Whether a process lives; a zombie that waits for init does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def gone(pid: int) -> None:
    """Wait until a process is no more."""
    for _ in range(1000):
        if not is_running(pid):
            return
        await deferLater(reactor, 0.01, lambda: None)
    raise AssertionError(f"{pid} is still there")


@pytest.fixture(params=["descriptor", "polling"])
def exit_detection(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with both ways of noticing an exit."""
    if request.param == "polling":
        monkeypatch.setattr(spawn, "_process_descriptor", lambda _pid: -1)


@pytest.mark.usefixtures("exit_detection")
@in_reactor
async def test_lines_go_in_and_out_and_stop_ends_it() -> None:
    process, got = child("cat")
    process.write_line(b"one")
    process.write_line(b"two")
    await got.until(lambda: got.lines == [b"one", b"two"])
    await process.stop()
    assert got.status == ExitStatus(0, None)
    assert got.after_exit == 0
    await process.stop()


@pytest.mark.usefixtures("exit_detection")
@in_reactor
async def test_an_exit_is_told_once_after_the_last_partial_lines() -> None:
    _, got = shell("printf 'a\\nb'; printf 'oops' >&2; exit 3")
    assert await got.exit() == ExitStatus(3, None)
    assert got.lines == [b"a", b"b"]
    assert got.log == ["oops"]
    assert got.after_exit == 0


@in_reactor
async def test_a_signal_is_named() -> None:
    _, got = shell("kill -9 $$")
    status = await got.exit()
    assert status == ExitStatus(None, 9)
    assert str(status) == "signal 9 (Killed)"


@in_reactor
async def test_a_child_that_does_not_read_pauses_the_writer() -> None:
    process, got = shell("read go; cat")
    line = b"x" * 1_000_000
    for _ in range(3):
        process.write_line(line)
    assert got.pauses == ["paused"]
    await got.until(lambda: got.pauses == ["paused", "resumed"])
    await process.stop()
    assert got.lines == [line, line]


@in_reactor
async def test_what_was_written_before_stop_is_still_read() -> None:
    process, got = child("cat")
    line = b"y" * 3_000_000
    process.write_line(line)
    await process.stop()
    assert got.lines == [line]


@in_reactor
async def test_a_child_that_could_not_start_is_nothing_to_stop() -> None:
    process = ChildProcess(reactor, Recorder(), command=["no-such-program-xyz"], env=ENV)
    with pytest.raises(ChildStartError):
        process.start()
    assert process.pid is None
    await process.stop()


@in_reactor
async def test_a_child_is_started_once() -> None:
    process, got = child("cat")
    with pytest.raises(RuntimeError):
        process.start()
    await process.stop()
    assert got.status == ExitStatus(0, None)


@in_reactor
async def test_a_child_that_ignores_a_closed_stdin_gets_sigterm() -> None:
    process, got = shell("echo up; sleep 100")
    await got.until(lambda: got.lines == [b"up"])
    await process.stop(0.05)
    assert got.status == ExitStatus(None, signal.SIGTERM)


@in_reactor
async def test_a_child_that_ignores_sigterm_gets_sigkill() -> None:
    process, got = shell("trap '' TERM; echo up; while :; do sleep 0.01; done")
    await got.until(lambda: got.lines == [b"up"])
    await process.stop(0.05)
    assert got.status == ExitStatus(None, signal.SIGKILL)


@in_reactor
async def test_a_second_stop_can_be_in_a_hurry() -> None:
    process, got = shell("echo up; sleep 100")
    await got.until(lambda: got.lines == [b"up"])
    slow = Deferred.fromCoroutine(process.stop(1000))
    await process.stop(0.02)
    await slow
    assert got.status == ExitStatus(None, signal.SIGTERM)


@in_reactor
async def test_a_wrapper_dies_with_what_it_started() -> None:
    process, got = shell("sh -c 'echo $$; sleep 100; :' ; :")
    await got.until(lambda: len(got.lines) == 1)
    await process.stop(0.05)
    await gone(int(got.lines[0]))


@in_reactor
async def test_grandchildren_that_outlive_the_child_are_ended() -> None:
    _, got = shell("sleep 100 & echo $!; exec true")
    assert await got.exit() == ExitStatus(0, None)
    await gone(int(got.lines[0]))


@in_reactor
async def test_grandchildren_that_hold_no_pipe_and_ignore_sigterm_are_ended() -> None:
    _, got = shell("(trap '' TERM; sleep 100) >/dev/null 2>&1 </dev/null & echo $!; exit 5")
    assert await got.exit() == ExitStatus(5, None)
    await gone(int(got.lines[0]))


@in_reactor
async def test_a_daemon_that_keeps_the_pipe_does_not_hold_up_the_exit() -> None:
    process, got = shell("setsid sleep 100 & echo $!")
    await got.until(lambda: len(got.lines) == 1)
    await process.stop(0.05)
    assert got.status == ExitStatus(0, None)
    os.kill(int(got.lines[0]), signal.SIGKILL)


@pytest.mark.usefixtures("exit_detection")
@in_reactor
async def test_a_child_that_closes_its_output_but_stays_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process, got = shell("exec >&-; sleep 100")
    monkeypatch.setattr(process, "_grace_s", 0.05)
    status = await got.exit()
    assert status == ExitStatus(None, signal.SIGTERM, "it closed its output")


@in_reactor
async def test_a_child_that_closes_its_input_but_stays_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process, got = shell("exec <&-; echo up; sleep 100")
    monkeypatch.setattr(process, "_grace_s", 0.05)
    await got.until(lambda: got.lines == [b"up"])
    process.write_line(b"anybody?")
    process.write_line(b"hello?")
    status = await got.exit()
    assert status == ExitStatus(None, signal.SIGTERM, "it closed its input")


@in_reactor
async def test_an_overlong_line_ends_the_child() -> None:
    _, got = shell("echo ok; head -c 3000 /dev/zero; exec cat", max_line_bytes=2000)
    status = await got.exit()
    assert got.lines == [b"ok"]
    assert status == ExitStatus(None, signal.SIGTERM, "it sent a line that is too long")


@in_reactor
async def test_a_child_that_reads_nothing_is_ended_when_too_much_waits_for_it() -> None:
    process, got = shell("exec sleep 60", max_unsent_bytes=1_000_000)
    for _ in range(9):
        process.write_line(b"x" * 100_000)
    assert process.unsent_bytes > 800_000
    assert got.status is None
    for _ in range(3):
        process.write_line(b"x" * 100_000)
    assert process.unsent_bytes == 0
    status = await got.exit()
    assert status == ExitStatus(None, signal.SIGTERM, "it does not read its input")


@in_reactor
async def test_a_line_of_32_mib_arrives_whole() -> None:
    _, got = shell("head -c 33554432 /dev/zero; echo")
    await got.exit()
    assert [len(line) for line in got.lines] == [33_554_432]


@in_reactor
async def test_stderr_is_drained_and_never_blocks_the_child() -> None:
    _, got = shell("head -c 1000000 /dev/zero >&2; echo done")
    await got.exit()
    assert got.lines == [b"done"]
    assert sum(map(len, got.log)) == 1_000_000
    assert max(map(len, got.log)) == 8192


@in_reactor
async def test_a_receiver_that_raises_loses_one_line_only(
    logged_failures: LoggedFailures,
) -> None:
    process, got = child("cat")
    got.refused = b"bad"
    process.write_line(b"bad\ngood")
    await process.stop()
    assert got.lines == [b"good"]
    assert len(logged_failures.take(ValueError)) == 1


@in_reactor
async def test_stop_from_within_a_line_works() -> None:
    process, got = child("cat")
    stopping: list[Deferred[None]] = []
    await got.until(lambda: process.pid is not None)

    def stop() -> bool:
        if got.lines and not stopping:
            stopping.append(Deferred.fromCoroutine(process.stop()))
        return bool(got.lines)

    process.write_line(b"x")
    await got.until(stop)
    await stopping[0]
    assert got.status == ExitStatus(0, None)


PARENT = """
import sys
from twisted.internet import reactor
from mcptunnel.net.process import ChildProcess
class Quiet:
    def line_received(self, line): print(line.decode(), flush=True)
    def stderr_received(self, line): pass
    def write_paused(self): pass
    def write_resumed(self): pass
    def exited(self, status): pass
for _ in range(2):
    ChildProcess(reactor, Quiet(), command=["sh", "-c", "echo $$; cat; echo $$"],
                 env={"PATH": "/usr/bin:/bin"}).start()
reactor.run()
"""


@pytest.fixture
def orphans() -> list[int]:
    """The pids of two children whose parent was killed."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        pids = [int(parent.stdout.readline()) for _ in range(2)]
        assert all(is_running(pid) for pid in pids)
        parent.kill()
    return pids


@in_reactor
async def test_children_notice_when_we_are_killed(orphans: list[int]) -> None:
    """SIGKILL closes their stdin: no sibling holds the other end."""
    for pid in orphans:
        await gone(pid)
