"""Starting a program in a session of its own, and noticing that it ended."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from mcptunnel.errors import McpTunnelError
from mcptunnel.net.process.pipes import PipeReactor

_POLL_S = 0.02


class ChildStartError(McpTunnelError):
    """A command that cannot be started; the text names it and says why. Arguments are not shown.

    `str()` is the end of a sentence that begins with whose command it is. `remedy`, if there is one,
    is what to do, but for where: in the setting "command" or "cwd", says `setting`.
    """

    def __init__(self, text: str, remedy: str = "", setting: str = "command") -> None:
        super().__init__(text)
        self.remedy = remedy
        self.setting = setting


def spawn(
    command: Sequence[str], env: Mapping[str, str], cwd: str | None
) -> "subprocess.Popen[bytes]":
    """Start a program with three pipes, as leader of a new session and process group.

    `subprocess` and not `spawnProcess`, because that cannot make a session without a terminal; and
    it says at once when there is no such program. No descriptor but the pipes is inherited.

    Raises ChildStartError.
    """
    if not command:
        raise ChildStartError("cannot start: the command is empty")
    try:
        return subprocess.Popen(  # noqa: S603  running what the user configured is our purpose
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise _start_error(command[0], env, cwd, error) from error


def _start_error(
    program: str, env: Mapping[str, str], cwd: str | None, error: OSError | ValueError
) -> ChildStartError:
    reason, remedy, setting = str(error), "", "command"
    if isinstance(error, OSError):
        reason = error.strerror or reason
        if cwd is not None and error.filename == cwd:
            reason = f"the working directory {cwd!r} cannot be used ({reason})"
            remedy, setting = "Name one that can", "cwd"
        elif isinstance(error, FileNotFoundError):
            reason, remedy = _missing(program, env, cwd)
        elif isinstance(error, PermissionError):
            reason, remedy = "it is not executable", "Make it so, or name another program"
    return ChildStartError(f"cannot start {program!r}: {reason}", remedy, setting)


def _missing(program: str, env: Mapping[str, str], cwd: str | None) -> tuple[str, str]:
    """Return what is missing, and what to do."""
    by_path = os.sep in program
    if by_path and not Path(cwd or "", program).exists():
        return "there is no such file", "Correct the path"
    if by_path or shutil.which(program, path=env.get("PATH")):
        return "the interpreter of that script is missing", "Install it, or name another program"
    return "no such program in PATH", "Install it, or give its full path"


@implementer(IReadDescriptor)
class ExitWatch:
    """Calls `exited` once when the process is gone.

    Where the kernel has process descriptors (Linux) the process is not reaped yet then, so that its
    id cannot mean another one. Elsewhere `expect` must be called when an end is likely: polling
    starts only then, so that an idle child costs nothing.
    """

    def __init__(
        self,
        reactor: PipeReactor,
        process: "subprocess.Popen[bytes]",
        exited: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._process = process
        self._exited = exited
        self._polling = False
        self._fd = _process_descriptor(process.pid)
        if self._fd != -1:
            reactor.addReader(self)

    def expect(self) -> None:
        """Say that the process should end soon."""
        if self._fd == -1 and not self._polling:
            self._polling = True
            self._reactor.callLater(0, self._poll)

    def _poll(self) -> None:
        if self._process.poll() is None:
            self._reactor.callLater(_POLL_S, self._poll)
        else:
            self._exited()

    def doRead(self) -> None:
        self.connectionLost(None)

    def connectionLost(self, _reason: Failure | None) -> None:
        if self._fd != -1:
            self._reactor.removeReader(self)
            os.close(self._fd)
            self._fd = -1
            self._polling = True
            self._exited()

    def fileno(self) -> int:
        return self._fd

    def logPrefix(self) -> str:
        return "child"


def _process_descriptor(pid: int) -> int:
    """Return a descriptor that is readable when the process ended, or -1 where there is none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, or a sandbox without the call
        return -1
