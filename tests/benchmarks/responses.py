"""Reading HTTP/1.1 responses as cheaply as possible: enough to know when one ends and what it was."""

from enum import IntEnum

KEPT_START_BYTES = 4096
KEPT_END_BYTES = 512

_DATA = b"data:"


class _State(IntEnum):
    HEAD = 0
    LENGTH = 1
    CHUNK_SIZE = 2
    CHUNK = 3
    TRAILER = 4


class ResponseReader:
    """One response after the other. `feed` says when one is complete; then the attributes hold.

    `body_bytes` is without chunk framing. `events` counts the lines of data of an event stream,
    `first_event_s` is when the first came.
    """

    __slots__ = (
        "_buffer",
        "_carry",
        "_needed",
        "_state",
        "body_bytes",
        "closes",
        "end",
        "events",
        "first_event_s",
        "is_stream",
        "session",
        "start",
        "status",
    )

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget the last response."""
        self._state = _State.HEAD
        self._buffer = self._carry = self.start = self.end = b""
        self._needed = self.body_bytes = self.events = self.status = 0
        self.first_event_s = 0.0
        self.is_stream = self.closes = False
        self.session = ""

    def feed(self, data: bytes, now_s: float) -> bool:
        """Take bytes that came at `now_s`; return True when the response is complete."""
        if self._state is _State.HEAD:
            if self._buffer:
                data = self._buffer + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._buffer = data
                return False
            self._buffer = b""
            self._read_head(data[:end])
            data = data[end + 4 :]
        if self._state is _State.LENGTH:
            self._needed -= len(data)
            if data:
                self._take(data, now_s)
            return self._needed <= 0
        return self._feed_chunks(data, now_s)

    def is_answer_to(self, request_id: bytes, size: int) -> bool:
        """Say whether it is a good result with that id and at least `size` bytes."""
        kept = self.start + self.end
        return (
            self.status == 200
            and self.body_bytes >= size
            and request_id in kept
            and b'"result"' in kept
            and b'"isError":true' not in kept
            and b'"isError": true' not in kept
        )

    def _read_head(self, head: bytes) -> None:
        self.status = int(head[9:12])
        lower = head.lower()
        self.is_stream = b"\r\ncontent-type: text/event-stream" in lower
        self.closes = b"\r\nconnection: close" in lower
        if b"\r\nmcp-session-id:" in lower:
            self.session = _value(head, lower, b"mcp-session-id").decode()
        if b"\r\ntransfer-encoding: chunked" in lower:
            self._state = _State.CHUNK_SIZE
        else:
            self._state = _State.LENGTH
            self._needed = int(_value(head, lower, b"content-length") or 0)

    def _feed_chunks(self, data: bytes, now_s: float) -> bool:
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        at = 0
        while at < len(data):
            if self._state is _State.CHUNK:
                stop = at + self._needed
                self._take(data[at : min(stop, len(data))], now_s)
                self._needed -= min(stop, len(data)) - at
                at = stop
                if not self._needed:
                    self._state = _State.CHUNK_SIZE
                continue
            line_end = data.find(b"\r\n", at)
            if line_end < 0:
                self._buffer = data[at:]
                return False
            line, at = data[at:line_end], line_end + 2
            if self._state is _State.TRAILER:
                if not line:
                    return True
            elif line:  # else the end of the chunk before
                self._needed = int(line.split(b";")[0], 16)
                self._state = _State.CHUNK if self._needed else _State.TRAILER
        return False

    def _take(self, piece: bytes, now_s: float) -> None:
        self.body_bytes += len(piece)
        if len(self.start) < KEPT_START_BYTES:
            self.start += piece[:KEPT_START_BYTES]
        self.end = piece[-KEPT_END_BYTES:] if len(piece) >= KEPT_END_BYTES else self.end + piece
        if len(self.end) > KEPT_END_BYTES:
            self.end = self.end[-KEPT_END_BYTES:]
        if self.is_stream:
            # Too short for a whole mark, so none is counted twice.
            seen = self._carry + piece
            if _DATA in seen:
                self.events += seen.count(_DATA)
                self.first_event_s = self.first_event_s or now_s
            self._carry = seen[-(len(_DATA) - 1) :]


def _value(head: bytes, lower: bytes, name: bytes) -> bytes:
    at = lower.find(b"\r\n" + name + b":")
    if at < 0:
        return b""
    end = lower.find(b"\r\n", at + 2)
    return head[at + len(name) + 3 : end if end >= 0 else None].strip()
