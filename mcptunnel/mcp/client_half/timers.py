"""Time for the front: it has no clock of its own, but is called later."""

from collections.abc import Callable
from typing import Final, Protocol

TICK_S: Final = 2.5
SWITCH_TICKS: Final = 3
PERIOD_TICKS: Final = 6
"""A beat comes 5 to 7.5 s after the beginning, then every 15 s."""


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Call off; not after it was called."""


class Timers(Protocol):
    """Calls functions later, in the thread of everything else."""

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer: ...


class Beating(Protocol):
    """An answer that is not over."""

    def beat(self) -> None:
        """Give a sign of life."""


class Pulse:
    """Beats for all answers that take long, with one timer: a call that is quick costs no timer.

    What is added stands in the slot of the tick at which its beat is due, and stays there.
    """

    __slots__ = ("_is_stopped", "_now", "_slots", "_timer", "_timers")

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._slots: list[dict[Beating, None]] = [{} for _ in range(PERIOD_TICKS)]
        self._now = 0
        self._timer: Timer | None = None
        self._is_stopped = False

    def add(self, beating: Beating) -> dict[Beating, None]:
        """Let it beat until it is removed from what is returned."""
        slot = self._slots[(self._now + SWITCH_TICKS) % PERIOD_TICKS]
        slot[beating] = None
        if self._timer is None and not self._is_stopped:
            self._timer = self._timers.call_later(TICK_S, self._tick)
        return slot

    def stop(self) -> None:
        """Beat no more, for nobody."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        self._now = (self._now + 1) % PERIOD_TICKS
        if any(self._slots):
            self._timer = self._timers.call_later(TICK_S, self._tick)
        for beating in tuple(self._slots[self._now]):
            beating.beat()
