"""When the peer must hear how many of its numbered frames came.

Time is an argument everywhere, in seconds of any monotonic clock.
"""

from math import inf

from mcptunnel.wire.constants import ACK_AFTER_BYTES, ACK_AFTER_S
from mcptunnel.wire.frames import Ack


class Acks:
    """Counts what was received. An ACK is due after so many bytes or so much time, whichever is first.

    `received_count` is how many numbered frames came in this session, `is_due` whether an ACK is
    to be sent now, `due_s` when `tick` makes it so; inf for never.
    """

    __slots__ = ("_unacked_bytes", "due_s", "is_due", "received_count")

    def __init__(self) -> None:
        self.received_count = 0
        self.is_due = False
        self.due_s = inf
        self._unacked_bytes = 0

    def received(self, frame_count: int, size_bytes: int, now_s: float) -> None:
        """Count the numbered frames of a message."""
        self.received_count += frame_count
        self._unacked_bytes += size_bytes
        if self._unacked_bytes >= ACK_AFTER_BYTES:
            self.is_due = True
        if self.due_s == inf:
            self.due_s = now_s + ACK_AFTER_S

    def tick(self, now_s: float) -> None:
        """Note the time."""
        if now_s >= self.due_s:
            self.is_due = True

    def take(self) -> Ack:
        """Return the ACK to send."""
        self.resumed()
        return Ack(self.received_count)

    def resumed(self) -> None:
        """Note that the peer knows `received_count` now."""
        self.is_due = False
        self.due_s = inf
        self._unacked_bytes = 0
