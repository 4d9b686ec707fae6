"""How often something may happen; a token bucket without clock, timers or I/O."""


class TokenBucket:
    """Lets `burst` events through at once, and `per_s` of them a second in the long run.

    Of times (`now_s`) only differences matter. A clock that is set back costs one event at most.
    """

    __slots__ = ("_burst", "_full_at_s", "_interval_s")

    def __init__(self, burst: int, per_s: float) -> None:
        self._burst = burst
        self._interval_s = 1 / per_s
        self._full_at_s = float("-inf")

    def wait_s(self, now_s: float) -> float:
        """Return how long the next event has to wait, 0 if it may happen now."""
        self._full_at_s = min(self._full_at_s, now_s + self._burst * self._interval_s)
        room_s = (self._burst - 1) * self._interval_s
        return max(0.0, self._full_at_s - room_s - now_s)

    def take(self, now_s: float) -> bool:
        """Count an event, if it may happen now; return whether it may."""
        if self.wait_s(now_s) > 0:
            return False
        self._full_at_s = max(self._full_at_s, now_s) + self._interval_s
        return True
