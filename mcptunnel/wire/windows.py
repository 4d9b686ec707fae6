"""Credit for one direction of a stream, seen from its two ends.

The receiver grants credit, in bytes; the sender spends it. Credit comes back when the consumer took
the bytes, not when they arrived, so what a slow consumer makes us hold is at most one window. For a
quick one it grows: a window per round trip is all that a stream can carry.
"""

from mcptunnel.wire.constants import GROWTH_BYTES, MAX_WINDOW_BYTES, ErrorCode
from mcptunnel.wire.errors import LocalProtocolError, RemoteProtocolError


class SendWindow:
    """What we may still send."""

    __slots__ = ("credit_bytes",)

    def __init__(self, credit_bytes: int) -> None:
        self.credit_bytes = credit_bytes

    def grant(self, credit_bytes: int) -> None:
        """Add credit from a WINDOW frame. Raises RemoteProtocolError if no window holds so much."""
        if self.credit_bytes + credit_bytes > MAX_WINDOW_BYTES:
            raise RemoteProtocolError(
                ErrorCode.FLOW_CONTROL_ERROR, f"a window holds at most {MAX_WINDOW_BYTES} bytes"
            )
        self.credit_bytes += credit_bytes

    def spend(self, count_bytes: int) -> None:
        self.credit_bytes -= count_bytes


class Growth:
    """By how much the windows of a session may still grow, all together (`left_bytes`).

    One window grows to `window_bytes` at most.
    """

    __slots__ = ("left_bytes", "window_bytes")

    def __init__(self, window_bytes: int, left_bytes: int = GROWTH_BYTES) -> None:
        self.window_bytes = window_bytes
        self.left_bytes = left_bytes


class ReceiveWindow:
    """What the peer may still send.

    Credit is held back until half a window is due: one WINDOW frame for many small reads. At any time
    `credit_bytes + unconsumed_bytes + due_bytes` is the size of the window. It doubles whenever credit
    goes back and hardly anything is held, as `growth` allows.
    """

    __slots__ = (
        "_first_bytes",
        "_growth",
        "_window_bytes",
        "credit_bytes",
        "due_bytes",
        "unconsumed_bytes",
    )

    def __init__(self, window_bytes: int, growth: Growth) -> None:
        self._first_bytes = self._window_bytes = window_bytes
        self._growth = growth
        self.credit_bytes = window_bytes
        self.unconsumed_bytes = 0
        self.due_bytes = 0

    def received(self, count_bytes: int) -> None:
        """Count bytes that arrived. Raises RemoteProtocolError if the peer had no credit for them."""
        if count_bytes > self.credit_bytes:
            raise RemoteProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "DATA without credit")
        self.credit_bytes -= count_bytes
        self.unconsumed_bytes += count_bytes

    def consumed(self, count_bytes: int) -> int:
        """Count bytes that the consumer took, and return the credit to give back now, or 0.

        Raises LocalProtocolError if more are consumed than arrived.
        """
        if not 0 <= count_bytes <= self.unconsumed_bytes:
            raise LocalProtocolError("more bytes consumed than received")
        self.unconsumed_bytes -= count_bytes
        self.due_bytes += count_bytes
        if 2 * self.due_bytes < self._window_bytes:
            return 0
        credit_bytes, self.due_bytes = self.due_bytes, 0
        if self._window_bytes < self._growth.window_bytes:
            credit_bytes += self._grow()
        self.credit_bytes += credit_bytes
        return credit_bytes

    def close(self) -> None:
        """Leave to other windows by how much this one grew: its stream is gone. Call it once."""
        self._growth.left_bytes += self._window_bytes - self._first_bytes

    def _grow(self) -> int:
        growth, size_bytes = self._growth, self._window_bytes
        if 4 * self.unconsumed_bytes > size_bytes:  # the consumer is not that quick
            return 0
        more_bytes = min(size_bytes, growth.window_bytes - size_bytes, growth.left_bytes)
        self._window_bytes += more_bytes
        growth.left_bytes -= more_bytes
        return more_bytes
