"""Comments in event streams: when, where, and nowhere else."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from mcptunnel.mcp import sse
from mcptunnel.relay.web.keep_alive import INTERVAL_S, KeepAlive
from mcptunnel.testing.joined import MemoryAgent
from mcptunnel.testing.local_server import MemoryServer
from tests.conftest import LoggedFailures
from tests.relay.web.site import Connection, MemorySite
from tests.relay.web.transparent_site import TransparentSite

HELD_S = 10.0
"""A cut link is held for so long by the relay."""

STREAM = ("content-type", "text/event-stream")
PIECES = (b"data: 1\n\n", b"data", b": 2\r\n", b"\r", b"\n", b"data: 3\r", b"\r", b"id: 4\n", b"\n")


class Stream:
    """A stream that takes a comment whenever it may."""

    def __init__(self, clock: Clock, least: int = 2) -> None:
        self.was_heard = True
        self.comments_s: list[float] = []
        self._clock = clock
        self._least = least

    def keep_alive(self, quiet_sweeps: int) -> bool:
        if quiet_sweeps < self._least:
            return False
        self.comments_s.append(self._clock.seconds())
        return True


def test_a_quiet_stream_speaks_every_interval() -> None:
    clock = Clock()
    keep_alive = KeepAlive(clock)
    stream = Stream(clock)
    keep_alive.watch(stream)
    clock.pump([1.0] * 61)
    assert stream.comments_s == [15.0, 30.0, 45.0, 60.0]


def test_a_stream_that_ends_or_fails_as_it_speaks_costs_no_other(
    logged_failures: LoggedFailures,
) -> None:
    """One ends itself and another, a new one comes meanwhile, one fails: the rest go on."""
    clock = Clock()
    keep_alive = KeepAlive(clock)
    first, gone, last, new = (Stream(clock) for _ in range(4))

    class Ending(Stream):
        def keep_alive(self, _quiet_sweeps: int) -> bool:
            keep_alive.over(self)
            keep_alive.over(gone)
            keep_alive.watch(new)
            return True

    class Failing(Stream):
        def keep_alive(self, _quiet_sweeps: int) -> bool:
            raise ZeroDivisionError

    for stream in (first, Ending(clock), Failing(clock), gone, last):
        keep_alive.watch(stream)
    clock.pump([1.0] * 46)
    assert first.comments_s == last.comments_s == [15.0, 30.0, 45.0]
    assert gone.comments_s == []
    assert new.comments_s
    assert len(logged_failures.take(ZeroDivisionError)) == 1


@given(st.lists(st.floats(0.1, 40), min_size=1, max_size=10))
def test_no_stream_is_quiet_for_longer(pauses_s: list[float]) -> None:
    """Whenever something comes, and never sooner than two thirds of the interval after it."""
    clock = Clock()
    keep_alive = KeepAlive(clock)
    stream, other = Stream(clock), Stream(clock)
    keep_alive.watch(other)
    clock.advance(3)
    keep_alive.watch(stream)
    heard_s = [clock.seconds()]
    for pause_s in pauses_s:
        end_s = clock.seconds() + pause_s
        while clock.getDelayedCalls()[0].getTime() <= end_s:
            clock.advance(clock.getDelayedCalls()[0].getTime() - clock.seconds())
        clock.advance(max(0.0, end_s - clock.seconds()))
        stream.was_heard = True
        heard_s.append(clock.seconds())
    said_s = sorted([*heard_s, *stream.comments_s])
    assert all(b - a <= INTERVAL_S + 0.001 for a, b in itertools.pairwise(said_s))
    for comment_s in stream.comments_s:
        before_s = max(one for one in heard_s if one <= comment_s)
        assert comment_s - before_s > INTERVAL_S * 2 / 3 - 0.001


def test_nothing_is_left_once_all_streams_are_over() -> None:
    clock = Clock()
    keep_alive = KeepAlive(clock, 3.0)
    stream = Stream(clock)
    keep_alive.watch(stream)
    keep_alive.over(stream)
    keep_alive.over(stream)
    clock.advance(1)
    assert not clock.getDelayedCalls()
    keep_alive.watch(stream)
    keep_alive.stop()
    keep_alive.stop()
    assert not clock.getDelayedCalls()
    assert not stream.comments_s


# The hub.


def hold(site: MemorySite, agent: MemoryAgent, seconds: float) -> None:
    """Cut the link, let time pass, and take the session up again."""
    site.joined.cut(agent)
    site.joined.wait_s(seconds)
    site.joined.connect(agent)


def calls(
    accept: str = "application/json, text/event-stream",
) -> tuple[MemorySite, Connection, MemoryServer]:
    """Return a site, a call under way, and the server that is to answer it."""
    site, server = MemorySite(), MemoryServer("files", {"wait": None})
    site.joined.agent(server)
    params = {"name": "files__wait"}
    about = {"progressToken": 1}
    connection = site.client().modern("tools/call", params, about=about, accept=accept)
    return site, connection, server


def comments(connection: Connection) -> int:
    return connection.answer.body.count(sse.COMMENT)


def test_an_answer_that_takes_long_becomes_a_stream_with_comments() -> None:
    site, connection, server = calls()
    site.joined.wait_s(4.9)
    assert not connection.answers
    site.joined.wait_s(5.2)
    assert connection.answer.headers["content-type"] == "text/event-stream"
    assert comments(connection) == 1
    site.joined.wait_s(30)
    assert comments(connection) == 3
    server.calls[0].answer("done")
    site.joined.settle()
    answer = connection.answer
    assert answer.is_complete
    (event,) = answer.events
    assert event["result"]["content"][0]["text"] == "done"
    site.joined.wait_s(60)
    assert connection.answer.body == answer.body


def test_news_leave_no_room_for_comments() -> None:
    site, connection, server = calls()
    for step in range(20):
        server.calls[0].progress(step)
        site.joined.wait_s(4)
    assert len(connection.answer.events) == 20
    assert comments(connection) == 0


def test_a_call_is_kept_alive_while_its_tunnel_is_held() -> None:
    """The client sees nothing else."""
    site, server = MemorySite(), MemoryServer("files", {"wait": None})
    agent = site.joined.agent(server)
    about = {"progressToken": 1}
    connection = site.client().modern("tools/call", {"name": "files__wait"}, about=about)
    server.calls[0].progress(1)
    site.joined.wait_s(6)
    hold(site, agent, HELD_S - 0.1)
    assert comments(connection) == 1
    server.calls[0].answer("done")
    site.joined.settle()
    assert len(connection.answer.events) == 2
    assert connection.answer.is_complete


def test_a_client_that_takes_no_streams_waits_in_silence() -> None:
    site, connection, server = calls("application/json")
    site.joined.wait_s(60)
    assert not connection.answers
    server.calls[0].answer("done")
    site.joined.settle()
    assert connection.answer.json["result"]["content"][0]["text"] == "done"


def test_a_client_that_does_not_read_gets_no_comments() -> None:
    site, connection, server = calls()
    server.calls[0].progress(1)
    site.joined.settle()
    connection.slow_down()
    before = connection.wire.value()
    site.joined.wait_s(60)
    assert connection.wire.value() == before
    connection.go_on()
    site.joined.wait_s(15)
    assert comments(connection) == 1


@pytest.mark.parametrize("version", ["modern", "legacy"])
def test_a_client_that_is_gone_gets_nothing(version: str) -> None:
    site, server = MemorySite(), MemoryServer("files", {"wait": None})
    site.joined.agent(server)
    client = site.client()
    if version == "legacy":
        client.initialize()
        connection = client.legacy("tools/call", {"name": "files__wait"})
    else:
        connection = client.modern("tools/call", {"name": "files__wait"})
    connection.hang_up()
    site.joined.wait_s(60)
    assert not connection.wire.value()


# One server.


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
    hold(site, site.agent, HELD_S - 0.1)
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
    hold(site, site.agent, HELD_S - 0.1)
    assert connection.answer.body == data


def test_a_full_connection_gets_no_comments() -> None:
    site, connection = waiting()
    connection.slow_down()
    site.joined.wait_s(30)
    hold(site, site.agent, HELD_S - 0.1)
    assert connection.answer.body == b""


def test_an_empty_answer_stays_empty() -> None:
    site = TransparentSite()
    connection = site.begin("POST")
    site.last.answer(204, STREAM)
    site.settle()
    site.joined.wait_s(30)
    hold(site, site.agent, HELD_S - 0.1)
    assert connection.answer.body == b""


@settings(deadline=None)
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
            hold(site, site.agent, held_s)
    site.last.end()
    site.settle()
    sent = b"".join(piece for piece, _ in steps)
    assert connection.answer.is_complete
    assert connection.answer.body.replace(sse.COMMENT, b"") == sent
    whole = sse.Parser(10**6).feed(connection.answer.body)
    assert whole == sse.Parser(10**6).feed(sent)
