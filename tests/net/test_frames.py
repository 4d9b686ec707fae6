"""Messages as frames: what is written is read, however it is cut, and nothing else is taken."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.net import frames
from mcptunnel.net.frames import MessageReader, head_of, masked
from tests.net.links import frame

MOST_BYTES = 1 << 20
SIZES = (1, 4, 125, 126, 127, 256, 257, 65_535, 65_536, 200_000)


def reader(*, are_masked: bool = True) -> MessageReader:
    return MessageReader(are_masked=are_masked, max_message_bytes=MOST_BYTES)


def payload(size: int) -> bytes:
    return bytes(number * 7 % 251 for number in range(size))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("compiled", [True, False])
def test_what_is_written_is_read(
    size: int, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way to state a length, masked and not, with and without Autobahn's compiled part."""
    if not compiled:
        monkeypatch.setattr(frames, "lib", None)
    message = payload(size)
    written = masked(message)
    assert message not in written or size < 4
    assert reader().read(written) == ([message], b"")
    assert reader(are_masked=False).read(head_of(size) + message) == ([message], b"")


def test_every_frame_has_a_key_of_its_own() -> None:
    """RFC 6455, section 5.3: the key must not be foreseeable."""
    assert len({masked(b"the same")[2:6] for _ in range(20)}) > 10


@given(st.lists(st.binary(min_size=1, max_size=700), max_size=8), st.data(), st.booleans())
def test_cuts_do_not_matter(messages: list[bytes], data: st.DataObject, are_masked: bool) -> None:
    """Messages come out whole and in order wherever the network cuts."""
    whole = b"".join(
        masked(message) if are_masked else head_of(len(message)) + message for message in messages
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=10)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    taking, found = reader(are_masked=are_masked), []
    for piece in pieces:
        read, rest = taking.read(piece)
        found += read
        assert rest == b""
    assert found == messages
    assert not taking.is_within


@pytest.mark.parametrize(
    "other",
    [
        frame(9, b"ping"),
        frame(8, b""),
        frame(1, b"text"),
        frame(0, b"continued"),
        frame(2, b""),
        frame(2, b"not masked", mask=None),
        bytes([0x02]) + frame(2, b"first of more")[1:],
        bytes([0xC2]) + frame(2, b"reserved bit")[1:],
        b"\x82\xfe\x00\x7d",  # 125 in two bytes
        b"\x82\xff" + (65_535).to_bytes(8, "big"),
        b"\x82\xff" + (MOST_BYTES + 1).to_bytes(8, "big"),
        b"\x82\xff" + b"\xff" * 8,
    ],
)
def test_other_frames_are_handed_back_from_their_first_byte(other: bytes) -> None:
    """Control frames, fragments, and all that breaks a rule, with everything behind it."""
    taking = reader()
    behind = other + masked(b"behind")
    assert taking.read(masked(b"before") + behind) == ([b"before"], behind)
    assert not taking.is_within


@pytest.mark.parametrize("cut", range(1, 6))
def test_other_frames_are_handed_back_even_if_their_head_was_cut(cut: int) -> None:
    """Nothing of what was held back is lost."""
    taking: Any = reader()
    other = b"\x82\xfe\x00\x7d" + b"keyx"
    read, rest = taking.read(other[:cut])
    if not rest:
        more, rest = taking.read(other[cut:])
        read += more
        assert rest == other
    assert read == []
    assert not taking.is_within


def test_an_unfinished_message_is_known() -> None:
    """Until it is complete nobody else may be given the bytes."""
    taking = reader()
    written = masked(b"message")
    for cut in range(1, len(written)):
        taking = reader()
        assert taking.read(written[:cut]) == ([], b"")
        assert taking.is_within
    assert taking.read(written[-1:]) == ([b"message"], b"")
