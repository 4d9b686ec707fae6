"""Credit for one direction of a stream, seen from its two ends.

The receiver grants credit, in bytes; the sender spends it. Credit comes back when the consumer took
the bytes, not when they arrived, so what a slow consumer makes us hold is at most one window.
"""

from mcptunnel.wire.constants import MAX_WINDOW_BYTES, ErrorCode
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


class ReceiveWindow:
    """What the peer may still send.

    Credit is held back until half a window is due: one WINDOW frame for many small reads. At any time
    `credit_bytes + unconsumed_bytes + due_bytes` is the size of the window.
    """

    __slots__ = ("_half_bytes", "credit_bytes", "due_bytes", "unconsumed_bytes")

    def __init__(self, window_bytes: int) -> None:
        self._half_bytes = (window_bytes + 1) // 2
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
        if self.due_bytes < self._half_bytes:
            return 0
        credit_bytes, self.due_bytes = self.due_bytes, 0
        self.credit_bytes += credit_bytes
        return credit_bytes
