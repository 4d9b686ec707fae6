"""An agent that is nothing but a socket: it greets, with whatever the test says, and no more."""

import base64
import os
import socket
from typing import Self

from mcptunnel.wire.codec import Decoder, encode
from mcptunnel.wire.frames import Frame, Goaway, Hello, Welcome
from tests.programs.raw import TIMEOUT_S

BINARY = 0x82
SHORT, MEDIUM = 125, 126


def messages(received: bytes) -> list[bytes]:
    """Return the whole WebSocket messages from a relay in what was received, HTTP head included."""
    _, _, data = received.partition(b"\r\n\r\n")
    found: list[bytes] = []
    while len(data) > 1:
        size, start = data[1], 2
        if size == MEDIUM:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size > MEDIUM:
            size, start = int.from_bytes(data[2:10], "big"), 10
        if len(data) < start + size:
            break
        if data[0] == BINARY:
            found.append(data[start : start + size])
        data = data[start + size :]
    return found


def welcomes(received: bytes) -> list[Welcome]:
    """Return the WELCOMEs in what was received."""
    frames = [frame for message in messages(received) for frame in Decoder().decode(message)]
    return [frame for frame in frames if isinstance(frame, Welcome)]


class RawAgent:
    """One link to a relay; a context manager."""

    def __init__(self, port: int, key: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        nonce = base64.b64encode(os.urandom(16)).decode()
        lines = (
            "GET /tunnel HTTP/1.1",
            "Host: localhost",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: mcptunnel.1",
            f"Sec-WebSocket-Key: {nonce}",
            f"Authorization: Bearer {key}",
        )
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def greet(self, hello: Hello) -> Frame:
        """Say HELLO; return what the relay says first: WELCOME, or GOAWAY."""
        message, mask = encode(hello), bytes(4)
        count = len(message)
        size = bytes([count]) if count <= SHORT else bytes([MEDIUM]) + count.to_bytes(2, "big")
        masked = bytes([BINARY, 0x80 | size[0]]) + size[1:] + mask
        self._socket.sendall(masked + message)
        received = b""
        while not messages(received):
            data = self._socket.recv(65536)
            assert data, received
            received += data
        frame = Decoder().decode(messages(received)[0])[0]
        assert isinstance(frame, Welcome | Goaway)
        return frame

    def wait_for_goodbye(self) -> Goaway:
        """Read up to a GOAWAY after the greeting."""
        received = b"\r\n\r\n"  # where the head has ended
        while True:
            for message in messages(received):
                for frame in Decoder().decode(message):
                    if isinstance(frame, Goaway):
                        return frame
            data = self._socket.recv(65536)
            assert data, received
            received += data

    def refusal(self) -> bytes:
        """Return the first line that answers a link that is refused."""
        return self._socket.recv(65536).partition(b"\r\n")[0]
