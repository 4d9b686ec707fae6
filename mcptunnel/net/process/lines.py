"""Bytes in, lines out: messages of stdout, and log text of stderr."""

from collections.abc import Iterator


class MessageLines:
    r"""Cut a byte stream at every "\n"; cost is linear in the bytes, however long a line.

    A "\r" before the line end is taken off, and empty lines are left out: neither can be part of a
    message (MCP, basic/transports, stdio).
    """

    __slots__ = ("_max_bytes", "_parts", "_size", "overflow")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size = 0
        self.overflow = False
        """True as soon as a line was longer than `max_bytes`; from then on nothing comes out."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes."""
        if b"\n" not in data:
            self._keep(data)
            return []
        pieces = data.split(b"\n")
        if self._parts:
            self._parts.append(pieces[0])
            pieces[0] = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
        rest = pieces.pop()
        lines: list[bytes] = []
        for piece in pieces:
            if self.overflow or len(piece) > self._max_bytes:
                self.overflow = True
                break
            line = piece[:-1] if piece.endswith(b"\r") else piece
            if line:
                lines.append(line)
        if rest:
            self._keep(rest)
        return lines

    def finish(self) -> list[bytes]:
        """Return what is left without a line end, as a line; call it at the end of the stream."""
        rest, self._parts = b"".join(self._parts), []
        return [rest] if rest and not self.overflow else []

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._max_bytes:
            self.overflow = True
        if self.overflow:
            self._parts.clear()
        else:
            self._parts.append(data)


class LogLines:
    """Cut log text into lines of at most `max_bytes`; a longer line becomes several."""

    __slots__ = ("_max_bytes", "_rest")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """Give the lines that `data` completes, decoded as UTF-8 with replacement characters."""
        *lines, rest = (self._rest + data).split(b"\n")
        whole = len(rest) - len(rest) % self._max_bytes
        self._rest = rest[whole:]
        for line in lines:
            yield from self._pieces(line)
        yield from self._pieces(rest[:whole])

    def finish(self) -> Iterator[str]:
        """Give what is left without a line end."""
        rest, self._rest = self._rest, b""
        return self._pieces(rest)

    def _pieces(self, line: bytes) -> Iterator[str]:
        for start in range(0, len(line), self._max_bytes):
            text = line[start : start + self._max_bytes].decode(errors="replace").rstrip("\r")
            if text:
                yield text
