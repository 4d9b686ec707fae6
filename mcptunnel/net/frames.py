"""The frames of a link's messages (RFC 6455, section 5.2): whole binary messages, and no others.

They are what both ends of a tunnel send, apart from a few control frames. Reading and writing them
here, and leaving all else to Autobahn, costs a fifth of its way and copies each byte once.
"""

import os
from typing import Any, Final, TypeAlias

try:
    from _nvx_xormasker import ffi, lib
except ImportError:  # Autobahn was built without its compiled part
    ffi = lib = None

_BINARY: Final = 0x82
"""The first byte of a frame that is a whole binary message: FIN, no reserved bit, opcode 2."""

_MASKED: Final = 0x80
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_MASK_BYTES: Final = 4
_LEAST_LENGTH_64: Final = 1 << 16
MAX_PIECES: Final = 1024
"""A message that drips in is put together in between: a piece takes up far more than a byte."""

_FEW_BYTES: Final = 256
"""So many bytes are masked faster as one large integer than by way of the compiled part."""

Message: TypeAlias = bytes | bytearray


def head_of(length_bytes: int) -> bytes:
    """Return what goes before a message that is not masked, as a relay sends it."""
    return _head(length_bytes, 0)


def masked(message: bytes) -> bytes:
    """Return the frame of a message, masked with a new key, as an agent sends it."""
    key = os.urandom(_MASK_BYTES)
    head = _head(len(message), _MASKED)
    return b"".join((head, key, _with_mask(bytearray(message), key)))


def _head(length_bytes: int, flag: int) -> bytes:
    if length_bytes < _LENGTH_16:
        return bytes((_BINARY, flag | length_bytes))
    if length_bytes < _LEAST_LENGTH_64:
        return bytes((_BINARY, flag | _LENGTH_16)) + length_bytes.to_bytes(2, "big")
    return bytes((_BINARY, flag | _LENGTH_64)) + length_bytes.to_bytes(8, "big")


def _with_mask(payload: bytearray, key: bytes) -> Message:
    """Return a payload with the mask put on, or taken off; perhaps the same object, changed."""
    size = len(payload)
    if size <= _FEW_BYTES or lib is None:
        mask = (key * (size // _MASK_BYTES + 1))[:size]
        mixed = int.from_bytes(payload, "little") ^ int.from_bytes(mask, "little")
        return mixed.to_bytes(size, "little")
    masker: Any = lib.nvx_xormask_new(key)
    lib.nvx_xormask_process(masker, ffi.from_buffer(payload), size)
    lib.nvx_xormask_free(masker)
    return payload


def _length_at(data: bytes, at: int) -> tuple[int, int, int]:
    """Return the length that a head states, the least that may be stated so, and where it ends."""
    length, at = data[at] & ~_MASKED, at + 1
    if length == _LENGTH_16:
        return int.from_bytes(data[at : at + 2], "big"), _LENGTH_16, at + 2
    if length == _LENGTH_64:
        return int.from_bytes(data[at : at + 8], "big"), _LEAST_LENGTH_64, at + 8
    return length, 1, at


class MessageReader:
    """Reads messages out of the bytes of a connection, however they are cut.

    `are_masked` says whether they are to be (they are what a client sends), `is_within` whether the
    last one is not complete yet. Holds at most one message.
    """

    __slots__ = ("_are_masked", "_head", "_key", "_left_bytes", "_most_bytes", "_pieces")

    def __init__(self, *, are_masked: bool, max_message_bytes: int) -> None:
        self._are_masked = are_masked
        self._most_bytes = max_message_bytes
        self._head = b""  # the start of a head, if no more of it came
        self._key = b""
        self._left_bytes = 0
        self._pieces: list[memoryview | bytes] = []

    @property
    def is_within(self) -> bool:
        return bool(self._left_bytes or self._head)

    def read(self, data: bytes) -> tuple[list[Message], bytes]:
        """Return the messages that are complete now, and the bytes from the first other frame on.

        What belongs to it, and whether it is allowed, is for somebody else to say.
        """
        messages: list[Message] = []
        if self._head:
            data, self._head = self._head + data, b""
        view, size, at = memoryview(data), len(data), 0
        while at < size:
            if not self._left_bytes:
                start = self._begin(data, at)
                if start is None:
                    return messages, data[at:]
                if start < 0:
                    self._head = data[at:]
                    break
                at = start
            piece = view[at : at + self._left_bytes]
            self._keep(piece)
            at += len(piece)
            if not self._left_bytes:
                messages.append(self._whole())
        return messages, b""

    def _begin(self, data: bytes, at: int) -> int | None:
        """Read a head; return where its payload starts, -1 if it is not complete, None for another.

        An empty message is none of ours, and nor is one that is too long.
        """
        if data[at] != _BINARY:
            return None
        if len(data) < at + 2:
            return -1
        length, least, start = _length_at(data, at + 1)
        is_masked = bool(data[at + 1] & _MASKED)
        if is_masked is not self._are_masked:
            return None
        key_at, start = start, start + (_MASK_BYTES if is_masked else 0)
        if len(data) < start:
            return -1
        if not least <= length <= self._most_bytes:
            return None
        self._key = data[key_at:start]
        self._left_bytes = length
        return start

    def _keep(self, piece: memoryview) -> None:
        pieces = self._pieces
        pieces.append(piece)
        self._left_bytes -= len(piece)
        if len(pieces) > MAX_PIECES:
            self._pieces = [b"".join(pieces)]

    def _whole(self) -> Message:
        pieces, self._pieces = self._pieces, []
        if self._are_masked:
            return _with_mask(bytearray().join(pieces), self._key)
        return b"".join(pieces)
