"""Whether the peer is alive, and how far away it is.

Time is an argument everywhere, in seconds of any monotonic clock.
"""

from enum import Enum
from math import inf

from mcptunnel.wire.settings import Settings


class Beat(Enum):
    """What is to be done now."""

    NOTHING = "nothing"
    PING = "ping"
    SILENT = "silent"


class Heartbeat:
    """Decides when to ask the peer for a sign of life, and when to give it up.

    PING is due after `ping_after_s` without a message, and again at each such interval. The peer is
    silent after `dead_after_s`; that is said once, until it is heard again.
    """

    __slots__ = ("_heard_s", "_pinged_s", "_settings", "_silent", "round_trip_s", "token")

    def __init__(self, settings: Settings, now_s: float) -> None:
        self._settings = settings
        self._heard_s = now_s
        self._pinged_s = -inf
        self._silent = False
        self.token = 0
        self.round_trip_s: float | None = None

    def renew(self, now_s: float) -> None:
        """Begin anew, on a new link: it has just been heard, and an answer to an old PING is none."""
        self.heard(now_s)
        self._pinged_s = -inf

    def heard(self, now_s: float) -> None:
        """Note that a message came."""
        self._heard_s = now_s
        self._silent = False

    def tick(self, now_s: float) -> Beat:
        """Return what is due. After PING, send one with `token`."""
        if self._silent:
            return Beat.NOTHING
        if now_s >= self._heard_s + self._settings.dead_after_s:
            self._silent = True
            return Beat.SILENT
        if now_s < self._ping_due_s:
            return Beat.NOTHING
        self.token += 1
        self._pinged_s = now_s
        return Beat.PING

    def pong(self, token: int, now_s: float) -> None:
        """Take the answer to a PING. One to an older PING says nothing about now and is ignored."""
        if token == self.token and self._pinged_s > -inf:
            self.round_trip_s = now_s - self._pinged_s

    @property
    def _ping_due_s(self) -> float:
        return max(self._heard_s, self._pinged_s) + self._settings.ping_after_s

    @property
    def next_tick_s(self) -> float:
        """The time at which `tick` has something to do, if nothing comes before; inf for never."""
        if self._silent:
            return inf
        return min(self._ping_due_s, self._heard_s + self._settings.dead_after_s)
