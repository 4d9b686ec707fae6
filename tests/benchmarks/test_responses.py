"""The reader finds the end of every response, however its bytes are cut."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.responses import ResponseReader

BODY = b'{"jsonrpc":"2.0","id":1000000001,"result":{"content":[]}}'
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)
EVENT = b"event: message\ndata: %b\n\n" % BODY
STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (EVENT, EVENT[:9], EVENT[9:]))
    + b"0\r\n\r\n"
)
EMPTY = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nMcp-Session-Id: Abc\r\n\r\n"


def cuts(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """Give all ways to cut some bytes into pieces that are not empty."""

    def cut(at: set[int]) -> list[bytes]:
        stops = [0, *sorted(at), len(data)]
        return [data[start:stop] for start, stop in pairwise(stops)]

    return st.sets(st.integers(1, len(data) - 1), max_size=8).map(cut)


def read(pieces: list[bytes]) -> ResponseReader:
    """Feed the pieces; the last one, and no other, must complete the response."""
    reader = ResponseReader()
    done = [reader.feed(piece, float(number)) for number, piece in enumerate(pieces, 1)]
    assert done == [False] * (len(pieces) - 1) + [True]
    return reader


@given(cuts(PLAIN))
def test_a_body_of_known_length(pieces: list[bytes]) -> None:
    reader = read(pieces)
    assert (reader.status, reader.body_bytes, reader.events) == (200, len(BODY), 0)
    assert reader.is_answer_to(b"1000000001", len(BODY))
    assert not reader.is_answer_to(b"1000000002", 0)
    assert not reader.is_answer_to(b"1000000001", len(BODY) + 1)


@given(cuts(STREAM))
def test_an_event_stream_in_chunks(pieces: list[bytes]) -> None:
    reader = read(pieces)
    assert (reader.body_bytes, reader.events) == (2 * len(EVENT), 2)
    assert reader.is_answer_to(b"1000000001", 0)
    assert 0 < reader.first_event_s <= len(pieces)


@given(cuts(EMPTY))
def test_an_empty_response_with_a_session(pieces: list[bytes]) -> None:
    reader = read(pieces)
    assert (reader.status, reader.session, reader.body_bytes) == (202, "Abc", 0)


def test_an_error_is_no_answer() -> None:
    error = PLAIN.replace(b'"result":{"', b'"result":{"isError":true,"', 1)
    error = error.replace(b": %d" % len(BODY), b": %d" % (len(BODY) + len('"isError":true,')))
    assert not read([error]).is_answer_to(b"1000000001", 0)
    assert not read([PLAIN.replace(b"200 OK", b"503 Bad")]).is_answer_to(b"1000000001", 0)
