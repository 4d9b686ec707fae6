"""A response of HTTP/1.1, from bytes to events (RFC 9112). No I/O.

    HEAD -> LENGTH | CHUNK_SIZE | UNTIL_CLOSE | END      HEAD -> HEAD after 1xx
    CHUNK_SIZE -> CHUNK_DATA -> CHUNK_END -> CHUNK_SIZE  CHUNK_SIZE -> TRAILER -> END

Strict on purpose: what two readers could understand differently is refused. So are bare LF, folded
lines, unknown transfer codings, more than one way to tell the length, and bytes after the end.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import ClassVar, TypeAlias

from mcptunnel.errors import McpTunnelError
from mcptunnel.model import Headers, ResponseHead
from mcptunnel.net.http1.fields import FIELD, FIELDS

MAX_HEAD_BYTES = 65_536
MAX_HEADERS = 200
MAX_CHUNK_LINE_BYTES = 1024
MAX_INTERIM_RESPONSES = 16
"""Heads with status 1xx before the response; a server that sends more is not going to answer."""

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*+)?\r\n")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*+;[\t\x20-\x7e\x80-\xff]*+)?\r\n")
_LENGTH = re.compile(r"[0-9]{1,18}")
_START = b"HTTP/1."
_BARE_LF = re.compile(rb"(?<!\r)\n")
_WITHOUT_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class ResponseError(McpTunnelError):
    """A response that breaks HTTP/1.1, or that we refuse to guess at; the connection is unusable."""


@dataclass(frozen=True, slots=True)
class End:
    """The response was read to its end; `reusable` if the connection may carry another."""

    reusable: bool


Event: TypeAlias = ResponseHead | bytes | End
"""In this order: one head, any number of pieces of the body (never empty), one end."""


class _State(Enum):
    HEAD = auto()
    LENGTH = auto()
    CHUNK_SIZE = auto()
    CHUNK_DATA = auto()
    CHUNK_END = auto()
    TRAILER = auto()
    UNTIL_CLOSE = auto()
    END = auto()


class ResponseParser:
    """Reads one response to a request with `method`.

    Everything in one piece of input comes out as at most one head, one piece of body and one end.
    """

    __slots__ = (
        "_ended",
        "_head",
        "_held",
        "_interim_count",
        "_left_bytes",
        "_method",
        "_pieces",
        "_reusable",
        "_state",
    )

    def __init__(self, method: str) -> None:
        self._method = method
        self._state = _State.HEAD
        self._held = b""
        self._left_bytes = 0
        self._interim_count = 0
        self._reusable = False
        self._ended = False
        self._head: ResponseHead | None = None
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes. Raises ResponseError; the parser must not be used again then."""
        if self._held:
            data = self._held + data
            self._held = b""
        at, size = 0, len(data)
        while at < size:
            after = self._STEPS[self._state](self, data, at)
            if after is None:
                self._held = data[at:]
                break
            at = after
        return self._events()

    def feed_eof(self) -> list[Event]:
        """Take the end of the connection. Raises ResponseError if the response is not complete."""
        if self._state is _State.UNTIL_CLOSE:
            self._state = _State.END
            self._reusable = False
            return self._events()
        if self._state is not _State.END:
            part = "head" if self._state is _State.HEAD else "body"
            raise ResponseError(f"The connection ended within the {part} of the response")
        return []

    def _events(self) -> list[Event]:
        events: list[Event] = []
        if self._head is not None:
            events.append(self._head)
            self._head = None
        if self._pieces:
            events.append(self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces))
            self._pieces.clear()
        if self._state is _State.END and not self._ended:
            self._ended = True
            events.append(End(self._reusable))
        return events

    def _read_head(self, data: bytes, at: int) -> int | None:
        if not data.startswith(_START[: len(data) - at], at):
            raise ResponseError("This is not an HTTP/1.1 response")
        end = _block_end(data, at, "head of the response")
        if end is None:
            return None
        line = _STATUS_LINE.match(data, at, end)
        if line is None:
            raise ResponseError("The status line is malformed")
        headers = _read_fields(data, line.end(), end)
        self._begin(int(line[2]), headers, old=line[1] == b"0")
        return end + 2

    def _begin(self, status: int, headers: Headers, *, old: bool) -> None:
        length, chunked, close = _framing(headers, old=old)
        if status < HTTPStatus.OK:
            if status == HTTPStatus.SWITCHING_PROTOCOLS:
                raise ResponseError("The server switched protocols, and nobody asked it to")
            self._interim_count += 1
            if self._interim_count > MAX_INTERIM_RESPONSES:
                raise ResponseError(
                    f"The server sent more than {MAX_INTERIM_RESPONSES} responses with status 1xx"
                )
            return
        self._head = ResponseHead(status, headers)
        self._reusable = not (close or old)
        if self._method == "HEAD" or status in _WITHOUT_BODY or (length == 0 and not chunked):
            self._state = _State.END
        elif chunked:
            self._state = _State.CHUNK_SIZE
        elif length is not None:
            self._left_bytes = length
            self._state = _State.LENGTH
        else:
            self._state = _State.UNTIL_CLOSE

    def _read_length(self, data: bytes, at: int) -> int:
        return self._take(data, at, _State.END)

    def _read_chunk_data(self, data: bytes, at: int) -> int:
        return self._take(data, at, _State.CHUNK_END)

    def _take(self, data: bytes, at: int, then: _State) -> int:
        piece = data[at : at + self._left_bytes]
        self._pieces.append(piece)
        self._left_bytes -= len(piece)
        if not self._left_bytes:
            self._state = then
        return at + len(piece)

    def _read_chunk_size(self, data: bytes, at: int) -> int | None:
        """Read the line before a chunk, and whole chunks as long as there are any."""
        first = at
        while line := _CHUNK_LINE.match(data, at):
            start = line.end()
            if start - at > MAX_CHUNK_LINE_BYTES:
                break
            size_bytes = int(line[1], 16)
            end = start + size_bytes
            if not size_bytes or not data.startswith(b"\r\n", end):
                self._left_bytes = size_bytes
                self._state = _State.CHUNK_DATA if size_bytes else _State.TRAILER
                return start
            self._pieces.append(data[start:end])
            at = end + 2
        if at > first:
            return at
        if b"\r\n" in data[at : at + MAX_CHUNK_LINE_BYTES]:
            raise ResponseError("The line before a chunk is malformed")
        if len(data) - at >= MAX_CHUNK_LINE_BYTES:
            raise ResponseError("The line before a chunk is too long")
        return None

    def _read_chunk_end(self, data: bytes, at: int) -> int | None:
        if not data.startswith(b"\r\n", at):
            if data[at:] == b"\r":
                return None
            raise ResponseError("A chunk is longer than it said")
        self._state = _State.CHUNK_SIZE
        return at + 2

    def _read_trailer(self, data: bytes, at: int) -> int | None:
        if data.startswith(b"\r\n", at):
            self._state = _State.END
            return at + 2
        end = _block_end(data, at, "trailer of the response")
        if end is None:
            return None
        _read_fields(data, at, end)
        self._state = _State.END
        return end + 2

    def _read_until_close(self, data: bytes, at: int) -> int:
        self._pieces.append(data[at:])
        return len(data)

    def _read_nothing(self, _data: bytes, _at: int) -> int:
        raise ResponseError("The server sent more than its response")

    _STEPS: ClassVar[dict[_State, Callable[["ResponseParser", bytes, int], int | None]]] = {
        _State.HEAD: _read_head,
        _State.LENGTH: _read_length,
        _State.CHUNK_SIZE: _read_chunk_size,
        _State.CHUNK_DATA: _read_chunk_data,
        _State.CHUNK_END: _read_chunk_end,
        _State.TRAILER: _read_trailer,
        _State.UNTIL_CLOSE: _read_until_close,
        _State.END: _read_nothing,
    }
    """Each reads from a position and returns the next one, or None if it must see more first."""


