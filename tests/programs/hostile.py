"""An agent that keeps to no rule: raw frames over a bare socket, with a key that is good."""

import base64
import os
import socket
import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Self

from mcptunnel.model import RequestHead
from mcptunnel.wire.codec import Decoder, encode
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.errors import RemoteProtocolError
from mcptunnel.wire.frames import Frame, Goaway, Hello, Open

BINARY, CLOSE, PING = 2, 8, 9
ANNOUNCING = RequestHead("@relay", "POST", "/servers")
"""A request that the relay takes, and whose body it waits for."""

TIMEOUT_S = 20.0
_LENGTH_16, _LENGTH_64 = 126, 127


def websocket_frame(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    """Return a masked frame (RFC 6455, section 5.2), with the mask of zeros, which changes nothing."""
    first = bytes([opcode | (0x80 if final else 0)])
    if len(payload) < _LENGTH_16:
        length = bytes([0x80 | len(payload)])
    elif len(payload) < 1 << 16:
        length = bytes([0x80 | _LENGTH_16]) + len(payload).to_bytes(2, "big")
    else:
        length = bytes([0x80 | _LENGTH_64]) + len(payload).to_bytes(8, "big")
    return first + length + bytes(4) + payload


class HostileAgent:
    """A link that is greeted and then misused. `reads` says whether it takes what the relay sends."""

    def __init__(self, port: int, key: str, *, name: str = "hostile", reads: bool = True) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self._received = b""
        self._ended = threading.Event()
        nonce = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET /tunnel HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {nonce}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: mcptunnel.1\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._received:
            data = self._socket.recv(4096)
            assert data, self._received
            self._received += data
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        self.send(encode(Hello(f"{name}-installation-0001", name, "0")))
        self._reader = threading.Thread(target=self._read, daemon=True)
        if reads:
            self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send_raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def send(self, message: bytes) -> None:
        """Send one binary message."""
        self.send_raw(websocket_frame(BINARY, message))

    def flood(self, frames: Iterable[Frame], most: int, per_message: int = 200) -> int:
        """Send frames until the relay has had enough, or `most`; return how many were sent."""
        sent = 0
        iterator = iter(frames)
        while sent < most and not self._ended.is_set():
            batch = b"".join(map(encode, islice(iterator, per_message)))
            try:
                self.send(batch)
            except OSError:
                break
            sent += per_message
        return sent

    def open(self, stream_id: int) -> None:
        self.send(encode(Open(stream_id, ANNOUNCING)))

    def ended_with(self) -> tuple[ErrorCode | None, int | None]:
        """Wait for the end; return the code of the GOAWAY and that of the close frame."""
        assert self._ended.wait(TIMEOUT_S), "the relay goes on"
        goaways: list[ErrorCode] = []
        close = None
        for opcode, payload in messages(self._received):
            if opcode == CLOSE:
                close = int.from_bytes(payload[:2], "big")
            elif opcode == BINARY:
                goaways += [f.code for f in decoded(payload) if isinstance(f, Goaway)]
        return (goaways[-1] if goaways else None), close

    def _read(self) -> None:
        try:
            while data := self._socket.recv(65536):
                self._received += data
                if any(opcode == CLOSE for opcode, _ in messages(self._received)):
                    break
        except OSError:
            pass
        self._ended.set()


def decoded(payload: bytes) -> list[Frame]:
    try:
        return Decoder().decode(payload)
    except RemoteProtocolError:
        return []


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Give the whole frames of a server, which are not masked, with their opcodes."""
    at = 0
    while at + 2 <= len(data):
        opcode, length, body = data[at] & 0x0F, data[at + 1] & 0x7F, at + 2
        if length == _LENGTH_16:
            length, body = int.from_bytes(data[body : body + 2], "big"), body + 2
        elif length == _LENGTH_64:
            length, body = int.from_bytes(data[body : body + 8], "big"), body + 8
        if body + length > len(data):
            return
        yield opcode, data[body : body + length]
        at = body + length
