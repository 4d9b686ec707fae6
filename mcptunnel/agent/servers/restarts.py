"""When a local server that ended is started again."""

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 30.0
STEADY_AFTER_S = 60.0


class RestartPolicy:
    """Delays that double with every end in a row, and start afresh after a steady minute.

    A server that crashes once in a while is back at once; one that cannot start is tried for ever,
    every 30 seconds in the end.
    """

    def __init__(self) -> None:
        self._next_delay_s = FIRST_DELAY_S
        self._started_s = 0.0

    def started(self, now_s: float) -> None:
        """Note a start."""
        self._started_s = now_s

    def ended(self, now_s: float) -> float:
        """Note an end; return the seconds to wait before the next start."""
        if now_s - self._started_s >= STEADY_AFTER_S:
            self._next_delay_s = FIRST_DELAY_S
        delay_s = self._next_delay_s
        self._next_delay_s = min(2 * delay_s, LONGEST_DELAY_S)
        return delay_s