def _block_end(data: bytes, at: int, what: str) -> int | None:
    """Return where the empty line after a block of lines starts, or None if it is not there yet."""
    end = data.find(b"\r\n\r\n", at, at + MAX_HEAD_BYTES + 4)
    if end >= 0:
        return end + 2
    if len(data) - at > MAX_HEAD_BYTES + 3:
        raise ResponseError(f"The {what} is larger than {MAX_HEAD_BYTES} bytes")
    if _BARE_LF.search(data, at):  # else its writer would wait for us, and we for it
        raise ResponseError(f"The {what} has a line end without CR")
    return None


def _read_fields(data: bytes, at: int, end: int) -> Headers:
    if not FIELDS.fullmatch(data, at, end):
        raise ResponseError("A header field is malformed")
    fields = FIELD.findall(data, at, end)
    if len(fields) > MAX_HEADERS:
        raise ResponseError(f"The response has more than {MAX_HEADERS} header fields")
    return tuple(
        (name.decode("ascii").lower(), value.rstrip(b" \t").decode("latin-1"))
        for name, value in fields
    )


def _framing(headers: Headers, *, old: bool) -> tuple[int | None, bool, bool]:
    """Return content length, whether chunked, whether to close (RFC 9112, sections 6 and 9.6)."""
    lengths: set[str] = set()
    codings: list[str] = []
    close = False
    for name, value in headers:
        if name == "content-length":
            lengths.update(part.strip(" \t") for part in value.split(","))
        elif name == "transfer-encoding":
            codings.append(value.lower())
        elif name == "connection":
            close = close or "close" in {part.strip(" \t") for part in value.lower().split(",")}
    if not lengths and not codings:
        return None, False, close
    if codings and (lengths or old or codings != ["chunked"]):
        raise ResponseError("The transfer coding is not just chunked")
    if codings:
        return None, True, close
    length = lengths.pop()
    if lengths or not _LENGTH.fullmatch(length):
        raise ResponseError("The content length is malformed")
    return int(length), False, close
