from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.model import Headers, ResponseHead
from mcptunnel.net.http1.parser import (
    MAX_CHUNK_LINE_BYTES,
    MAX_HEAD_BYTES,
    MAX_INTERIM_RESPONSES,
    End,
    Event,
    ResponseError,
    ResponseParser,
)

OK = b"HTTP/1.1 200 OK\r\n"


def parse(*parts: bytes, method: str = "POST", eof: bool = False) -> list[Event]:
    parser = ResponseParser(method)
    events = [event for part in parts for event in parser.feed(part)]
    return events + (parser.feed_eof() if eof else [])


def verdict(*parts: bytes, method: str = "POST") -> tuple[Any, ...]:
    """The head, the whole body and the end; or that it was refused."""
    try:
        events = parse(*parts, method=method, eof=True)
    except ResponseError:
        return ("refused",)
    body = b"".join(event for event in events if isinstance(event, bytes))
    return (*(event for event in events if not isinstance(event, bytes)), body)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(c % (len(data) + 1) for c in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def head(status: int = 200, *headers: tuple[str, str]) -> ResponseHead:
    return ResponseHead(status, headers)


def test_a_body_with_a_length() -> None:
    assert parse(OK + b"Content-Length: 5\r\nX-A:  b \t\r\n\r\nhello") == [
        head(200, ("content-length", "5"), ("x-a", "b")),
        b"hello",
        End(reusable=True),
    ]


def test_everything_in_one_read_is_one_piece() -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in [b"a" * 10, b"b", b"c" * 300])
    events = parse(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert events[1:] == [b"a" * 10 + b"b" + b"c" * 300, End(reusable=True)]


def test_a_stream_is_passed_on_as_it_comes() -> None:
    parser = ResponseParser("POST")
    assert len(parser.feed(OK + b"Transfer-Encoding: chunked\r\n\r\n")) == 1
    assert parser.feed(b"5\r\nda") == [b"da"]
    assert parser.feed(b"ta:\r") == [b"ta:"]
    assert parser.feed(b"\n") == []
    assert parser.feed(b"00000002;name=x\r\n\n\n\r\n1\r\n!\r\n0\r\n") == [b"\n\n!"]
    assert parser.feed(b"Trailer: ignored\r\n\r\n") == [End(reusable=True)]


def test_a_body_until_the_connection_ends() -> None:
    assert parse(OK + b"\r\nabc", b"def", eof=True) == [
        head(),
        b"abc",
        b"def",
        End(reusable=False),
    ]


def test_informational_responses_are_skipped() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    assert parse(early + OK + b"Content-Length: 0\r\n\r\n") == [
        head(200, ("content-length", "0")),
        End(reusable=True),
    ]


def test_informational_responses_without_end_are_refused() -> None:
    """However they are cut: a server that sends nothing else would keep us busy for ever."""
    early = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    most = [early] * MAX_INTERIM_RESPONSES
    assert parse(*most, OK + b"Content-Length: 0\r\n\r\n")[-1] == End(reusable=True)
    for pieces in ([*most, early], [b"".join(most) + early]):
        with pytest.raises(ResponseError, match="more than 16 responses with status 1xx"):
            parse(*pieces)


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("HEAD", 500)]
)
def test_responses_without_a_body(method: str, status: int) -> None:
    data = b"HTTP/1.1 %d \r\nContent-Length: 50\r\n\r\n" % status
    assert parse(data, method=method)[1:] == [End(reusable=True)]


