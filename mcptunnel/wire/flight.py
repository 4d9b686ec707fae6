"""How much may be under way on a link: enough to keep the path busy, and hardly more.

What was handed to the transport stands in queues, ours and the network's, in an order that is decided.
So bulk data waits with us once more than twice the path's content is under way (delivery rate times
round-trip time, both measured by ACKs, as BBR does: draft-ietf-ccwg-bbr, sections 4.1 and 5.6).
Time is an argument everywhere, in seconds of any monotonic clock.
"""

from collections import deque
from math import inf
from typing import Final, TypeAlias

from mcptunnel.wire.constants import ACK_AFTER_BYTES, KIB

LEAST_BYTES: Final = 128 * KIB
"""So much may always be under way: two messages, of which the peer acknowledges each at once."""

_GAIN: Final = 2.0
_PROBE_AFTER_S: Final = 10.0
"""When the shortest round trip is so old, all that is under way then is let arrive, to measure it again."""

_RATE_PERIOD_S: Final = 1.0
_RATE_PERIOD_ROUND_TRIPS: Final = 10.0


_Sent: TypeAlias = tuple[int, int, float, int, float]
"""A message under way: the number of its last frame, its size, when it was sent, and how many bytes had
been delivered when, at that time. (A tuple, for there is one for every message.)"""


class Flight:
    """What is under way on one link.

    `is_full` says that bulk data has to wait. `limit_bytes` is between LEAST_BYTES and `most_bytes`; it
    grows by at most half of itself in a round trip, for as long as that makes the delivery quicker.
    """

    __slots__ = (
        "_best_rate",
        "_delivered_bytes",
        "_delivered_s",
        "_former_rate",
        "_full_count",
        "_most_bytes",
        "_probe_count",
        "_rate_until_s",
        "_round_trip_at_s",
        "_round_trip_s",
        "_sent",
        "is_full",
        "limit_bytes",
        "under_way_bytes",
    )

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self.renew()

    def renew(self) -> None:
        """Begin anew, on a new link: nothing is known of its path."""
        self._sent: deque[_Sent] = deque()
        self.under_way_bytes = 0
        self.limit_bytes = min(LEAST_BYTES, self._most_bytes)
        self.is_full = False
        self._full_count = 0  # of the last message that filled it
        self._delivered_bytes = 0
        self._delivered_s = 0.0
        self._best_rate = self._former_rate = 0.0  # bytes per second, of this period and the last
        self._rate_until_s = -inf
        self._round_trip_s = inf
        self._round_trip_at_s = 0.0
        self._probe_count = 0  # of the last message that bulk data waits for now; 0 for none

    def sent(self, count: int, size_bytes: int, now_s: float) -> None:
        """Note a message that is handed out; `count` is the number of its last frame."""
        if not self._sent:
            self._delivered_s = now_s  # it was idle before, which says nothing about the path
        self._sent.append((count, size_bytes, now_s, self._delivered_bytes, self._delivered_s))
        self.under_way_bytes += size_bytes
        if self.under_way_bytes >= self.limit_bytes:
            self.is_full = True
            self._full_count = count

    def acked(self, count: int, now_s: float) -> None:
        """Note how many numbered frames arrived.

        Only an ACK for so much that the peer did not wait with it tells something about the path.
        """
        sent, last, before_bytes = self._sent, None, self.under_way_bytes
        while sent and sent[0][0] <= count:
            last = sent.popleft()
            self.under_way_bytes -= last[1]
        if last is None:
            return
        arrived_bytes = before_bytes - self.under_way_bytes
        self._delivered_bytes += arrived_bytes
        self._delivered_s = now_s
        if arrived_bytes >= ACK_AFTER_BYTES and now_s > last[2]:
            self._measure(last, now_s)
        if 0 < self._probe_count <= count:
            # What was sent since is light, and must not hold up the rest for as long as it goes on.
            self._probe_count = 0
            self._round_trip_s = inf
            self._round_trip_at_s = now_s
        self.is_full = bool(self._probe_count) or self.under_way_bytes >= self.limit_bytes

    def _measure(self, last: _Sent, now_s: float) -> None:
        count, _, sent_s, before_bytes, before_s = last
        round_trip_s = now_s - sent_s
        if round_trip_s <= self._round_trip_s:
            self._round_trip_s = round_trip_s
            self._round_trip_at_s = now_s
        elif not self._probe_count and now_s > self._round_trip_at_s + _PROBE_AFTER_S:
            self._probe_count = self._sent[-1][0] if self._sent else count
        rate = (self._delivered_bytes - before_bytes) / (now_s - before_s)
        self._note_rate(rate, count <= self._full_count, now_s)
        best_rate = max(self._best_rate, self._former_rate)
        wanted_bytes = int(_GAIN * best_rate * self._round_trip_s)
        self.limit_bytes = min(max(LEAST_BYTES, wanted_bytes), self._most_bytes)

    def _note_rate(self, rate: float, was_full: bool, now_s: float) -> None:
        """Keep the best rate of two periods; a time with little to send does not begin a new one."""
        if was_full and now_s >= self._rate_until_s:
            self._former_rate, self._best_rate = self._best_rate, 0.0
            period_s = max(_RATE_PERIOD_S, _RATE_PERIOD_ROUND_TRIPS * self._round_trip_s)
            self._rate_until_s = now_s + period_s
        self._best_rate = max(self._best_rate, rate)
