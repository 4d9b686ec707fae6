"""Who waits for the acknowledgement of a subscription: one deadline for all, and none without them."""

import pytest
from msgspec import Raw
from twisted.internet.task import Clock

from mcptunnel.mcp.client_half.subscribing import ACKNOWLEDGE_S, Subscribing, Waiting
from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification
from mcptunnel.mcp.versions import Era
from mcptunnel.net.timers import ReactorTimers


class Subscriber:
    """Whoever subscribes (`service.Caller`)."""

    era = Era.LEGACY

    def __init__(self) -> None:
        self.errors: list[JsonRpcError] = []

    def result(self, result: Raw) -> None:
        raise AssertionError(result)

    def error(self, error: JsonRpcError) -> None:
        self.errors.append(error)

    def notification(self, message: Notification) -> None:
        raise AssertionError(message)


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.late_s: list[float] = []
        self.gave_up: list[Subscribing] = []
        self.waiting = Waiting(
            ReactorTimers(self.clock), lambda: self.late_s.append(self.clock.seconds())
        )

    def add(self, uri: str, *, is_new: bool = True) -> tuple[Subscribing, Subscriber]:
        subscriber = Subscriber()
        subscribing = Subscribing(uri, subscriber, is_new, self.gave_up.append)
        self.waiting.add(subscribing)
        return subscribing, subscriber


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_deadline_is_that_of_who_waits_for_longest(bench: Bench) -> None:
    bench.add("a:1")
    bench.clock.advance(ACKNOWLEDGE_S / 2)
    bench.add("a:2")
    bench.clock.advance(ACKNOWLEDGE_S / 2)
    assert bench.late_s == [ACKNOWLEDGE_S]


def test_nobody_who_waits_has_no_deadline(bench: Bench) -> None:
    """However the last one ceased to wait."""
    one, _ = bench.add("a:1")
    bench.waiting.remove(one)
    bench.add("a:1")
    bench.waiting.refuse({"a:1"}, JsonRpcError(-32602, "no"))
    two, _ = bench.add("a:1")
    assert bench.waiting.take() == [two]
    assert two not in bench.waiting
    assert not bench.clock.getDelayedCalls()


def test_some_are_refused(bench: Bench) -> None:
    one, refused = bench.add("a:1")
    two, left = bench.add("a:2", is_new=False)
    bench.waiting.refuse({"a:1"}, JsonRpcError(-32602, "no"))
    assert (len(refused.errors), len(left.errors)) == (1, 0)
    assert [one in bench.waiting, two in bench.waiting] == [False, True]
    assert [bench.waiting.has("a:1"), bench.waiting.has("a:2")] == [False, True]
    assert bench.waiting.new_uris() == set()


def test_who_cancels_gives_up(bench: Bench) -> None:
    one, _ = bench.add("a:1")
    one.hold(True)
    one.client_gone()
    assert not bench.gave_up
    one.cancel("gone")
    assert bench.gave_up == [one]
