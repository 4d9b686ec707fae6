"""How much a peer may ask of us in vain.

Frames that carry something are paid for: DATA by credit, a stream by the limit on open streams, and all
of it by bandwidth. What leads to nothing costs its sender next to nothing, and us time; of that only so
much is taken, counted by token buckets. Time is an argument, in seconds of any monotonic clock.

Each allowance is far more than what an honest peer needs: it sends useless frames only when frames cross
on the way. Over it the session ends with `ErrorCode.FLOOD`.
"""

from dataclasses import dataclass
from typing import Final

from mcptunnel.wire.constants import KIB, ErrorCode
from mcptunnel.wire.errors import RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Allowance:
    """`burst` of something at once, and `per_s` of it a second in the long run."""

    burst: int
    per_s: int


QUESTIONS: Final = Allowance(1024, 64)
"""PING, which wants an answer, and GOAWAY, which is told to people."""

VAIN_STREAMS: Final = Allowance(8192, 4000)
"""Streams of the peer that were refused, or dropped by either side before we answered with HEAD."""

IDLE_FRAMES: Final = Allowance(65_536, 20_000)
"""Frames that change nothing: on streams that are over, of unknown optional types, WINDOW without
need, splinters of DATA, and PONG and ACK, of which few are needed."""

SPLINTER_BYTES: Final = 64
"""DATA with fewer bytes than this is a splinter, but for one of each stream in a message: a sender that
joins what waits has no more."""

LEAST_CREDIT_BYTES: Final = KIB
"""A WINDOW with less credit than this counts as idle; so does one on a window that is full."""

OWN_SHARE: Final = 2
"""We allow ourselves half of what a peer allows, so that no client of ours can end the session."""


class Bucket:
    """Counts against an allowance."""

    __slots__ = ("_allowance", "_at_s", "_spent")

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._spent = 0.0
        self._at_s = 0.0

    def spend(self, now_s: float) -> bool:
        """Count one; return whether it was allowed."""
        self._spent = self._left_from_before(now_s) + 1
        self._at_s = now_s
        return self._spent <= self._allowance.burst

    def is_spent(self, now_s: float) -> bool:
        """Whether one more would not be allowed."""
        return self._left_from_before(now_s) + 1 > self._allowance.burst

    def _left_from_before(self, now_s: float) -> float:
        passed_s = max(0.0, now_s - self._at_s)  # a clock that is set back must not cost anything
        return max(0.0, self._spent - passed_s * self._allowance.per_s)


class Floods:
    """What one peer has asked in vain. `now_s` is the time of the last message or tick.

    The methods raise RemoteProtocolError when it was too much.
    """

    __slots__ = ("_idle", "_own_vain", "_questions", "_vain", "now_s")

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s
        self._questions = Bucket(QUESTIONS)
        self._idle = Bucket(IDLE_FRAMES)
        self._vain = Bucket(VAIN_STREAMS)
        burst, per_s = VAIN_STREAMS.burst // OWN_SHARE, VAIN_STREAMS.per_s // OWN_SHARE
        self._own_vain = Bucket(Allowance(burst, per_s))

    def question(self) -> None:
        """Count a PING or a GOAWAY."""
        if not self._questions.spend(self.now_s):
            raise flood("too many PING or GOAWAY frames")

    def idle(self) -> None:
        """Count a frame that changes nothing."""
        if not self._idle.spend(self.now_s):
            raise flood("too many frames that lead to nothing")

    def opening(self) -> None:
        """Note that the peer opens a stream."""
        if self._vain.is_spent(self.now_s):
            raise flood("too many streams that were dropped before they were answered")

    def unanswered(self, *, ours: bool) -> None:
        """Count a stream that ended by RESET, without HEAD from whoever did not open it."""
        (self._own_vain if ours else self._vain).spend(self.now_s)

    @property
    def may_open(self) -> bool:
        """Whether we may open a stream ourselves, so that the peer will not take us for a flood."""
        return not self._own_vain.is_spent(self.now_s)


def flood(text: str) -> RemoteProtocolError:
    return RemoteProtocolError(ErrorCode.FLOOD, text)
