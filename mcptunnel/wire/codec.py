"""Frames to bytes and back: the only place that knows msgpack.

A frame is a msgpack array `[type, stream_id, ...]`; a message is one or more frames, one after the
other. Every field is checked on the way out as well: what we send by mistake must not make the peer
end the session for everybody.
"""

from collections.abc import Iterable
from functools import cache
from itertools import islice
from typing import NoReturn

import msgpack

from mcptunnel.wire.constants import (
    KIB,
    MAX_DATA_BYTES,
    MAX_HEADER_COUNT,
    MAX_HEADERS_CHARS,
    MAX_MESSAGE_BYTES,
    MAX_MESSAGE_FRAMES,
    ErrorCode,
    FrameType,
)
from mcptunnel.wire.errors import LocalProtocolError, RemoteProtocolError
from mcptunnel.wire.fields import FieldError
from mcptunnel.wire.frames import Frame
from mcptunnel.wire.layout import fields_of, frame_of

_UTF8_BYTES_PER_CHAR = 4
_KEPT_BUFFER_BYTES = 16 * KIB
_BIN_8_BYTES = 255

_LEAST_FRAME_BYTES = 3

# An encoded frame starts with one byte for the array, one for the type, and then the stream id.
_TYPE_AT = 1
_STREAM_ID_AT = 2

_packer = msgpack.Packer()


def encode(frame: Frame) -> bytes:
    """Encode one frame; the limits of its fields keep it under MAX_MESSAGE_BYTES.

    Raises LocalProtocolError if a field holds what the peer would refuse.
    """
    fields = fields_of(frame)
    try:
        frame_of(fields)
        encoded: bytes = _packer.pack(fields)
    except ValueError as error:  # a lone surrogate in a text is one, too
        raise LocalProtocolError(f"{type(frame).__name__} cannot be sent: {error}") from None
    return encoded


def data_prefix(stream_id: int) -> bytes:
    """Return what every DATA frame of a stream starts with; `data_size` and the bytes follow.

    So a payload is copied once only, into the message.
    """
    packed: bytes = _packer.pack((FrameType.DATA.value, stream_id, b""))
    return packed[:-2]


def data_size(count_bytes: int) -> bytes:
    """Return what goes before `count_bytes` of payload (1 to MAX_DATA_BYTES)."""
    if count_bytes <= _BIN_8_BYTES:
        return b"\xc4" + count_bytes.to_bytes(1, "big")
    return b"\xc5" + count_bytes.to_bytes(2, "big")


def end_of(stream_id: int) -> bytes:
    """Return the END frame of a stream that is open."""
    packed: bytes = _packer.pack((FrameType.END.value, stream_id))
    return packed


def without_stream(frames: Iterable[bytes], stream_id: int) -> tuple[list[bytes], bool]:
    """Return the encoded frames that are not about a stream, and whether an OPEN was left out."""
    packed: bytes = _packer.pack(stream_id)
    kept: list[bytes] = []
    has_open = False
    for frame in frames:
        if not frame.startswith(packed, _STREAM_ID_AT):
            kept.append(frame)
        elif frame[_TYPE_AT] == FrameType.OPEN:
            has_open = True
    return kept, has_open


def type_of(frame: bytes) -> int:
    """Return the type of an encoded frame."""
    return frame[_TYPE_AT]


def after_frames(message: bytes, count: int) -> bytes:
    """Return a message of ours without its first `count` frames; it has more than that."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(message)
    for _ in range(count):
        unpacker.skip()
    return message[unpacker.tell() :]


def _refuse(*_: object) -> NoReturn:
    raise FieldError("maps and extension values are not used")


class Decoder:
    """Decodes messages. From one to the next it keeps nothing but a buffer to use again.

    It takes 45 KiB, so whoever has many peers uses `shared_decoder`.
    """

    __slots__ = ("_max_message_bytes", "_read_bytes", "_unpacker")

    def __init__(self, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._max_message_bytes = max_message_bytes
        self._renew()

    def _renew(self) -> None:
        self._read_bytes = 0
        self._unpacker = msgpack.Unpacker(
            read_size=min(4 * KIB, self._max_message_bytes),
            max_buffer_size=self._max_message_bytes,
            raw=False,
            use_list=False,
            strict_map_key=True,
            max_bin_len=MAX_DATA_BYTES,
            max_str_len=_UTF8_BYTES_PER_CHAR * MAX_HEADERS_CHARS,
            max_array_len=MAX_HEADER_COUNT,
            max_map_len=0,
            max_ext_len=0,
            object_hook=_refuse,  # the limits of 0 let empty ones pass
            ext_hook=_refuse,
        )

    def decode(self, message: bytes) -> list[Frame]:
        """Return the frames of a message, at least one.

        Raises RemoteProtocolError for anything else: LIMIT_EXCEEDED if the message is too large,
        or has too many frames, PROTOCOL_ERROR if it is no sequence of frames.
        """
        if len(message) > self._max_message_bytes:
            raise RemoteProtocolError(
                ErrorCode.LIMIT_EXCEEDED, f"a message is at most {self._max_message_bytes} bytes"
            )
        try:
            frames = self._frames(message)
        except FieldError as error:
            raise self._refusal(ErrorCode.PROTOCOL_ERROR, str(error)) from None
        except ValueError:
            text = "a message must be msgpack within the limits"
            raise self._refusal(ErrorCode.PROTOCOL_ERROR, text) from None
        except BaseException:
            self._renew()  # the next message may be of another peer
            raise
        if len(message) > _KEPT_BUFFER_BYTES:
            self._renew()  # an idle session should not hold the memory of its largest message
        return frames

    def _frames(self, message: bytes) -> list[Frame]:
        unpacker, start = self._unpacker, self._read_bytes
        unpacker.feed(message)
        frames = []
        few = len(message) <= _LEAST_FRAME_BYTES * MAX_MESSAGE_FRAMES
        for fields in unpacker if few else islice(unpacker, MAX_MESSAGE_FRAMES):
            frames.append(frame_of(fields))
            self._read_bytes = unpacker.tell()  # at the end it would count an incomplete value, too
        if not frames or self._read_bytes != start + len(message):
            if len(frames) == MAX_MESSAGE_FRAMES:
                text = f"a message has at most {MAX_MESSAGE_FRAMES} frames"
                raise self._refusal(ErrorCode.LIMIT_EXCEEDED, text)
            raise FieldError("a message must be one or more whole frames")
        return frames

    def _refusal(self, code: ErrorCode, text: str) -> RemoteProtocolError:
        self._renew()
        return RemoteProtocolError(code, text)


@cache
def shared_decoder(max_message_bytes: int) -> Decoder:
    """Return the one decoder of a program for messages up to this size; for a single thread."""
    return Decoder(max_message_bytes)
