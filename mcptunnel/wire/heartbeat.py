"""Whether the peer is alive, and how far away it is.

Time is an argument everywhere, in seconds of any monotonic clock.
"""

from enum import Enum
from math import inf

from mcptunnel.wire.constants import Role
from mcptunnel.wire.settings import Settings

RELAY_PATIENCE = 1.25
"""So many times as long as the agent waits the relay in silence: on a quiet link the agent's PING
comes first, and the relay's is not needed. Of the time between PING and death it takes half at most."""

MEASURE_PINGS = 3
"""At least one PING in so many times `ping_after_s`, under traffic as well: the round-trip time is kept."""

MEASURE_WITH_ANSWER_PINGS = 2
"""Our own PING goes along with the answer to the peer's if the last one is so many times as old."""


class Beat(Enum):
    """What is to be done now."""

    NOTHING = "nothing"
    PING = "ping"
    SILENT = "silent"
    DEAF = "deaf"


class Heartbeat:
    """Decides when to ask the peer for a sign of life, and when to give it up.

    PING is due at once on a new link; after `ping_after_s` without a message (on the relay a little
    later), and again at each such interval; and from time to time anyway. The peer is silent when no
    message came for `dead_after_s`. It is deaf if for so long it has neither answered a PING that waits
    for its PONG nor acknowledged anything new. Either is said once, until the peer is heard again.
    `taken_s` is when it last acknowledged something new.
    """

    __slots__ = (
        "_answered_token",
        "_dead_after_s",
        "_heard_s",
        "_measure_after_s",
        "_oldest_s",
        "_oldest_token",
        "_pinged_s",
        "_quiet_s",
        "_silent",
        "_unanswered_s",
        "round_trip_s",
        "taken_s",
        "token",
    )

    def __init__(self, role: Role, settings: Settings, now_s: float) -> None:
        ping_after_s, dead_after_s = settings.ping_after_s, settings.dead_after_s
        self._quiet_s = ping_after_s
        if role is Role.RELAY:
            self._quiet_s = min(ping_after_s * RELAY_PATIENCE, (ping_after_s + dead_after_s) / 2)
        self._measure_after_s = ping_after_s
        self._dead_after_s = dead_after_s
        self.token = self._oldest_token = 0
        self._oldest_s = -inf
        self.round_trip_s: float | None = None
        self.taken_s = -inf
        self.renew(now_s)

    def renew(self, now_s: float) -> None:
        """Begin anew, on a new link: it has just been heard, and an answer to an old PING is none."""
        self.heard(now_s)
        self._pinged_s = -inf
        self._unanswered_s = inf
        self._answered_token = self.token

    def heard(self, now_s: float) -> None:
        """Note that a message came."""
        self._heard_s = now_s
        self._silent = False

    def asked(self, now_s: float) -> bool:
        """Note that a PING came; return whether one of ours, with `token`, is to go with the answer."""
        if now_s < self._pinged_s + MEASURE_WITH_ANSWER_PINGS * self._measure_after_s:
            return False
        self._ping(now_s)
        return True

    def taking(self, now_s: float) -> None:
        """Note that the peer has taken something new of what we sent: it may be slow, but not deaf."""
        self.taken_s = now_s
        self._unanswered_s = max(self._unanswered_s, now_s)

    def tick(self, now_s: float) -> Beat:
        """Return what is due. After PING, send one with `token`."""
        if self._silent:
            return Beat.NOTHING
        if now_s >= self._dead_s:
            self._silent = True
            return Beat.SILENT if now_s >= self._heard_s + self._dead_after_s else Beat.DEAF
        if now_s < self._ping_due_s:
            return Beat.NOTHING
        self._ping(now_s)
        return Beat.PING

    def pong(self, token: int, now_s: float) -> None:
        """Take the answer to a PING. One to a PING of an older link, to none, or a second one is ignored.

        A late one, to a PING before those that are waited for, shows that the peer is slow, not deaf. Measured is the oldest PING without an answer, or the newest if the peer answers only that.
        """
        if not self._answered_token < token <= self.token:
            return
        self._answered_token = token
        if self._unanswered_s == inf:
            return
        if token < self._oldest_token:
            self._unanswered_s = max(self._unanswered_s, now_s)
            return
        self._unanswered_s = inf
        if token == self._oldest_token:
            self.round_trip_s = now_s - self._oldest_s
        elif token == self.token:
            self.round_trip_s = now_s - self._pinged_s

    def _ping(self, now_s: float) -> None:
        self.token += 1
        self._pinged_s = now_s
        if self._unanswered_s == inf:
            self._unanswered_s = self._oldest_s = now_s
            self._oldest_token = self.token

    @property
    def _ping_due_s(self) -> float:
        quiet_due_s = max(self._heard_s, self._pinged_s) + self._quiet_s
        measure_due_s = self._pinged_s + MEASURE_PINGS * self._measure_after_s
        return min(quiet_due_s, max(measure_due_s, self._heard_s))

    @property
    def _dead_s(self) -> float:
        return min(self._heard_s, self._unanswered_s) + self._dead_after_s

    @property
    def next_tick_s(self) -> float:
        """The time at which `tick` has something to do, if nothing comes before; inf for never."""
        if self._silent:
            return inf
        return min(self._ping_due_s, self._dead_s)
