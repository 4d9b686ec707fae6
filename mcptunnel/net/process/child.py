"""One child process that speaks newline-delimited messages (MCP, basic/transports, stdio).

The child leads a process group of its own, so that wrappers (npx, sh) and what they started die
together. When the child is gone its group is ended too. If we are killed its stdin closes: nobody
else holds the other end.

    NEW -> RUNNING -> CLOSING -> TERMINATING -> KILLING -> EXITED -> GONE

A phase with a grace period ends early when the child exits; else `_ESCALATION` says what follows.
EXITED is the time between the child's end and that of its pipes.
"""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mcptunnel.net.process.lines import LogLines, MessageLines
from mcptunnel.net.process.pipes import PipeReactor, PipeReader, PipeWriter
from mcptunnel.net.process.spawn import ExitWatch, spawn

if TYPE_CHECKING:
    import subprocess

    from twisted.internet.interfaces import IDelayedCall

MAX_LINE_BYTES = 64 * 1024 * 1024
MAX_LOG_LINE_BYTES = 8192
MAX_UNSENT_BYTES = 96 * 1024 * 1024
"""A child for which more than this waits does not read, and never will."""
GRACE_S = 2.0


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a child ended: by itself with `code`, or by `signal`; exactly one is set.

    `text` says why we ended it when nobody asked us to, else it is empty.
    """

    code: int | None
    signal: int | None
    text: str = ""

    def __str__(self) -> str:
        if self.signal is None:
            ended = f"exit code {self.code}"
        else:
            ended = f"signal {self.signal} ({signal.strsignal(self.signal)})"
        return f"{ended}, {self.text}" if self.text else ended


class ChildReceiver(Protocol):
    """The owner of a child. Nothing is called before `start` returned."""

    def line_received(self, line: bytes) -> None:
        """Take one line of stdout, without its line end; never empty."""

    def stderr_received(self, line: str) -> None:
        """Take one line of stderr, at most 8 KiB of it; never empty."""

    def write_paused(self) -> None:
        """Stop writing: the child reads too slowly. What is written anyway is kept in memory."""

    def write_resumed(self) -> None:
        """Write again: the child took everything."""

    def exited(self, status: ExitStatus) -> None:
        """Know that the child is gone; exactly once, after all its lines."""


class _Phase(Enum):
    NEW = auto()
    RUNNING = auto()
    CLOSING = auto()
    TERMINATING = auto()
    KILLING = auto()
    EXITED = auto()
    GONE = auto()


_ESCALATION = {
    _Phase.CLOSING: (signal.SIGTERM, _Phase.TERMINATING),
    _Phase.TERMINATING: (signal.SIGKILL, _Phase.KILLING),
}
"""What follows when a grace period passed without an exit."""
_ALIVE = frozenset({_Phase.RUNNING, _Phase.CLOSING, _Phase.TERMINATING, _Phase.KILLING})


class ChildProcess:
    """A child and its pipes; started once, never restarted.

    `command` is found through the PATH of `env`, which is the whole environment of the child. A
    line longer than `max_line_bytes` ends the child, and so does leaving more than
    `max_unsent_bytes` unread. One that closed its stdin or stdout without exiting is ended too: it
    can never answer again.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: PipeReactor,
        receiver: ChildReceiver,
        *,
        command: Sequence[str],
        env: Mapping[str, str],
        cwd: str | None = None,
        max_line_bytes: int = MAX_LINE_BYTES,
        max_unsent_bytes: int = MAX_UNSENT_BYTES,
    ) -> None:
        self._reactor = reactor
        self._receiver = receiver
        self._command = command
        self._env = env
        self._cwd = cwd
        self._lines = MessageLines(max_line_bytes)
        self._max_unsent_bytes = max_unsent_bytes
        self._log_lines = LogLines(MAX_LOG_LINE_BYTES)
        self._phase = _Phase.NEW
        self._grace_s = GRACE_S
        self._timer: IDelayedCall | None = None
        self._cause = ""
        self._text = ""
        self._waiting: list[Deferred[None]] = []
        self._process: subprocess.Popen[bytes]
        self._exit: ExitWatch
        self._stdin: PipeWriter
        self._stdout: PipeReader
        self._stderr: PipeReader

    @property
    def pid(self) -> int | None:
        """The process id, also that of the group; None before `start`."""
        return None if self._phase is _Phase.NEW else self._process.pid

    def start(self) -> None:
        """Start the child. Raises ChildStartError with a text for people."""
        if self._phase is not _Phase.NEW:
            raise RuntimeError("A child is started once")
        self._process = process = spawn(self._command, self._env, self._cwd)
        self._phase = _Phase.RUNNING
        reactor = self._reactor
        if not (process.stdin and process.stdout and process.stderr):
            raise RuntimeError("A child without pipes")
        self._stdin = PipeWriter(
            reactor, process.stdin, self._write_paused, self._write_resumed, self._stdin_broken
        )
        self._stdout = PipeReader(reactor, process.stdout, self._stdout_data, self._stdout_ended)
        self._stderr = PipeReader(reactor, process.stderr, self._stderr_data, self._pipe_ended)
        self._exit = ExitWatch(reactor, process, self._child_exited)

    @property
    def unsent_bytes(self) -> int:
        """How much was written and not taken by the child yet; after `start`."""
        return self._stdin.unsent_bytes

    def write_line(self, line: bytes) -> None:
        """Send one line, which must hold no line end. A no-op when the child is stopping."""
        if self._phase is _Phase.RUNNING:
            self._stdin.write(line + b"\n")
            if self._stdin.unsent_bytes > self._max_unsent_bytes:
                self._end_now("it does not read its input")

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """End the child and its group, and return when they are gone.

        Closes stdin, waits `grace_s`, sends SIGTERM to the group, waits, sends SIGKILL. May be
        called at any time and again; a shorter grace then counts.
        """
        if self._phase in {_Phase.NEW, _Phase.GONE}:
            return
        self._grace_s = min(self._grace_s, grace_s) if self._timer else grace_s
        if self._phase is _Phase.RUNNING:
            self._close_stdin("")
        elif self._timer and self._timer.getTime() - self._reactor.seconds() > grace_s:
            self._timer.reset(grace_s)
        gone: Deferred[None] = Deferred()
        self._waiting.append(gone)
        await gone

    def _close_stdin(self, cause: str) -> None:
        self._cause = cause
        self._phase = _Phase.CLOSING
        self._stdin.close_when_flushed()
        self._exit.expect()
        self._set_timer(self._escalate)

    def _end_now(self, cause: str) -> None:
        self._close_stdin(cause)
        self._escalate()

    def _escalate(self) -> None:
        self._clear_timer()
        number, self._phase = _ESCALATION[self._phase]
        self._text = self._cause
        self._stdin.close()
        self._signal_group(number)
        if self._phase in _ESCALATION:
            self._set_timer(self._escalate)

    def _set_timer(self, function: Callable[[], None]) -> None:
        self._clear_timer()
        self._timer = self._reactor.callLater(self._grace_s, function)

    def _clear_timer(self) -> None:
        if self._timer and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return  # nobody is left; macOS says EPERM when only zombies are

    def _stdout_data(self, data: bytes) -> None:
        received = self._receiver.line_received
        for line in self._lines.feed(data):
            self._tell(received, line)
        if self._lines.overflow and not self._stdout.closed:
            self._stdout.close()
            if self._phase in {_Phase.RUNNING, _Phase.CLOSING}:
                self._end_now("it sent a line that is too long")

    def _stdout_ended(self) -> None:
        if self._phase is _Phase.RUNNING:
            self._close_stdin("it closed its output")
        self._pipe_ended()

    def _stdin_broken(self) -> None:
        if self._phase is _Phase.RUNNING:
            self._close_stdin("it closed its input")

    def _stderr_data(self, data: bytes) -> None:
        for line in self._log_lines.feed(data):
            self._tell(self._receiver.stderr_received, line)

    def _write_paused(self) -> None:
        self._tell(self._receiver.write_paused)

    def _write_resumed(self) -> None:
        self._tell(self._receiver.write_resumed)

    def _tell(self, callback: Callable[..., None], *args: object) -> None:
        try:
            callback(*args)
        except Exception:  # noqa: BLE001  a broken receiver must not stop the pipes
            self._log.failure("The receiver of child {pid} failed", pid=self._process.pid)

    def _child_exited(self) -> None:
        """Leave what outlived the child a grace period, and read what is still in the pipes."""
        self._phase = _Phase.EXITED
        self._signal_group(signal.SIGTERM)
        self._stdin.close()
        self._set_timer(self._finish)
        self._pipe_ended()

    def _pipe_ended(self) -> None:
        if self._phase is _Phase.EXITED and self._stdout.closed and self._stderr.closed:
            self._finish()

    def _finish(self) -> None:
        self._clear_timer()
        self._signal_group(signal.SIGKILL)
        self._phase = _Phase.GONE
        self._stdout.drain()
        self._stderr.drain()
        for line in self._lines.finish():
            self._tell(self._receiver.line_received, line)
        for text in self._log_lines.finish():
            self._tell(self._receiver.stderr_received, text)
        code = self._process.wait()
        status = ExitStatus(None if code < 0 else code, -code if code < 0 else None, self._text)
        self._tell(self._receiver.exited, status)
        waiting, self._waiting = self._waiting, []
        for gone in waiting:
            gone.callback(None)
