"""A program as a person runs it: started, waited for, watched, and stopped without a trace."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tests.interop.processes import ProcessId, descendants, process_id

CHECKOUT = Path(__file__).parents[2]
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 3.0
POLL_S = 0.01

_T = TypeVar("_T")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return our environment without what would configure the programs, and with this checkout."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MCPTUNNEL_")}
    return {**ours, "PYTHONPATH": str(CHECKOUT), **(extra or {})}


def eventually(found: Callable[[], _T | None], timeout_s: float, what: str) -> _T:
    """Return the first true value of `found`; AssertionError names `what` when the time is over."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        value = found()
        if value:
            return value
        if time.monotonic() > deadline_s:
            raise AssertionError(f"Waited {timeout_s:g} s in vain for {what}.")
        time.sleep(POLL_S)


class Program:
    """A started process; a thread keeps what it writes, so that waiting for a line is no polling."""

    def __init__(
        self, name: str, argv: Sequence[str], folder: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._folder = folder
        self._text = ""
        self._written = threading.Condition()
        self._ended = False
        self._process = subprocess.Popen(
            argv,
            cwd=folder,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._add(line.decode(errors="replace"))
        with self._written:
            self._ended = True
            self._written.notify_all()

    def _add(self, line: str) -> None:
        with self._written:
            self._text += line
            self._written.notify_all()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything it wrote so far."""
        return self._text

    @property
    def rss_bytes(self) -> int:
        """The memory that it holds now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def peak_bytes(self) -> int:
        """The most memory that it held since `reset_peak`."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    def reset_peak(self) -> None:
        """Let the peak start from what it holds now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def children(self) -> list[ProcessId]:
        """Return its descendants that run."""
        return [each for each in descendants(self.pid) if each.is_running()]

    def wait_for(self, pattern: str, *, start: int = 0, timeout_s: float = START_TIMEOUT_S) -> int:
        """Wait for a text (a regular expression) in the log, from a position on; return its end."""
        compiled = re.compile(pattern)
        with self._written:
            arrived = self._written.wait_for(
                lambda: compiled.search(self._text, start) or self._ended, timeout_s
            )
            match = compiled.search(self._text, start)
        if match is None:
            how = "ended without" if arrived else f"wrote in {timeout_s:g} s no"
            raise AssertionError(f"{self.name} {how} {pattern!r}.\n{self.told()}")
        return match.end()

    def exit_code(self, timeout_s: float) -> int:
        """Wait for its end and return its exit code, negative for a signal."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.name} did not end in {timeout_s:g} s.\n{self.told()}"
            ) from None
        self._reader.join(timeout_s)
        return code

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it without a chance to clean up."""
        self._process.kill()
        self.exit_code(STOP_TIMEOUT_S)

    def stop(self) -> None:
        """End it with SIGTERM, as a service is; assert that it goes in time and leaves nothing."""
        family = self.children()
        started_s = time.monotonic()
        self.signal(signal.SIGTERM)
        code = self.exit_code(STOP_TIMEOUT_S)
        assert code in (0, -signal.SIGTERM), f"exit code {code}\n{self.told()}"
        left_s = started_s + STOP_TIMEOUT_S - time.monotonic()
        gone = f"the end of the children of {self.name}"
        eventually(lambda: not any(each.is_running() for each in family), left_s, gone)
        assert "Traceback" not in self.log, self.told()
        self.check_no_sockets()

    def check_no_sockets(self) -> None:
        """Assert that no socket is left in its folder."""
        left = [path for path in self._folder.rglob("*") if path.is_socket()]
        assert not left, f"{self.name} left {left}"

    def clean_up(self, orphans: Sequence[ProcessId] = ()) -> None:
        """End what is left after a test, whatever its state; orphans are found by nobody else."""
        family = [*descendants(self.pid), *orphans]
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for each in family:
            if each.is_running():
                os.kill(each.pid, signal.SIGKILL)
        self._reader.join(STOP_TIMEOUT_S)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def told(self) -> str:
        """Return its log as a test's message shows it."""
        return f"--- {self.name} ---\n{self.log}"


def is_gone(process: ProcessId) -> bool:
    return not process.is_running()


def known(pid: int) -> ProcessId:
    """Return a running process by its number."""
    found = process_id(pid)
    assert found is not None
    return found


def finished(
    argv: Sequence[str], folder: Path, env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        argv,
        cwd=folder,
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )
