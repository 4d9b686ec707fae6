"""POSTs that have no answer, over a client that does what the test says."""

from typing import cast

import pytest
from twisted.internet.task import Clock

from mcptunnel.agent.servers.http_one_way import MAX_ONE_WAY, ONE_WAY_TIMEOUT_S, OneWayPosts
from mcptunnel.model import Headers, ResponseHead
from mcptunnel.net.http1 import Client, RequestError, RequestFailed, ResponseReceiver


class Posted:
    def __init__(self, receiver: ResponseReceiver) -> None:
        self.receiver = receiver
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


class Bench:
    """The posts and their client (`net.http1.Client`)."""

    def __init__(self, max_waiting: int = 0) -> None:
        self.clock = Clock()
        self.sent: list[Posted] = []
        self.refusal: RequestError | None = None
        self.posts = OneWayPosts(self.clock, cast("Client", self), max_waiting=max_waiting)

    def request(
        self, method: str, path: str, headers: Headers, body: bytes, receiver: ResponseReceiver
    ) -> Posted:
        if self.refusal:
            raise self.refusal
        assert (method, path, headers, body) == ("POST", "", (("a", "b"),), b"{}")
        self.sent.append(Posted(receiver))
        return self.sent[-1]

    def post(self, count: int = 1) -> None:
        for _ in range(count):
            self.posts.post((("a", "b"),), b"{}")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_no_more_than_so_many_are_under_way_and_the_rest_is_dropped(bench: Bench) -> None:
    """Nothing is kept for a server that takes none."""
    bench.post(100)
    assert len(bench.sent) == MAX_ONE_WAY
    first, second = bench.sent[:2]
    first.receiver.head_received(ResponseHead(202, ()))
    first.receiver.data_received(b"of no interest")
    bench.post()
    assert len(bench.sent) == MAX_ONE_WAY
    first.receiver.ended()
    second.receiver.failed(RequestFailed("it broke", may_have_run=True))
    bench.post(100)
    assert len(bench.sent) == MAX_ONE_WAY + 2
    assert not any(posted.aborted for posted in bench.sent)


def test_one_that_is_not_taken_is_given_up(bench: Bench) -> None:
    bench.post(MAX_ONE_WAY)
    bench.clock.advance(ONE_WAY_TIMEOUT_S)
    assert all(posted.aborted for posted in bench.sent)
    bench.post(100)
    assert len(bench.sent) == 2 * MAX_ONE_WAY
    for posted in bench.sent[MAX_ONE_WAY:]:
        posted.receiver.ended()
    assert not bench.clock.getDelayedCalls()


def test_what_cannot_be_sent_does_not_count(bench: Bench) -> None:
    bench.refusal = RequestError("The client is closed")
    for _ in range(2 * MAX_ONE_WAY):
        with pytest.raises(RequestError):
            bench.post()
    bench.refusal = None
    bench.post(100)
    assert len(bench.sent) == MAX_ONE_WAY


def test_what_matters_waits_for_its_turn_within_a_bound() -> None:
    bench = Bench(max_waiting=2)
    bench.post(MAX_ONE_WAY + 3)
    assert len(bench.sent) == MAX_ONE_WAY
    for posted in bench.sent[:3]:
        posted.receiver.ended()
    assert len(bench.sent) == MAX_ONE_WAY + 2
    bench.clock.advance(ONE_WAY_TIMEOUT_S)
    assert not bench.clock.getDelayedCalls()


def test_nothing_waits_for_a_client_that_is_closed() -> None:
    bench = Bench(max_waiting=2)
    bench.post(MAX_ONE_WAY + 2)
    bench.refusal = RequestError("The client is closed")
    for posted in bench.sent:
        posted.receiver.ended()
    assert not bench.clock.getDelayedCalls()
