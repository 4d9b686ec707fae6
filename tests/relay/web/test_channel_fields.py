"""Heads are read by a short way; it comes to the same as that of the framework."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.web.http import HTTPChannel

from mcptunnel.model import Headers
from mcptunnel.relay.web.channel import DEADLINE_S, RelayChannel
from mcptunnel.relay.web.request import RelayRequest
from tests.relay.web.site import MemorySite

LINES = (
    b"Host: relay.test",
    b"host:relay.test",
    b"HOST : relay.test",
    b"Content-Type: application/json",
    b"content-type:\tapplication/json \t",
    b"MCP-Session-Id: a, b",
    b"Mcp-Session-Id: \xe9",
    b"Accept: a\x00b",
    b"Accept: a\rb",
    b"Accept: a\nb",
    b"Accept: \x7f",
    b"accept:",
    b"User-Agent:::",
    b"Content-Length: 3",
    b"Content-Length: 03",
    b"content-length: +3",
    b"content-length: " + b"0" * 18 + b"3",
    b"Content-Length: 4",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity",
    b"Connection: close",
    b"X-Vendor: 1",
    b"no colon",
    b": no name",
    b" folded",
    b"\tfolded",
    b"Origin: " + b"x" * 9000,
    b"Mcp-Name: " + b"y" * 8000,
)
STARTS = (
    b"POST /mcp HTTP/1.1",
    b"GET /nowhere HTTP/1.0",
    b"\r\nGET / HTTP/1.1",
    b"nonsense",
    b" GET",
)
REST = (b"", b"abc", b"abc\r\n\r\n", b"\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n")


class LongWay(RelayChannel):
    """Reads every field as the framework does."""

    def _take_fields(self) -> None:
        """Leave them all to the framework."""

    def headerReceived(self, line: bytes) -> bool:
        return bool(HTTPChannel.headerReceived(self, line))


def read(channel: Any, pieces: Sequence[bytes]) -> tuple[list[Headers], list[bytes], bool]:
    """Return the fields of each request that was read, the status lines sent, and whether it ended."""
    site, found = MemorySite(), []
    site.site.protocol = channel

    class Noting(RelayRequest):
        def gotLength(self, length: int | None) -> None:
            found.append((("length", str(length)), *self.fields()))
            super().gotLength(length)

    plain: Any = site.site.requestFactory
    made: Any = lambda *args: Noting(*args, **plain.keywords)  # noqa: E731 - as short as it is
    site.site.requestFactory = made
    connection = site.connection()
    for piece in pieces:
        if not connection.is_lost:
            connection.send(piece)
    sent = connection.wire.value().split(b"\r\n")
    return found, [line for line in sent if line.startswith(b"HTTP/1.1 ")], connection.is_lost


def head(start: bytes, lines: Sequence[bytes]) -> bytes:
    return b"\r\n".join((start, *lines, b"", b""))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(STARTS),
            st.lists(st.sampled_from(LINES), max_size=6),
            st.sampled_from(REST),
        ),
        min_size=1,
        max_size=2,
    ),
    st.integers(1, 60),
)
def test_however_a_head_comes_it_is_read_alike(
    requests: list[tuple[bytes, list[bytes], bytes]], size: int
) -> None:
    """In one piece, in pieces, by the short way or the long: the same fields and the same answer."""
    data = b"".join(head(start, lines) + rest for start, lines, rest in requests)
    wanted = read(LongWay, [data])
    assert read(RelayChannel, [data]) == wanted
    if len(data) < 1000:
        cut = [data[at : at + size] for at in range(0, len(data), size)]
        assert read(RelayChannel, cut) == read(LongWay, cut)


@pytest.mark.parametrize("line", [b"Accept: a/b", b"X-Vendor: a"])
def test_there_are_no_more_fields_than_the_framework_takes(line: bytes) -> None:
    for count, status in ((499, b"404"), (500, b"400")):
        lines = [b"Host: relay.test", *([line] * count)]
        _, (answer,), _ = read(RelayChannel, [head(b"GET /nowhere HTTP/1.1", lines)])
        assert status in answer


def test_a_connection_has_one_timer_however_many_requests_it_has() -> None:
    site = MemorySite()
    connection = site.connection()
    before = len(site.joined.clock.getDelayedCalls())
    for _ in range(20):
        connection.send(head(b"GET /health HTTP/1.1", [b"Host: relay.test"]))
        site.joined.wait_s(1)
    assert len(site.joined.clock.getDelayedCalls()) == before
    assert len(connection.answers) == 20
    site.joined.wait_s(DEADLINE_S)
    assert connection.is_lost
    assert len(site.joined.clock.getDelayedCalls()) == before - 1


def test_a_lost_connection_leaves_no_timer() -> None:
    site = MemorySite()
    before = len(site.joined.clock.getDelayedCalls())
    connection = site.connection()
    connection.send(head(b"GET /health HTTP/1.1", [b"Host: relay.test"]))
    connection.hang_up()
    assert len(site.joined.clock.getDelayedCalls()) == before


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Length: " + b"9" * 19,
        b"Content-Length: " + b"0" * 5000 + b"3",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: chunked, identity",
    ],
)
@pytest.mark.parametrize("channel", [LongWay, RelayChannel])
def test_a_body_without_a_plain_end_is_refused(channel: Any, line: bytes) -> None:
    """More digits than Python reads are no error of ours; of other codings each reader thinks its own."""
    start = b"POST /mcp HTTP/1.1"
    _, (answer,), is_lost = read(channel, [head(start, [b"Host: relay.test", line]) + b"abc"])
    assert b"400" in answer
    assert is_lost
