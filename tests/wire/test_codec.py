"""Frames to bytes and back; any bytes to frames or to one kind of error."""

import json
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.model import ExchangeKind, RequestHead, ResponseHead
from mcptunnel.wire import codec
from mcptunnel.wire import frames as frame_module
from mcptunnel.wire.codec import Decoder, data_prefix, data_size, encode, end_of, shared_decoder
from mcptunnel.wire.constants import (
    MAX_DATA_BYTES,
    MAX_HEADER_COUNT,
    MAX_HEADERS_CHARS,
    MAX_MESSAGE_BYTES,
    MAX_METHOD_CHARS,
    MAX_NAME_CHARS,
    MAX_PATH_CHARS,
    MAX_STREAM_ID,
    MAX_TEXT_CHARS,
    ErrorCode,
)
from mcptunnel.wire.errors import LocalProtocolError, RemoteProtocolError
from mcptunnel.wire.frames import FRAME_CLASSES, Data, End, Frame, Head, Open, Ping, Reset
from mcptunnel.wire.settings import Limits
from tests.wire.strategies import frames, stream_ids

VECTORS = Path(__file__).parent.parent / "vectors"


def read(name: str) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads((VECTORS / name).read_text())
    return loaded


def frame_from_json(described: dict[str, Any]) -> Frame:
    """Build a frame from a golden vector; bytes are hex there, header fields are pairs."""
    fields = dict(described)
    name = fields.pop("type").capitalize()
    for key in ("code",):
        if key in fields:
            fields[key] = ErrorCode[fields[key]]
    if "data" in fields:
        fields["data"] = bytes.fromhex(fields["data"])
    if "limits" in fields:
        fields["limits"] = Limits(**fields["limits"])
    if "versions" in fields:
        fields["versions"] = tuple(fields["versions"])
    if "head" in fields:
        head = dict(fields["head"])
        head["headers"] = tuple((key, value) for key, value in head["headers"])
        if "kind" in head:
            head["kind"] = ExchangeKind(head["kind"])
        fields["head"] = RequestHead(**head) if name == "Open" else ResponseHead(**head)
    built: Frame = getattr(frame_module, name)(**fields)
    return built


@pytest.mark.parametrize("vector", read("frames.json"), ids=lambda vector: vector["name"])
def test_golden_frames(vector: dict[str, Any]) -> None:
    """The bytes of version 1 are fixed: they decode to the frame, and the frame encodes to them."""
    frame = frame_from_json(vector["frame"])
    encoded = bytes.fromhex(vector["bytes"])
    assert Decoder().decode(encoded) == [frame]
    assert encode(frame) == encoded


def test_golden_frames_show_every_type() -> None:
    """No frame type is without a vector."""
    shown = {type(frame_from_json(vector["frame"])) for vector in read("frames.json")}
    assert shown == set(FRAME_CLASSES)


@pytest.mark.parametrize("vector", read("refused.json"), ids=lambda vector: vector["name"])
def test_golden_refusals(vector: dict[str, Any]) -> None:
    """What a decoder must refuse, with the code that it must give."""
    with pytest.raises(RemoteProtocolError) as caught:
        Decoder().decode(bytes.fromhex(vector["bytes"]))
    assert caught.value.code is ErrorCode[vector["code"]]


@given(frames)
def test_round_trip(frame: Frame) -> None:
    """A frame survives the wire."""
    assert Decoder().decode(encode(frame)) == [frame]


@given(st.lists(frames, min_size=1, max_size=8))
def test_many_frames_in_a_message(several: list[Frame]) -> None:
    """Frames of a message come out in order; the decoder is as good as new afterwards."""
    decoder = Decoder()
    message = b"".join(encode(frame) for frame in several)
    for _ in range(2):
        assert decoder.decode(message) == several


def verdict(decoder: Decoder, message: bytes) -> object:
    """Return "frames" or the code of the refusal; any other error is one of the test."""
    try:
        decoder.decode(message)
    except RemoteProtocolError as error:
        return error.code
    return "frames"


@given(st.binary(max_size=400))
def test_any_bytes_give_frames_or_one_error(message: bytes) -> None:
    """Whatever comes, the answer is a list of frames or RemoteProtocolError."""
    decoder = Decoder()
    assert verdict(decoder, message) in ("frames", ErrorCode.PROTOCOL_ERROR)
    assert decoder.decode(encode(Ping(1))) == [Ping(1)]


_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab"), inner, max_size=2),
    max_leaves=8,
)


@given(st.integers(-1, 130) | _values, st.lists(_values, max_size=10))
def test_any_array_gives_a_frame_or_one_error(frame_type: object, fields: list[object]) -> None:
    """The same, for messages that get past msgpack: arrays that look like frames."""
    message = msgpack.packb([frame_type, *fields])
    assert verdict(Decoder(), message) in ("frames", ErrorCode.PROTOCOL_ERROR)


@given(frames, st.data())
def test_a_frame_with_one_byte_changed(frame: Frame, draw: st.DataObject) -> None:
    """One flipped byte gives other frames or RemoteProtocolError."""
    message = bytearray(encode(frame))
    place = draw.draw(st.integers(0, len(message) - 1))
    message[place] ^= draw.draw(st.integers(1, 255))
    assert verdict(Decoder(), bytes(message)) in ("frames", ErrorCode.PROTOCOL_ERROR)


