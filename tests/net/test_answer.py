"""How answers are read: whole ones, pieces, refusals, and any bytes at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.net.answer import MAX_REFUSAL_BYTES, AnswerReader, RefusalReader
from mcptunnel.net.errors import ConnectFailed, UpgradeRefused, printable


def read(head: str, *pieces: bytes) -> tuple[list[bool], UpgradeRefused]:
    """Read an answer in pieces; return what each said, and the result."""
    reader = RefusalReader(503, f"HTTP/1.1 503 No\r\n{head}".encode())
    return [reader.is_complete_with(piece) for piece in pieces], reader.error()


def test_a_body_of_known_length() -> None:
    """Complete as soon as it is; what follows is not its."""
    assert read("content-length: 4", b"", b"bus", b"y!!")[0] == [False, False, True]
    assert read("Content-Length:4", b"busy!!")[1].body_text == "busy"
    assert read("content-length: 0", b"")[0] == [True]


def test_a_chunked_body() -> None:
    """Complete at its last chunk, and without the sizes."""
    complete, refusal = read(
        "Transfer-Encoding: chunked", b"3\r\nbus\r\n1;x=", b"y\r\ny\r\n", b"0\r\n\r\n"
    )
    assert complete == [False, False, True]
    assert refusal.body_text == "busy"


def test_an_endless_body_is_cut() -> None:
    """However it is framed."""
    piece = b"x" * (MAX_REFUSAL_BYTES + 1)
    for head in ("", "content-length: 999999999", "content-length: -1"):
        complete, refusal = read(head, piece)
        assert complete == [True]
        assert len(refusal.body_text) == MAX_REFUSAL_BYTES
    assert read("transfer-encoding: chunked", piece)[0] == [True]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("retry-after: 30", 30.0),
        ("retry-after: 0", 0.0),
        ("retry-after: -1", None),
        ("retry-after: soon", None),
        ("", None),
        (
            "Retry-After: Fri, 20 Nov 2026 10:01:30 GMT\r\nDate: Fri, 20 Nov 2026 10:00:00 GMT",
            90.0,
        ),
        ("Retry-After: Fri, 20 Nov 2026 09:00:00 GMT\r\nDate: Fri, 20 Nov 2026 10:00:00 GMT", 0.0),
        ("Retry-After: Fri, 20 Nov 2026 10:01:30 GMT", None),
        (
            "Retry-After: Fri, 20 Nov 2026 10:01:30 GMT\r\nDate: Fri, 20 Nov 2026 10:00:00 -0000",
            None,
        ),
    ],
)
def test_retry_after(head: str, expected: float | None) -> None:
    """Seconds, or a date against the server's own; anything else is not heeded."""
    assert read(head)[1].retry_after_s == expected


@given(st.text(), st.lists(st.binary()))
def test_any_answer_can_be_read(head: str, pieces: list[bytes]) -> None:
    """No bytes break the reader, and the text is always fit for a terminal."""
    refusal = read(f"transfer-encoding: chunked\r\n{head}", *pieces)[1]
    assert refusal.body_text == printable(refusal.body_text)
    assert str(refusal).isprintable()


def outcome(pieces: list[bytes]) -> str | bytes:
    """Read an answer in pieces; return its error, or what was accepted with all behind it."""
    reader, accepted = AnswerReader("relay.test:80"), b""
    try:
        for piece in pieces:
            if accepted:
                accepted += piece
            else:
                accepted = reader.accepted_with(piece) or b""
    except (ConnectFailed, UpgradeRefused) as error:
        return str(error)
    return accepted


STARTS = [
    b"",
    b"HTTP/1.1 101 Yes\r\n",
    b"HTTP/1.1 404 No\r\nContent-Length: 3\r\n",
    b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 101 Yes\r\n",
]


@given(st.sampled_from(STARTS), st.lists(st.binary(max_size=20)), st.integers(1, 20))
def test_any_cut_of_an_answer_reads_the_same(start: bytes, rest: list[bytes], size: int) -> None:
    """Where it is cut does not matter, and nothing but the two errors is raised."""
    whole = start + b"\r\n".join(rest)
    assert outcome([whole]) == outcome([whole[i : i + size] for i in range(0, len(whole), size)])
