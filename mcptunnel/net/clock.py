"""The clock of our programs: one that nobody can set.

Twisted's reactors schedule by the time of day. When that is set back, as NTP does after a laptop's sleep,
every timer waits so much longer: heartbeats, resume windows, the end of a drain.
"""

import time
from collections.abc import Callable
from typing import Any

_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)


def steady_s() -> float:
    """Return the seconds since some moment; sleep of the machine counts where the system can tell."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


def use_steady_clock(reactor: Any, clock_s: Callable[[], float] = steady_s) -> None:
    """Let a reactor schedule by `clock_s`; `reactor.seconds()` is then no time of day any more.

    Raises RuntimeError if calls are scheduled already: they would come at any time, or never.
    """
    if reactor.seconds is clock_s:
        return
    if reactor.getDelayedCalls():
        raise RuntimeError("calls are scheduled already, by another clock")
    reactor.seconds = clock_s
