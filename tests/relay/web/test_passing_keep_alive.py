"""Comments in the streams of single servers: only while a link is held, and only between events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.mcp import sse
from tests.relay.web.site import HELD_S, Connection, hold_link
from tests.relay.web.transparent_site import TransparentSite

STREAM = ("content-type", "text/event-stream")
PIECES = (b"data: 1\n\n", b"data", b": 2\r\n", b"\r", b"\n", b"data: 3\r", b"\r", b"id: 4\n", b"\n")


def waiting(*fields: tuple[str, str]) -> tuple[TransparentSite, Connection]:
    """Return a site, and a client's stream of which nothing has come."""
    site = TransparentSite()
    connection = site.begin("GET")
    site.last.answer(200, *(fields or (STREAM,)))
    site.settle()
    return site, connection


def test_a_quiet_server_is_its_own_affair() -> None:
    site, connection = waiting()
    site.joined.wait_s(100)
    assert connection.answer.body == b""


def test_a_stream_that_is_held_is_kept_alive() -> None:
    site, connection = waiting()
    site.last.send(b"data: 1\n\n")
    site.joined.wait_s(30)
    hold_link(site.joined, site.agent, HELD_S - 0.1)
    site.last.send(b"data: 2\n\n")
    site.settle()
    assert connection.answer.body == b"data: 1\n\n" + sse.COMMENT + b"data: 2\n\n"
    site.last.end()
    site.joined.wait_s(100)
    assert connection.answer.is_complete
    assert connection.answer.body.count(sse.COMMENT) == 1


@pytest.mark.parametrize(
    ("fields", "data"),
    [
        ((STREAM,), b"data: 1\n"),
        ((STREAM,), b"data: 1"),
        ((STREAM, ("content-encoding", "gzip")), b"zip\n\n"),
        ((STREAM, ("content-length", "40")), b"data: 1\n\n"),
        ((("content-type", "application/json"),), b"{}\n\n"),
    ],
    ids=["within an event", "within a line", "encoded", "framed", "other"],
)
def test_elsewhere_there_is_no_place(fields: tuple[tuple[str, str], ...], data: bytes) -> None:
    site, connection = waiting(*fields)
    site.last.send(data)
    site.joined.wait_s(30)
    hold_link(site.joined, site.agent, HELD_S - 0.1)
    assert connection.answer.body == data


def test_a_full_connection_gets_no_comments() -> None:
    site, connection = waiting()
    connection.slow_down()
    site.joined.wait_s(30)
    hold_link(site.joined, site.agent, HELD_S - 0.1)
    assert connection.answer.body == b""


def test_an_empty_answer_stays_empty() -> None:
    site = TransparentSite()
    connection = site.begin("POST")
    site.last.answer(204, STREAM)
    site.settle()
    site.joined.wait_s(30)
    hold_link(site.joined, site.agent, HELD_S - 0.1)
    assert connection.answer.body == b""


@given(
    st.lists(
        st.tuples(st.sampled_from(PIECES), st.sampled_from([0.0, 4.0, HELD_S - 0.1])), max_size=12
    )
)
def test_without_the_comments_all_bytes_are_the_servers(
    steps: list[tuple[bytes, float]],
) -> None:
    """However the stream is cut, and wherever the link is lost; and no event becomes another."""
    site, connection = waiting()
    site.joined.wait_s(30)
    for piece, held_s in steps:
        site.last.send(piece)
        site.settle()
        if held_s:
            hold_link(site.joined, site.agent, held_s)
    site.last.end()
    site.settle()
    sent = b"".join(piece for piece, _ in steps)
    assert connection.answer.is_complete
    assert connection.answer.body.replace(sse.COMMENT, b"") == sent
    whole = sse.Parser(10**6).feed(connection.answer.body)
    assert whole == sse.Parser(10**6).feed(sent)
