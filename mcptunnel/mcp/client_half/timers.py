"""Time for the front: it has no clock of its own, but is called later."""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Call off; not after it was called."""


class Timers(Protocol):
    """Calls functions later, in the thread of everything else."""

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer: ...
