"""The answer to an opening handshake, read as it comes, before it is Autobahn's.

Autobahn wants a whole and good answer; what a server says instead is worth telling.
"""

import re
from email.utils import parsedate_to_datetime

from mcptunnel.net.errors import ConnectFailed, UpgradeRefused, printable

MAX_ANSWER_HEAD_BYTES = 16 * 1024
MAX_REFUSAL_BYTES = 4 * 1024

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})[ \r]")


class AnswerReader:
    """Reads an answer in pieces, however it is cut. `where` is `host:port`, for errors."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._answer = b""
        self._refusal: RefusalReader | None = None

    @property
    def refusal(self) -> UpgradeRefused | None:
        """The refusal as far as it has been read, or None if there is none."""
        return None if self._refusal is None else self._refusal.error()

    def accepted_with(self, data: bytes) -> bytes | None:
        """Take a piece; return a 101 from its first byte, with all behind it, or None: read on.

        Raises UpgradeRefused for a refusal that is complete, ConnectFailed for what is not HTTP.
        """
        if self._refusal is not None:
            self._read_refusal(self._refusal, data)
            return None
        self._answer += data
        while True:
            head, ended, rest = self._answer.partition(b"\r\n\r\n")
            match = _STATUS_LINE.match(self._answer)
            hopeless = (ended and match is None) or len(head) > MAX_ANSWER_HEAD_BYTES
            if hopeless or not b"HTTP/1.".startswith(self._answer[:7]):
                raise ConnectFailed(f"{self._where}: the answer is not HTTP")
            if match is None or not ended:
                return None
            if match[1] == b"101":
                answer, self._answer = self._answer, b""
                return answer
            if not match[1].startswith(b"1"):
                self._refusal = RefusalReader(int(match[1]), head)
                self._read_refusal(self._refusal, rest)
                return None
            self._answer = rest  # informational; the answer follows

    def _read_refusal(self, refusal: "RefusalReader", data: bytes) -> None:
        if refusal.is_complete_with(data):
            raise refusal.error()


class RefusalReader:
    """Reads an answer other than 101 as far as it helps a person. `head` ends before its body."""

    def __init__(self, status: int, head: bytes) -> None:
        self._status = status
        lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
        fields = [(name.strip().lower(), value.strip()) for name, _, value in lines]
        self._headers = dict(fields)
        self._wants_bearer = any(map(_is_bearer_challenge, fields))
        self._is_chunked = "chunked" in self._headers.get("transfer-encoding", "").lower()
        length = _seconds_or_bytes(self._headers.get("content-length", ""))
        self._wanted_bytes = MAX_REFUSAL_BYTES if length is None else min(length, MAX_REFUSAL_BYTES)
        self._body = b""

    def is_complete_with(self, data: bytes) -> bool:
        """Take a piece of the body; return whether that was enough."""
        self._body += data
        if self._is_chunked and b"\r\n0\r\n" in b"\r\n" + self._body:
            return True
        return len(self._body) >= self._wanted_bytes

    def error(self) -> UpgradeRefused:
        """Return what has been read, to be raised."""
        body = _dechunked(self._body) if self._is_chunked else self._body
        text = printable(body[: self._wanted_bytes].decode(errors="replace"), MAX_REFUSAL_BYTES)
        return UpgradeRefused(
            self._status, self._retry_after_s(), text, wants_bearer=self._wants_bearer
        )

    def _retry_after_s(self) -> float | None:
        """Read Retry-After (RFC 9110, section 10.2.3); a date counts from the server's own Date."""
        value = self._headers.get("retry-after", "")
        seconds = _seconds_or_bytes(value)
        if seconds is not None:
            return float(seconds)
        try:
            until = parsedate_to_datetime(value)
            wait = until - parsedate_to_datetime(self._headers.get("date", ""))
        except (TypeError, ValueError):
            return None
        return max(0.0, wait.total_seconds())


def _is_bearer_challenge(field: tuple[str, str]) -> bool:
    name, value = field
    return name == "www-authenticate" and value.partition(" ")[0].lower() == "bearer"


def _seconds_or_bytes(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def _dechunked(data: bytes) -> bytes:
    """Take the chunk sizes out of as much of a chunked body as there is."""
    whole = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        if not re.fullmatch(b"[0-9a-fA-F]{1,8}(;.*)?", size):
            return whole
        length = int(size.partition(b";")[0], 16)
        whole += data[:length]
        data = data[length + 2 :]
