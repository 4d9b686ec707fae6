"""Event streams: the standard's rules, the same events whatever the chunks, and the limit."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.mcp import sse
from mcptunnel.mcp.sse import Event, EventTooLarge, Parser

LIMIT = 1000
line_ends = st.sampled_from([b"\n", b"\r", b"\r\n"])
lines = st.one_of(
    st.sampled_from([b"", b"", b"data", b"data:", b"data: ", b":", b": ping", b"\xef\xbb\xbf", b"retry: 5", b"id", b"id:\0", b"event: message", b"x: y"]),
    st.builds(
        lambda name, gap, value: name + b":" + gap + value.translate(None, b"\r\n"),
        st.sampled_from([b"data", b"event", b"id", b"retry", b"other", b""]),
        st.sampled_from([b"", b" ", b"  "]),
        st.binary(max_size=12),
    ),
)  # fmt: skip
streams = st.one_of(
    st.lists(st.tuples(lines, line_ends).map(b"".join)).map(b"".join),
    st.lists(st.binary(max_size=9).map(sse.encode)).map(b"".join),
    st.lists(st.binary(max_size=9).map(sse.encode) | st.tuples(lines, line_ends).map(b"".join)).map(
        b"".join
    ),
    st.binary(max_size=60),
)


def chunked(stream: bytes, cuts: list[int]) -> list[bytes]:
    """Cut a stream at the given places."""
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[a:b] for a, b in itertools.pairwise(places)]


def read(chunks: list[bytes], limit_bytes: int = LIMIT) -> tuple[list[Event], bool]:
    """Read all chunks: the events, and whether the limit was hit."""
    parser, events = Parser(limit_bytes), list[Event]()
    for chunk in chunks:
        try:
            events += parser.feed(chunk)
        except EventTooLarge as error:
            return events + error.events, True
    return events, False


def naive(stream: bytes) -> list[Event]:
    """Read a whole stream, written down after the standard and without any care for speed."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events, last_id, retry, kind, data = list[Event](), None, None, b"", list[bytes]()
    for line in text.split(b"\n")[:-1]:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if data:
                events.append(
                    Event(
                        kind.decode(errors="replace") or "message", b"\n".join(data), last_id, retry
                    )
                )
                retry = None
            kind, data = b"", []
        elif name == b"data":
            data.append(value)
        elif name == b"event":
            kind = value
        elif name == b"id" and b"\0" not in value:
            last_id = value.decode(errors="replace")
        elif name == b"retry" and value.isdigit() and len(value) < 10:
            retry = int(value)
    return events


@given(streams, st.lists(st.integers(0, 10_000), max_size=20))
def test_any_chunking_gives_the_events_of_the_standard(stream: bytes, cuts: list[int]) -> None:
    assert read(chunked(stream, cuts), 10**6) == (naive(stream), False)


@given(streams)
def test_byte_by_byte_gives_the_same(stream: bytes) -> None:
    assert read([stream[i : i + 1] for i in range(len(stream))])[0] == read([stream])[0]


@given(streams, st.lists(st.integers(0, 10_000), max_size=9), st.integers(0, 30))
def test_the_limit_falls_at_the_same_event_whatever_the_chunks(
    stream: bytes, cuts: list[int], limit_bytes: int
) -> None:
    assert read(chunked(stream, cuts), limit_bytes) == read([stream], limit_bytes)