@pytest.mark.parametrize(
    ("data", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, Close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0, 0\r\nContent-Length: 0\r\n\r\n", True),
    ],
)
def test_whether_a_connection_can_be_used_again(data: bytes, reusable: bool) -> None:
    assert parse(data)[-1] == End(reusable=reusable)


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 99 x\r\n\r\n",
        b"HTTP/1.1 2000 x\r\n\r\n",
        b"HTTP/1.1  200 x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        OK + b"A : b\r\n\r\n",
        OK + b": b\r\n\r\n",
        OK + b"A: b\r\n folded\r\n\r\n",
        OK + b" A: b\r\n\r\n",
        OK + b"A: b\nB: c\r\n\r\n",
        OK + b"A: b\rB: c\r\n\r\n",
        OK + b"A: \0\r\n\r\n",
        b"HTTP/1.1 200 OK\n\nabc",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        OK + b"Content-Length: 5, 6\r\n\r\nhello!",
        OK + b"Content-Length: +5\r\n\r\nhello",
        OK + b"Content-Length: 0x5\r\n\r\nhello",
        OK + b"Content-Length: \r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + "Content-Length: \u00b2\r\n\r\n".encode("latin-1"),
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: identity\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n1_0\r\na\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n 1\r\na\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\na\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 16 + b"\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nbad trailer\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * MAX_CHUNK_LINE_BYTES,
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n",
        OK + b"A: " + b"x" * MAX_HEAD_BYTES,
        OK + b"A: b\r\n" * 201 + b"\r\n",
        OK + b"Content-Length: 5\r\n\r\nhello!",
        OK + b"Content-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nx",
    ],
)
def test_what_is_odd_is_refused(data: bytes) -> None:
    with pytest.raises(ResponseError):
        parse(data)
    assert verdict(*cut(data, list(range(len(data))))[:4000]) == ("refused",)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 O",
        OK + b"Content-Length: 5\r\n\r\nhell",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_a_response_that_is_cut_off_is_refused(data: bytes) -> None:
    assert verdict(data) == ("refused",)


def test_nothing_may_follow_the_end() -> None:
    parser = ResponseParser("GET")
    parser.feed(OK + b"Content-Length: 0\r\n\r\n")
    assert parser.feed_eof() == []
    with pytest.raises(ResponseError):
        parser.feed(b"x")


NAMES = st.sampled_from(["x-a", "Content-Type", "mcp-session-id", "Date"])
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF), max_size=8).map(
    lambda text: "".join(char for char in text if not 0x7F <= ord(char) < 0xA1)
)


@st.composite
def responses(draw: st.DrawFn) -> tuple[bytes, Headers, bytes]:
    """Give a valid response, and the fields and the body in it."""
    fields = draw(st.lists(st.tuples(NAMES, VALUES), max_size=5))
    pieces = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
    body = b"".join(pieces)
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    if framing == "length":
        fields.append(("Content-Length", str(len(body))))
        payload = body
    elif framing == "chunked":
        fields.append(("Transfer-Encoding", "chunked"))
        extension = draw(st.sampled_from([b"", b";a=b", b" ; a"]))
        trailer = draw(st.sampled_from([b"", b"T: 1\r\n"]))
        chunks = [b"%X%s\r\n%s\r\n" % (len(one), extension, one) for one in pieces]
        payload = b"".join(chunks) + b"0\r\n" + trailer + b"\r\n"
    else:
        payload = body
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    early = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    data = early + OK + lines.encode("latin-1") + b"\r\n" + payload
    return data, tuple((name.lower(), value) for name, value in fields), body


@given(responses(), st.lists(st.integers(0, 1000), max_size=30))
def test_any_chunking_gives_the_same(
    response: tuple[bytes, Headers, bytes], cuts: list[int]
) -> None:
    data, headers, body = response
    got = verdict(*cut(data, cuts))
    assert got == verdict(data)
    assert (got[0], got[2]) == (ResponseHead(200, headers), body)


@given(responses(), st.integers(0, 1000), st.binary(max_size=3), st.lists(st.integers(0, 1000)))
def test_damage_gives_events_or_a_refusal_whatever_the_chunking(
    response: tuple[bytes, Headers, bytes], at: int, damage: bytes, cuts: list[int]
) -> None:
    data = response[0]
    at %= len(data)
    data = data[:at] + damage + data[at + len(damage) :]
    assert verdict(*cut(data, cuts)) == verdict(data)


@given(st.lists(st.binary(max_size=30), max_size=10), st.sampled_from([b"", b"HTTP/1.1 200 \r\n"]))
def test_any_bytes_give_events_or_a_refusal(parts: list[bytes], start: bytes) -> None:
    assert verdict(start, *parts) == verdict(start + b"".join(parts))
