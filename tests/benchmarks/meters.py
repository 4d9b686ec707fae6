"""What processes use: CPU time of all their threads, and memory. Reads /proc (Linux)."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process; 0.0 if it is gone.

    Nanoseconds from the scheduler where it tells them, for the living threads; else clock ticks.
    """
    total_ns = 0
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            total_ns += int((thread / "schedstat").read_text().split()[0])
    except OSError:
        return _ticks(pid) / TICKS_PER_S
    return total_ns / 1e9


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _status_mb(pid: int, field: str) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    line = next((line for line in text.splitlines() if line.startswith(f"{field}:")), ":0")
    return int(line.split(":")[1].split()[0]) / 1024


def rss_mb(pid: int) -> float:
    """Return the resident memory now, in MiB."""
    return _status_mb(pid, "VmRSS")


def peak_mb(pid: int) -> float:
    """Return the most resident memory since `reset_peak`, in MiB."""
    return _status_mb(pid, "VmHWM")


def reset_peak(pid: int) -> None:
    """Let the peak start from what is resident now; where that is not allowed, it stays."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


@dataclass(frozen=True, slots=True)
class CpuMeter:
    """CPU time of named processes since it was made."""

    started_s: Mapping[str, float]
    pids: Mapping[str, int]

    @classmethod
    def start(cls, pids: Mapping[str, int]) -> "CpuMeter":
        return cls({name: cpu_s(pid) for name, pid in pids.items()}, dict(pids))

    def ms_per_call(self, calls: int) -> dict[str, float]:
        """Return milliseconds per call of each process."""
        per_call = 1000 / max(calls, 1)
        return {
            name: (cpu_s(pid) - self.started_s[name]) * per_call for name, pid in self.pids.items()
        }