@given(
    st.lists(st.binary()), st.sampled_from(["message", "endpoint"]), st.lists(st.integers(0, 999))
)
def test_what_is_written_is_read_back(datas: list[bytes], kind: str, cuts: list[int]) -> None:
    stream = b"".join(sse.encode(data, kind) + sse.COMMENT for data in datas)
    same = [data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") for data in datas]
    assert read(chunked(stream, cuts), 10**6)[0] == [Event(kind, data) for data in same]


def test_the_usual_event_is_written_in_the_usual_way() -> None:
    assert sse.encode(b'{"a":1}') == b'event: message\ndata: {"a":1}\n\n'
    assert sse.encode(b"/x", "endpoint") == b"event: endpoint\ndata: /x\n\n"
    assert sse.encode(b"a\r\nb\rc\nd") == b"event: message\ndata: a\ndata: b\ndata: c\ndata: d\n\n"


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [Event("message", b"a")]),
        (b"data:a\ndata\ndata:  b\n\n", [Event("message", b"a\n\n b")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event("message", b"a")]),
        (b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", [Event("message", b) for b in (b"a", b"b", b"c")]),
        (b"event: x\n\ndata: a\n\n", [Event("message", b"a")]),
        (b"event: x\ndata: a\n\ndata: b\n\n", [Event("x", b"a"), Event("message", b"b")]),
        (b"id: 7\ndata:\n\ndata: b\n\n", [Event("message", b"", "7"), Event("message", b"b", "7")]),
        (b"id: 7\ndata: a\n\nid\ndata: b\n\n", [Event("message", b"a", "7"), Event("message", b"b", "")]),
        (b"id: a\0b\ndata: a\n\n", [Event("message", b"a")]),
        (b"retry: 10\ndata: a\n\ndata: b\n\n", [Event("message", b"a", None, 10), Event("message", b"b")]),
        (b"retry: 10\n\ndata: a\n\n", [Event("message", b"a", None, 10)]),
        (b"retry: 1x\nretry: 9999999999\ndata: a\n\n", [Event("message", b"a")]),
        (b": ping\n\n:\n\n", []),
        (b"data: cut off", []),
        (b"data: cut off\n", []),
        (b" data: a\nDATA: b\n\n", []),
    ],
)  # fmt: skip
def test_the_rules_of_the_standard(stream: bytes, events: list[Event]) -> None:
    assert read([stream]) == (events, False)
    assert read([stream[i : i + 1] for i in range(len(stream))]) == (events, False)


def test_an_event_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    parser = Parser(10)
    assert parser.feed(b"data: 6789\n\n") == [Event("message", b"6789")]
    with pytest.raises(EventTooLarge) as caught:
        parser.feed(b"data: a\n\ndata: 67890\n\n")
    assert caught.value.events == [Event("message", b"a")]


@pytest.mark.parametrize("piece", [b"data: 12\n", b"data\n", b"data: ", b": no end", b"x"])
def test_an_event_that_never_ends_is_stopped_at_the_limit(piece: bytes) -> None:
    assert read([piece] * 101, 100) == ([], True)


def test_comments_between_events_never_add_up() -> None:
    parser = Parser(20)
    for _ in range(100):
        assert parser.feed(b": ping\n") == []
        assert parser.feed(sse.COMMENT) == []
    assert parser.feed(b"data: a\n\n") == [Event("message", b"a")]


def boundaries(chunks: list[bytes]) -> list[bool]:
    """Tell after which chunks a comment may stand."""
    boundary, found = sse.Boundary(), list[bool]()
    for chunk in chunks:
        boundary.passed(chunk)
        found.append(boundary.is_reached)
    return found


@given(streams.filter(lambda stream: not stream.startswith(b"\xef")), st.data())
def test_comments_at_boundaries_change_no_event(stream: bytes, data: st.DataObject) -> None:
    """Wherever the stream is cut, and however its lines end."""
    chunks = chunked(stream, data.draw(st.lists(st.integers(0, 10_000), max_size=20)))
    commented = [sse.COMMENT]
    for chunk, may_stand in zip(chunks, boundaries(chunks), strict=True):
        commented += [chunk, sse.COMMENT] if may_stand else [chunk]
    assert naive(b"".join(commented)) == naive(stream)


@given(st.lists(st.tuples(lines, line_ends), max_size=9), st.lists(st.integers(0, 999)))
def test_no_boundary_is_within_an_event(parts: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    """What follows a boundary reads the same without all that came before it, but for the last id."""
    stream = b"".join(line + end for line, end in parts)
    chunks = chunked(stream, cuts)
    for number, may_stand in enumerate(boundaries(chunks), 1):
        if may_stand:
            after = b"".join(chunks[number:])
            late = naive(b":\n" + after)
            last = naive(stream)[len(naive(stream)) - len(late) :]
            assert [(one.type, one.data) for one in late] == [(one.type, one.data) for one in last]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_usual_end_of_an_event_is_a_boundary(end: bytes) -> None:
    event = b"event: x" + end + b"data: y" + end
    assert boundaries([b""]) == [True]
    assert boundaries([event, end]) == [False, True]
    assert boundaries([event + end]) == [True]
    assert boundaries([event, end, event[:1]]) == [False, True, False]
    single = [bytes([byte]) for byte in event + end]
    assert boundaries(single) == [False] * (len(single) - 1) + [True]


def test_half_a_line_end_is_no_boundary() -> None:
    assert boundaries([b"data: x\r\n\r", b"\n"]) == [False, True]
    assert boundaries([b"data: x\n", b"\r", b"\n"]) == [False, False, True]
    assert boundaries([b"data: x\r\n"]) == [False]
    assert boundaries([b"data: x\r", b"\n"]) == [False, False]
