"""HTTP over a bare socket: what is sent is what the test says, byte by byte."""

import json
import socket
from dataclasses import dataclass
from typing import Any, Self

TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A response as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"].startswith("application/json")
        return json.loads(self.body)


class Connection:
    """One connection to a port of 127.0.0.1; a context manager."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def detach(self) -> socket.socket:
        """Return the bare socket; the test closes it."""
        return self._socket

    def end(self) -> None:
        """Say that no more is sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def rest(self) -> bytes:
        """Return everything until the other side closes, a reset being an end as well."""
        try:
            while data := self._socket.recv(65536):
                self._received += data
        except ConnectionResetError:
            pass
        received, self._received = self._received, b""
        return received

    def reply(self) -> Reply:
        """Read one response whose length is stated."""
        reply = self.reply_head()
        length = int(reply.headers["content-length"])
        while len(self._received) < length:
            self._more()
        body, self._received = self._received[:length], self._received[length:]
        return Reply(reply.status, reply.headers, body)

    def reply_head(self) -> Reply:
        """Read the head of a response."""
        while b"\r\n\r\n" not in self._received:
            self._more()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        return parsed(head)

    def _more(self) -> None:
        data = self._socket.recv(65536)
        assert data, f"The connection ended after {self._received!r}"
        self._received += data


def parsed(head: bytes) -> Reply:
    """Read the head of a response."""
    status_line, *lines = head.decode("ascii").split("\r\n")
    fields = (line.split(": ", 1) for line in lines)
    return Reply(int(status_line.split()[1]), {name.lower(): value for name, value in fields}, b"")


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """Return an HTTP/1.1 request for localhost; `_` in a name stands for `-`."""
    fields = {"host": "localhost", "content-length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def fetch(port: int, data: bytes) -> Reply:
    """Send a whole request and read its response."""
    with Connection(port) as connection:
        connection.send(data)
        return connection.reply()