@given(frames.filter(lambda frame: not isinstance(frame, Data)), st.data())
def test_a_truncated_message_is_refused(frame: Frame, draw: st.DataObject) -> None:
    """A message holds whole frames only, and the rest of one does not leak into the next."""
    message = encode(End(1)) + encode(frame)
    cut = draw.draw(st.integers(len(encode(End(1))) + 1, len(message) - 1))
    decoder = Decoder()
    with pytest.raises(RemoteProtocolError):
        decoder.decode(message[:cut])
    assert decoder.decode(encode(End(3))) == [End(3)]


@pytest.mark.parametrize("vector", read("refused.json"), ids=lambda vector: vector["name"])
def test_a_refused_message_leaves_nothing_behind(vector: dict[str, Any]) -> None:
    """Whatever was refused, the next message is read from its own first byte."""
    decoder = Decoder(200_000)
    with pytest.raises(RemoteProtocolError):
        decoder.decode(bytes.fromhex(vector["bytes"]))
    large = encode(Data(1, bytes(MAX_DATA_BYTES))) * 6
    assert len(decoder.decode(large)) == 6


def test_an_empty_message_is_refused() -> None:
    """A message carries at least one frame."""
    with pytest.raises(RemoteProtocolError):
        Decoder().decode(b"")


def test_a_decoder_goes_on_after_a_mistake_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was left of a message must not become a part of the next peer's."""

    def mistake(_fields: object) -> None:
        raise KeyError

    shared, message = shared_decoder(1000), encode(Ping(1)) + encode(Ping(2))
    with monkeypatch.context() as patch:
        patch.setattr(codec, "frame_of", mistake)
        with pytest.raises(KeyError):
            shared.decode(message)
    assert shared.decode(encode(Ping(3))) == [Ping(3)]


def test_peers_share_a_decoder_and_its_limit() -> None:
    """One for each size: it takes more memory than all else that belongs to an idle link."""
    assert shared_decoder(1000) is shared_decoder(1000)
    assert shared_decoder(1000) is not shared_decoder(2000)
    with pytest.raises(RemoteProtocolError):
        shared_decoder(1000).decode(bytes(1001))


def test_a_message_may_be_as_large_as_the_limit_and_no_larger() -> None:
    """The limit is exact, and going over it has its own code."""
    end = encode(End(1))
    decoder = Decoder(4 * len(end))
    assert decoder.decode(end * 4) == [End(1)] * 4
    with pytest.raises(RemoteProtocolError) as caught:
        decoder.decode(end * 5)
    assert caught.value.code is ErrorCode.LIMIT_EXCEEDED


def test_large_messages_can_follow_each_other() -> None:
    """Dropping the buffer after a large message does not disturb the next one."""
    frame = Data(1, bytes(MAX_DATA_BYTES))
    decoder = Decoder()
    for _ in range(3):
        assert decoder.decode(encode(frame) * 7) == [frame] * 7


@given(stream_ids, st.binary(min_size=1, max_size=300) | st.just(bytes(MAX_DATA_BYTES)))
def test_data_written_in_pieces_is_the_same_frame(stream_id: int, data: bytes) -> None:
    """The quick way to write DATA gives the bytes of the general one."""
    assert data_prefix(stream_id) + data_size(len(data)) + data == encode(Data(stream_id, data))


@pytest.mark.parametrize("count", [1, 255, 256, MAX_DATA_BYTES])
def test_data_sizes_at_their_borders(count: int) -> None:
    """Both forms of a msgpack binary are written where they belong."""
    assert data_prefix(1) + data_size(count) + bytes(count) == encode(Data(1, bytes(count)))


@pytest.mark.parametrize(
    "frame",
    [
        Head(1, ResponseHead(200, (("Content-Type", "x"),))),
        Head(1, ResponseHead(200, (("a", "b\r\nc: d"),))),
        Head(1, ResponseHead(200, (("a", "\ud800"),))),
        Head(1, ResponseHead(100)),
        Head(0, ResponseHead(200)),
        Open(1, RequestHead("", "GET", "/")),
        Open(1, RequestHead("a", "GET", "/ HTTP/1.1")),
        Reset(1, ErrorCode.CANCEL, "x" * (MAX_TEXT_CHARS + 1)),
    ],
)
def test_what_the_peer_would_refuse_is_not_sent(frame: Frame) -> None:
    """One bad header of one exchange must not end the session of all others."""
    with pytest.raises(LocalProtocolError):
        encode(frame)


def test_the_largest_frame_fits_into_a_message() -> None:
    """No frame within the limits of its fields is too large to be sent."""
    widest = "\U0001f600"
    fill = MAX_HEADERS_CHARS - 2 * MAX_HEADER_COUNT + 1
    fields = (("a", widest * fill), *((("a", ""),) * (MAX_HEADER_COUNT - 1)))
    head = RequestHead(
        target=widest * MAX_NAME_CHARS,
        method="X" * MAX_METHOD_CHARS,
        path="/" * MAX_PATH_CHARS,
        headers=fields,
        principal=widest * MAX_TEXT_CHARS,
        client=widest * MAX_TEXT_CHARS,
        kind=ExchangeKind.TRANSPARENT,
    )
    encoded = encode(Open(MAX_STREAM_ID, head))
    assert len(encoded) <= MAX_MESSAGE_BYTES
    assert Decoder().decode(encoded) == [Open(MAX_STREAM_ID, head)]


def test_the_end_of_a_stream_is_its_end_frame() -> None:
    for stream_id in (1, 127, 128, 2**31 - 1):
        assert end_of(stream_id) == encode(End(stream_id))
