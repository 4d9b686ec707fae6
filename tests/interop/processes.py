"""Real processes on loopback: free ports, starting with a log, stopping and leaving nothing behind."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

LOWEST_PORT, HIGHEST_PORT = 20_000, 32_000
"""Below what Linux gives to outgoing connections (32768 on), which would now and then be in the way."""

STOP_TIMEOUT_S = 15.0
POLL_S = 0.05


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    for port in random.sample(range(LOWEST_PORT, HIGHEST_PORT), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("No free port was found.")


def is_open(port: int) -> bool:
    """Say whether somebody listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(is_true: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Poll; raise TimeoutError that names `what`."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {timeout_s:g} s for {what}.")
        time.sleep(POLL_S)


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process, told apart from a later one that gets the same number by its start time."""

    pid: int
    started_ticks: int

    def is_running(self) -> bool:
        """Say whether it lives; a zombie does not."""
        found = _stat(self.pid)
        return found is not None and found[1:] == (self.started_ticks,) and found[0] != "Z"


def process_id(pid: int) -> ProcessId | None:
    """Return the process of that number, or None."""
    found = _stat(pid)
    return None if found is None else ProcessId(pid, found[1])


def descendants(pid: int) -> list[ProcessId]:
    """Return the children of a process and their children; needs /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        fields = _fields(int(entry.name)) if entry.name.isdigit() else None
        if fields is not None:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[ProcessId] = []
    to_visit = list(children.get(pid, ()))
    while to_visit:
        child = to_visit.pop()
        to_visit += children.get(child, ())
        known = process_id(child)
        if known is not None:
            found.append(known)
    return found


def _fields(pid: int) -> list[str] | None:
    """Return /proc/PID/stat from the third field (the state) on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _stat(pid: int) -> tuple[str, int] | None:
    fields = _fields(pid)
    return None if fields is None else (fields[0], int(fields[19]))


class Process:
    """A started program whose output goes to a file."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(word) for word in argv],
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is for the tests, they stop it in their way
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def check_running(self) -> None:
        """Raise RuntimeError, with the end of the log, if it has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(
                f"{self.name} ended with {self._process.returncode}:\n{self.log_text()}"
            )

    def log_text(self, from_byte: int = 0, at_most_bytes: int = 20_000) -> str:
        """Return what it wrote from a position on, the end of it if that is long."""
        written = self.log.read_bytes()[from_byte:]
        return written[-at_most_bytes:].decode(errors="replace")

    def wait(self, timeout_s: float) -> int:
        """Return its exit code, when it has ended by itself. Raises subprocess.TimeoutExpired."""
        return self._process.wait(timeout_s)

    def stop(self) -> int:
        """Send SIGTERM and return the exit code.

        Raises AssertionError, after ending them by force, if it or a descendant is still there.
        """
        family = descendants(self.pid)
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_TIMEOUT_S)
            leftover = [each for each in family if each.is_running()]
        except subprocess.TimeoutExpired:
            self._kill_all(family)
            raise AssertionError(f"{self.name} did not stop in {STOP_TIMEOUT_S:g} s.") from None
        self._kill_all(leftover)
        if leftover:
            raise AssertionError(f"{self.name} left {len(leftover)} processes behind: {leftover}.")
        return code

    def kill(self) -> None:
        """End it and all its descendants at once, if they are still there."""
        self._kill_all(descendants(self.pid))

    def _kill_all(self, family: Sequence[ProcessId]) -> None:
        for each in family:
            if each.is_running():
                os.kill(each.pid, signal.SIGKILL)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
