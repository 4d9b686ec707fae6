"""The stream for what belongs to no call, over a client and a clock of the test's."""

import pytest
from twisted.internet.task import Clock

from mcptunnel.agent.servers.http_stream import EventStream
from mcptunnel.mcp.jsonrpc import Message
from tests.agent.servers.http_client import FakeClient

CHANGED = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.client = FakeClient()
        self.messages: list[Message] = []
        self.lost = 0
        self.stream = EventStream(
            self.clock,
            self.client.as_client,
            (("mcp-session-id", "mine"),),
            message=self.messages.append,
            lost=self.lose,
        )
        self.stream.open()

    def lose(self) -> None:
        self.lost += 1

    def waits_s(self) -> float:
        """How long until the stream is asked for again."""
        (again,) = self.clock.getDelayedCalls()
        return again.getTime() - self.clock.seconds()

    def again(self) -> None:
        self.clock.advance(self.waits_s())


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_the_server_says_is_heard(bench: Bench) -> None:
    get = bench.client.last
    assert (get.method, get.fields) == (
        "GET",
        {"mcp-session-id": "mine", "accept": "text/event-stream"},
    )
    get.head()
    get.event(CHANGED)
    assert len(bench.messages) == 1
    bench.stream.close()
    assert get.aborted


@pytest.mark.parametrize("status", [405, 404, 400, 200, 302])
def test_a_server_without_such_a_stream_is_not_asked_again(bench: Bench, status: int) -> None:
    bench.client.last.status(status)
    assert not bench.clock.getDelayedCalls()
    assert bench.lost == 0
    bench.stream.close()


def test_a_stream_that_ends_is_opened_again_less_and_less_often(bench: Bench) -> None:
    waits = list[float]()
    for _ in range(9):
        bench.client.last.head()
        bench.client.last.end()
        waits.append(bench.waits_s())
        bench.again()
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    bench.clock.advance(10)
    bench.client.last.end()
    assert bench.waits_s() == 1, "the last one was a good one"
    bench.stream.close()
    assert not bench.clock.getDelayedCalls()


@pytest.mark.parametrize("status", [500, 503])
def test_a_bad_moment_passes(bench: Bench, status: int) -> None:
    bench.client.last.status(status)
    bench.again()
    assert len(bench.client.asked) == 2
    bench.client.last.fail()
    bench.again()
    assert len(bench.client.asked) == 3


def test_the_server_says_when_to_come_back_and_from_where(bench: Bench) -> None:
    bench.client.last.head()
    bench.client.last.event(CHANGED, id="e7", retry=5000)
    bench.client.last.end()
    assert bench.waits_s() == 5
    bench.again()
    assert bench.client.last.fields["last-event-id"] == "e7"
    bench.client.last.head()
    bench.client.last.end()
    bench.again()
    assert bench.client.last.fields["last-event-id"] == "e7"


def test_a_session_that_is_gone_is_told(bench: Bench) -> None:
    """Only if there was such a stream: else 404 means that there is none."""
    bench.client.last.head()
    bench.client.last.end()
    bench.again()
    bench.client.last.status(404)
    assert bench.lost == 1
    assert not bench.clock.getDelayedCalls()


def test_what_comes_after_the_close_is_nothing(bench: Bench) -> None:
    bench.stream.close()
    bench.client.last.fail()
    assert not bench.clock.getDelayedCalls()


def test_a_client_that_is_closed_ends_it(bench: Bench) -> None:
    bench.client.last.head()
    bench.client.last.end()
    bench.client.refusal = "The client is closed"
    bench.again()
    assert not bench.clock.getDelayedCalls()
    bench.stream.close()
