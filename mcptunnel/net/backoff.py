"""When to try the relay again; a policy without clock, timers or I/O.

A link that was welcomed and lost is made again within a second: a laptop that changes networks must
not wait. Attempts that fail in a row back off to half a minute and never give up, with full jitter,
so that a restarted relay is not met by all agents at once. While a session is held that the next link
can resume they back off to a few seconds only: calls wait for it. A relay that closes links with an error
right after welcoming them counts as failing.
"""

from collections.abc import Callable

from mcptunnel.wire.constants import MAX_RETRY_AFTER_S

SOON_S = 1.0
FIRST_S = 1.0
MOST_S = 30.0
MOST_WHILE_HELD_S = 4.0
STABLE_S = 60.0


class Backoff:
    """Counts attempts that failed in a row, from what it is told about them.

    `random` returns floats from 0 to 1, as `random.random` does. Of times (`now_s`) only differences
    matter.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._failures = 0
        self._welcomed_s: float | None = None
        self._retry_after_s = 0.0

    def failed(self, retry_after_s: float | None = None) -> None:
        """Note an attempt that got no WELCOME; `retry_after_s` is what the server asked for."""
        self._ended(failed=True, retry_after_s=retry_after_s)

    def welcomed(self, now_s: float) -> None:
        """Note that the relay took us in."""
        self._welcomed_s = now_s

    def lost(
        self, now_s: float, *, with_error: bool = False, retry_after_s: float | None = None
    ) -> None:
        """Note the loss of a link; `with_error` if the relay closed it with an error code.

        A network that breaks is no such error.
        """
        welcomed_s = self._welcomed_s
        stable = welcomed_s is not None and now_s - welcomed_s >= STABLE_S
        failed = welcomed_s is None or (with_error and not stable)
        self._ended(failed=failed, retry_after_s=retry_after_s)

    def delay_s(self, *, is_held: bool = False) -> float:
        """Return how long to wait before the next attempt, from the last event on.

        `is_held` says that a session waits to be resumed.

        Never less than what the server asked for; the jitter comes on top of that.
        """
        ceiling_s = SOON_S
        if self._failures:
            most_s = MOST_WHILE_HELD_S if is_held else MOST_S
            ceiling_s = min(most_s, FIRST_S * 2.0 ** min(self._failures - 1, 16))
        return self._retry_after_s + self._random() * ceiling_s

    def _ended(self, *, failed: bool, retry_after_s: float | None) -> None:
        self._failures = self._failures + 1 if failed else 0
        self._welcomed_s = None
        self._retry_after_s = min(max(0.0, retry_after_s or 0.0), MAX_RETRY_AFTER_S)
