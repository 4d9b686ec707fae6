"""Event streams, read and written (WHATWG HTML, "Server-sent events", sections 9.2.5 and 9.2.6).

Events stay bytes: their data is JSON, and JSON readers want bytes.
"""

from typing import Final

from msgspec import Struct

from mcptunnel.errors import McpTunnelError

COMMENT: Final = b":\n\n"
"""Keeps a connection alive; readers skip it. Only ever between two events."""

_BOM = b"\xef\xbb\xbf"
_MESSAGE = b"event: message\ndata: "
_END = b"\n\n"
_BLANK_LINES = (b"\n\n", b"\n\r\n", b"\r\r", b"\r\r\n")
_MAX_RETRY_DIGITS = 9  # eleven days; more is no advice


class Event(Struct, frozen=True):
    """One event. `type` is `message` if the stream did not say.

    `id` is the last id that the stream set, in this event or before, None if it never did; `retry_ms`
    is what the stream said about reconnecting since the event before, or None.
    """

    type: str
    data: bytes
    id: str | None = None
    retry_ms: int | None = None


class EventTooLarge(McpTunnelError):
    """An event is over the limit; the parser is of no more use.

    `events` are those that were complete before it in the same chunk.
    """

    def __init__(self, limit_bytes: int, events: list[Event]) -> None:
        super().__init__(f"An event of the stream is larger than {limit_bytes} bytes")
        self.events = events


class Parser:
    """Reads one stream from its first byte, in chunks of any size.

    `max_event_bytes` bounds what one event holds: its data lines with their field names, and the line
    being read. An event that the end of the stream cuts off is never returned, as the standard says.
    """

    __slots__ = (
        "_after_cr",
        "_at_start",
        "_data",
        "_field_bytes",
        "_id",
        "_line",
        "_max_event_bytes",
        "_retry_ms",
        "_type",
    )

    def __init__(self, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes
        self._line = bytearray()  # the line whose end has not come
        self._after_cr = False  # a LF that comes next belongs to that line end
        self._at_start = True
        self._data: bytes | bytearray | None = None  # of the lines so far; one is kept uncopied
        self._field_bytes = 0
        self._type = ""
        self._id: str | None = None
        self._retry_ms: int | None = None

    @property
    def held_bytes(self) -> int:
        """What is held of the event that is not complete."""
        return len(self._line) + (0 if self._data is None else len(self._data))

    def feed(self, chunk: bytes) -> list[Event]:
        """Read on; return the events that are now complete. Raises EventTooLarge."""
        events: list[Event] = []
        if self._is_inside:
            end = chunk.find(_END) + len(_END)
            if end < len(_END):
                end = len(chunk)
            self._read(chunk[:end], events)
            chunk = chunk[end:]
        if not self._is_inside:
            chunk = self._take_usual(chunk, events)
        if chunk:
            self._read(chunk, events)
        return events

    @property
    def _is_inside(self) -> bool:
        """Whether an event, or a line, has begun."""
        return bool(self._line) or self._data is not None or self._retry_ms is not None

    def _take_usual(self, chunk: bytes, events: list[Event]) -> bytes:
        """Read the usual events at once, `message` with one line of data; return what follows them."""
        if b"\r" in chunk:
            return chunk
        start, own_id = 0, self._id
        while chunk.startswith(_MESSAGE, start):
            data = start + len(_MESSAGE)
            end = chunk.find(b"\n", data)
            after = end + len(_END)
            if end < 0 or not chunk.startswith(_END, end) or after - start > self._max_event_bytes:
                break
            events.append(Event("message", chunk[data:end], own_id))
            start = after
        if start:
            self._at_start = self._after_cr = False
            self._type = ""
        return chunk[start:]

    def _read(self, chunk: bytes, events: list[Event]) -> None:
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._end_line(line, events)
        self._line += rest
        self._check(len(self._line), events)

    def _check(self, line_bytes: int, events: list[Event]) -> None:
        if self._field_bytes + line_bytes > self._max_event_bytes:
            raise EventTooLarge(self._max_event_bytes, events)

    def _end_line(self, line: bytes, events: list[Event]) -> None:
        if self._line:
            self._line += line
            line = bytes(self._line)
            self._line.clear()
        self._check(len(line), events)
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if line:
            self._read_field(line)
        else:
            self._end_event(events)

    def _read_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._add_data(value)
                self._field_bytes += len(line)
            case b"event":
                self._type = value.decode(errors="replace")
            case b"id" if b"\0" not in value:
                self._id = value.decode(errors="replace")
            case b"retry" if value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:
                self._retry_ms = int(value)

    def _add_data(self, value: bytes) -> None:
        """Add a line to the event: to one array, for lines kept apart would take far more memory."""
        if self._data is None:
            self._data = value
            return
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)
        self._data += b"\n"
        self._data += value

    def _end_event(self, events: list[Event]) -> None:
        if self._data is not None:
            data = bytes(self._data)
            events.append(Event(self._type or "message", data, self._id, self._retry_ms))
            self._data = None
            self._field_bytes = 0
            self._retry_ms = None
        self._type = ""


class Boundary:
    """Tells whether a stream that is passed on unread is between two events, where a comment may stand.

    It is so at the start, and after a blank line; only the last bytes are looked at. A CR that may be
    the first half of CRLF ends no line yet, unless the line before ended with one as well.
    """

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b""

    def passed(self, data: bytes) -> None:
        """Note what was passed on, in chunks of any size."""
        self._tail = data[-3:] if len(data) > len(b"\n\r") else (self._tail + data)[-3:]

    @property
    def is_reached(self) -> bool:
        return not self._tail or self._tail.endswith(_BLANK_LINES)


def encode(data: bytes, event: str = "message") -> bytes:
    """Write one event; line ends of any kind within `data` are read back as LF."""
    if b"\n" in data or b"\r" in data:
        lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        data = lines.replace(b"\n", b"\ndata: ")
    if event == "message":
        return b"%b%b\n\n" % (_MESSAGE, data)
    return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
