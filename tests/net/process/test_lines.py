from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.net.process.lines import LogLines, MessageLines

BYTES = st.binary(max_size=60).map(lambda b: b.replace(b"\x01", b"\n").replace(b"\x02", b"\r"))


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(c % (len(data) + 1) for c in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def messages(parts: list[bytes], max_bytes: int = 1000) -> tuple[list[bytes], bool]:
    lines = MessageLines(max_bytes)
    got = [line for part in parts for line in lines.feed(part)]
    return got + lines.finish(), lines.overflow


@given(BYTES, st.lists(st.integers(0, 60)))
def test_lines_do_not_depend_on_how_the_bytes_were_cut(data: bytes, cuts: list[int]) -> None:
    whole = [piece.removesuffix(b"\r") for piece in data.split(b"\n")]
    last = data.split(b"\n")[-1]
    expected = [line for line in whole[:-1] if line] + ([last] if last else [])
    assert messages(cut(data, cuts)) == (expected, False)


@given(BYTES, st.lists(st.integers(0, 60)), st.integers(1, 20))
def test_an_overlong_line_ends_the_stream_wherever_it_was_cut(
    data: bytes, cuts: list[int], max_bytes: int
) -> None:
    assert messages(cut(data, cuts), max_bytes) == messages([data], max_bytes)
    assert messages([data], max_bytes)[1] == any(
        len(line) > max_bytes for line in data.split(b"\n")
    )


def test_lines_before_an_overlong_one_are_kept() -> None:
    assert messages([b"a\nbbbbb\nc\n"], 3) == ([b"a"], True)


def test_a_huge_line_is_held_in_the_pieces_that_came() -> None:
    lines = MessageLines(1 << 30)
    piece = b"x" * 65_536
    for _ in range(256):
        assert lines.feed(piece) == []
    assert lines._parts == [piece] * 256
    assert lines.feed(b"y\n") == [piece * 256 + b"y"]
    assert lines.feed(b"z\n") == [b"z"]


@given(BYTES, st.lists(st.integers(0, 60)), st.integers(1, 8))
def test_log_lines_are_bounded_and_lose_nothing(
    data: bytes, cuts: list[int], max_bytes: int
) -> None:
    ascii_only = bytes(b & 0x7F for b in data).replace(b"\r", b"")
    lines = LogLines(max_bytes)
    got = [text for part in cut(ascii_only, cuts) for text in lines.feed(part)]
    got += lines.finish()
    assert all(0 < len(text) <= max_bytes for text in got)
    assert "".join(got).encode() == ascii_only.replace(b"\n", b"")


def test_log_text_that_is_not_utf8_is_replaced() -> None:
    assert list(LogLines(100).feed(b"caf\xe9\r\nok\n")) == ["caf\ufffd", "ok"]
