"""What the peer may not have received yet, kept until it says that it has.

Numbered frames count from 1 within a session, in the order in which they were first handed out.
Whole messages are kept as they were sent (without frames about the link); one is cut only if a
resume asks for its middle.
"""

from collections import deque

from mcptunnel.wire.codec import after_frames
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.errors import RemoteProtocolError


class ReplayBuffer:
    """The sent messages of a session that were not acknowledged.

    `handed_count` is the number of the last frame that was handed to a link since the peer last told
    at a resume what it has: whatever has a higher number certainly did not arrive. `blocks` says that no
    new message is to be made: old ones go first (`next_again`), or `limit_bytes` are kept. With the last
    message it may hold more than that.
    """

    __slots__ = (
        "_acked_count",
        "_again",
        "_kept",
        "_kept_bytes",
        "_limit_bytes",
        "_start_count",
        "blocks",
        "handed_count",
    )

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.handed_count = 0
        self.blocks = False
        self._acked_count = 0
        self._start_count = 0  # the number of the last frame before those kept
        self._kept: deque[tuple[int, bytes]] = deque()  # with the number of its last frame
        self._kept_bytes = 0
        self._again: deque[tuple[int, bytes]] = deque()

    @property
    def is_empty(self) -> bool:
        """Whether the peer is known to have received everything."""
        return not self._kept

    @property
    def is_replaying(self) -> bool:
        """Whether messages are to be handed out again."""
        return bool(self._again)

    def append(self, message: bytes, last_count: int) -> None:
        """Keep a new message that is handed out now; `last_count` is the number of its last frame."""
        self._kept.append((last_count, message))
        self._kept_bytes += len(message)
        self.handed_count = last_count
        if self._kept_bytes >= self._limit_bytes:
            self.blocks = True

    def next_again(self) -> bytes | None:
        """Return the next message to hand out again, or None: there are enough already."""
        if not self._again:
            return None
        self.handed_count, message = self._again.popleft()
        self._judge()
        return message

    def acked(self, count: int) -> None:
        """Forget what the peer has received.

        Raises RemoteProtocolError for a number that cannot be true.
        """
        if not self._acked_count <= count <= self.handed_count:
            raise RemoteProtocolError(
                ErrorCode.PROTOCOL_ERROR, "an impossible number of received frames"
            )
        self._acked_count = count
        kept = self._kept
        while kept and kept[0][0] <= count:
            self._start_count, message = kept.popleft()
            self._kept_bytes -= len(message)
        self._judge()

    def resume_after(self, count: int) -> None:
        """Hand out again, on a new link, all that the peer has not received. Raises as `acked`."""
        self.acked(count)
        if self._kept and self._start_count < count:
            last_count, message = self._kept.popleft()
            rest = after_frames(message, count - self._start_count)
            self._kept.appendleft((last_count, rest))
            self._kept_bytes -= len(message) - len(rest)
            self._start_count = count
        self.handed_count = count
        self._again = deque(self._kept)
        self._judge()

    def clear(self) -> None:
        """Keep nothing any more: there will be no resume."""
        self._kept.clear()
        self._again.clear()
        self._kept_bytes = 0
        self.blocks = False

    def _judge(self) -> None:
        self.blocks = bool(self._again) or self._kept_bytes >= self._limit_bytes
