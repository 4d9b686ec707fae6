"""What clients leave unread of streams that they keep open: bounded in bytes, for a user and in time."""

from collections.abc import Callable
from typing import Final

from mcptunnel.mcp.client_half.kept import Kept
from mcptunnel.mcp.client_half.timers import Timer, Timers

MAX_USER_BYTES: Final = 32 * 1024 * 1024
"""Of all streams of one user; more than the largest result of a call."""

MAX_ALL_BYTES: Final = 128 * 1024 * 1024

DEADLINE_S: Final = 60.0
PACE_BYTES_PER_S: Final = 16 * 1024
"""Who has not caught up after so long, and the time that the bytes take at this pace, does not read."""


class Unread:
    """The unread part of one stream; `give_up` is called, once, when it is too much or too old.

    One event always has room: what was sent last before the client became slow counts for its user
    alone. `budget` is shared by all streams (MAX_USER_BYTES, MAX_ALL_BYTES).
    """

    __slots__ = (
        "_budget",
        "_counted_bytes",
        "_give_up",
        "_granted_bytes",
        "_last_bytes",
        "_most_bytes",
        "_principal",
        "_timer",
        "_timers",
        "_waiting_bytes",
        "is_slow",
    )

    def __init__(
        self,
        budget: Kept,
        timers: Timers,
        principal: str,
        most_bytes: int,
        give_up: Callable[[], None],
    ) -> None:
        self._budget = budget
        self._timers = timers
        self._principal = principal
        self._most_bytes = most_bytes
        self._give_up: Callable[[], None] | None = give_up  # None: it is over
        self.is_slow = False
        self._last_bytes = self._waiting_bytes = 0
        self._counted_bytes = self._granted_bytes = 0
        self._timer: Timer | None = None

    def takes(self, count_bytes: int) -> bool:
        """Count what is about to be sent; False if it was given up instead."""
        if not self.is_slow:
            self._last_bytes = count_bytes
            return True
        self._waiting_bytes += count_bytes
        if self._waiting_bytes <= self._most_bytes and self._count(count_bytes):
            return True
        self._end()
        return False

    def slow(self, slow: bool) -> None:
        """Hear that the client reads slowly, or has caught up."""
        if self._give_up is None or slow == self.is_slow:
            return
        self._reset()
        self.is_slow = slow
        if not slow:
            return
        if not self._count(self._last_bytes):
            self._end()
            return
        self._wait(DEADLINE_S)

    def over(self) -> None:
        """The stream is over."""
        self._give_up = None
        self._reset()

    def _count(self, count_bytes: int) -> bool:
        if not self._budget.take(self._principal, count_bytes):
            return False
        self._counted_bytes += count_bytes
        return True

    def _reset(self) -> None:
        self._budget.give_back(self._principal, self._counted_bytes)
        self._counted_bytes = self._granted_bytes = self._waiting_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, least_s: float) -> None:
        """Give time for all that has been counted since the last time."""
        fresh_bytes = self._counted_bytes - self._granted_bytes
        self._granted_bytes = self._counted_bytes
        wait_s = least_s + fresh_bytes / PACE_BYTES_PER_S
        self._timer = self._timers.call_later(wait_s, self._late)

    def _late(self) -> None:
        self._timer = None
        if self._counted_bytes > self._granted_bytes:
            self._wait(0.0)
        else:
            self._end()

    def _end(self) -> None:
        give_up = self._give_up
        self.over()
        if give_up is not None:
            give_up()
