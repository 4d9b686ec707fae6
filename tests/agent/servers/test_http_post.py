"""POSTs whose streams end too early, over a client and a clock of the test's."""

from typing import Any

import pytest
from twisted.internet.task import Clock

from mcptunnel.agent.servers.http_post import MAX_ATTEMPTS, Post
from mcptunnel.mcp.jsonrpc import Message
from mcptunnel.model import Headers
from tests.agent.servers.http_client import FakeClient

SESSION: Headers = (("mcp-session-id", "mine"),)
PROGRESS = {"jsonrpc": "2.0", "method": "notifications/progress"}


class Bench:
    def __init__(self, resume: Headers | None = SESSION) -> None:
        self.clock = Clock()
        self.client = FakeClient()
        self.messages: list[Message] = []
        self.over: list[Any] = []
        self.post = Post(
            self.clock,
            self.client.as_client,
            resume,
            self.messages.append,
            lambda *outcome: self.over.append(outcome),
        )
        self.post.send((("accept", "all"),), b"{}")

    def primed(self, **fields: object) -> "Bench":
        """Begin a stream that can be read on."""
        self.client.last.head()
        self.client.last.event(**{"id": "e1", **fields})
        return self


def test_a_stream_that_is_closed_early_is_read_on_from_its_last_event() -> None:
    bench = Bench().primed()
    bench.client.last.event(PROGRESS, id="e2")
    bench.client.last.end()
    assert (bench.over, len(bench.messages)) == ([], 1)
    bench.clock.advance(0.9)
    assert len(bench.client.asked) == 1
    bench.clock.advance(0.1)
    get = bench.client.last
    assert (get.method, get.body) == ("GET", b"")
    assert get.fields == {
        "mcp-session-id": "mine",
        "accept": "text/event-stream",
        "last-event-id": "e2",
    }
    get.head()
    get.event(PROGRESS, id="e3")
    assert len(bench.messages) == 2
    bench.post.finish()
    get.end()
    assert bench.over == []
    assert not bench.clock.getDelayedCalls()


@pytest.mark.parametrize(("retry", "wait_s"), [(20, 0.02), (999_999, 60), (0, 0)])
def test_the_server_says_when_to_come_back(retry: int, wait_s: float) -> None:
    bench = Bench().primed(retry=retry)
    bench.client.last.end()
    bench.clock.advance(wait_s)
    assert bench.client.last.method == "GET"


def test_a_connection_that_breaks_is_read_on_too() -> None:
    bench = Bench().primed()
    bench.client.last.fail()
    bench.clock.advance(1)
    assert bench.client.last.fields["last-event-id"] == "e1"


def test_it_is_tried_so_often_without_an_event_and_anew_after_one() -> None:
    bench = Bench().primed()
    bench.client.last.end()
    for number in range(2):
        for _ in range(MAX_ATTEMPTS - 1):
            bench.clock.advance(1)
            bench.client.last.fail()
        bench.clock.advance(1)
        bench.client.last.head()
        if not number:
            bench.client.last.event(id="e2")
        assert bench.over == []
        bench.client.last.end()
    assert len(bench.over) == 1
    assert not bench.clock.getDelayedCalls()


@pytest.mark.parametrize("status", [400, 404, 405])
def test_a_server_that_does_not_let_it_be_read_on_has_ended_it(status: int) -> None:
    """With the head that the POST had."""
    bench = Bench().primed()
    bench.client.last.end()
    bench.clock.advance(1)
    bench.client.last.status(status)
    ((head, rest, failure),) = bench.over
    assert (head.status, rest, failure) == (200, b"", None)


def test_a_client_that_is_closed_meanwhile_ends_it() -> None:
    bench = Bench().primed()
    bench.client.last.end()
    bench.client.refusal = "The client is closed"
    bench.clock.advance(1)
    assert len(bench.over) == 1


def test_streams_without_event_ids_end_with_their_connection() -> None:
    bench = Bench()
    bench.client.last.head()
    bench.client.last.event(PROGRESS)
    bench.client.last.end()
    assert len(bench.over) == 1


def test_a_modern_servers_stream_is_not_read_on() -> None:
    bench = Bench(None).primed()
    bench.client.last.end()
    assert len(bench.over) == 1


def test_after_an_abort_nothing_happens() -> None:
    bench = Bench().primed()
    bench.client.last.end()
    bench.post.abort()
    assert not bench.clock.getDelayedCalls()
    other = Bench().primed()
    other.post.abort()
    assert other.client.last.aborted
    other.client.last.end()
    assert (bench.over, other.over) == ([], [])


def test_an_abort_while_it_is_read_on_reaches_the_stream() -> None:
    bench = Bench().primed()
    bench.client.last.end()
    bench.clock.advance(1)
    bench.post.abort()
    assert bench.client.last.aborted
    bench.client.last.status(404)
    assert bench.over == []


def test_a_pause_lasts_over_streams() -> None:
    bench = Bench().primed()
    bench.post.pause()
    bench.client.last.end()
    bench.clock.advance(1)
    bench.post.resume()
    assert [asked.pauses for asked in bench.client.asked] == [["pause"], ["pause", "resume"]]
    bench.client.last.end()
    bench.post.pause()
    bench.post.resume()
