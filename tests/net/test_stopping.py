"""Waiting for calls on a clock of the test's, and what signals make of an order."""

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.net.stopping import AT_ONCE_S, POLL_S, Drain, StopOrder, obey_signals
from tests.conftest import Log


class Bench:
    def __init__(self, drain_s: float = 30.0) -> None:
        self.clock = Clock()
        self.order = StopOrder()
        self.running = 0
        self.is_over: bool | None = None
        self._drain = Drain(self.clock, self.order, drain_s)

    def drain(self) -> "Deferred[None]":
        def is_over() -> bool:
            return not self.running if self.is_over is None else self.is_over

        return Deferred.fromCoroutine(self._drain.calls(lambda: self.running, is_over))


def is_done(deferred: "Deferred[None]") -> bool:
    return deferred.called


def test_with_nothing_running_it_is_over_at_once_and_says_nothing(log: Log) -> None:
    bench = Bench()
    assert is_done(bench.drain())
    assert not log.lines
    assert not bench.clock.getDelayedCalls()


def test_it_is_over_when_the_last_call_is(log: Log) -> None:
    bench = Bench()
    bench.running = 3
    draining = bench.drain()
    bench.clock.advance(20)
    bench.running = 1
    bench.clock.advance(1)
    assert not is_done(draining)
    bench.running = 0
    bench.clock.advance(POLL_S)
    assert is_done(draining)
    assert log.lines == [
        "draining: 3 calls running, until 30 s",
        "drained: all calls have finished",
    ]
    assert not bench.clock.getDelayedCalls()


@pytest.mark.parametrize("drain_s", [0.0, 0.01, 30.0])
def test_it_is_over_at_the_deadline(drain_s: float, log: Log) -> None:
    bench = Bench(drain_s)
    bench.running = 1
    draining = bench.drain()
    bench.clock.pump([POLL_S] * 599)
    assert is_done(draining) is (drain_s < 30)
    bench.clock.pump([POLL_S] * 2)
    assert is_done(draining)
    assert log.lines[-1] == "stopping with 1 call running"
    assert len(log.lines) == (2 if drain_s else 1)


def test_without_calls_the_rest_of_an_answer_is_waited_for_in_silence(log: Log) -> None:
    bench = Bench()
    bench.is_over = False
    draining = bench.drain()
    bench.clock.advance(1)
    assert not is_done(draining)
    bench.is_over = True
    bench.clock.advance(POLL_S)
    assert is_done(draining)
    assert not log.lines


def test_an_urgent_order_ends_the_waiting(log: Log) -> None:
    bench = Bench()
    bench.running = 2
    draining = bench.drain()
    bench.order.is_urgent = True
    bench.clock.advance(POLL_S)
    assert is_done(draining)
    assert is_done(bench.drain())
    assert log.lines[1:] == ["stopping with 2 calls running"] * 2


class FakeReactor:
    """Notes what it is told, and from which side."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.from_threads: list[Callable[..., object]] = []

    def sigTerm(self, number: int, _frame: object = None) -> None:
        self.told.append(("TERM", number))

    def sigInt(self, number: int, _frame: object = None) -> None:
        self.told.append(("INT", number))

    def callFromThread(self, call: Callable[..., object], *arguments: object) -> None:
        self.from_threads.append(call)


@pytest.fixture
def alarms(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float]]:
    """Keep the alarm from ringing: it would end the tests."""
    set_s: list[tuple[int, float]] = []
    monkeypatch.setattr(signal, "setitimer", lambda which, at_s: set_s.append((which, at_s)))
    return set_s


@pytest.fixture
def reactor() -> Iterator[FakeReactor]:
    """A reactor whose signals are installed, and taken away afterwards."""
    made = FakeReactor()
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    handlers: tuple[Any, ...] = (made.sigTerm, made.sigInt, signal.SIG_DFL)
    before = [
        signal.signal(number, handler) for number, handler in zip(numbers, handlers, strict=True)
    ]
    yield made
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_the_first_sigterm_stops_and_the_second_hurries(
    reactor: FakeReactor, alarms: list[Any]
) -> None:
    order = StopOrder()
    obey_signals(reactor, order)
    signal.raise_signal(signal.SIGTERM)
    assert reactor.told == [("TERM", signal.SIGTERM)]
    assert (order.has_begun, order.is_urgent, alarms) == (True, False, [])
    signal.raise_signal(signal.SIGTERM)
    assert reactor.told == [("TERM", signal.SIGTERM)], "a reactor is stopped once"
    assert order.is_urgent
    assert alarms == [(signal.ITIMER_REAL, AT_ONCE_S)]
    signal.raise_signal(signal.SIGINT)
    assert len(alarms) == 1, "whoever insists does not put off the end"


@pytest.mark.parametrize(
    ("number", "told"), [(signal.SIGINT, "INT"), (signal.SIGHUP, "TERM")], ids=["INT", "HUP"]
)
def test_other_signals_hurry_at_once(
    reactor: FakeReactor, alarms: list[Any], number: signal.Signals, told: str
) -> None:
    """The reactor is told the real number, for the exit status."""
    order = StopOrder()
    obey_signals(reactor, order)
    signal.raise_signal(number)
    assert reactor.told == [(told, number)]
    assert order.is_urgent
    assert len(alarms) == 1


@pytest.mark.usefixtures("alarms")
def test_a_signal_to_a_program_that_stops_by_itself_only_hurries(reactor: FakeReactor) -> None:
    order = StopOrder()
    obey_signals(reactor, order)
    order.has_begun = True
    signal.raise_signal(signal.SIGTERM)
    assert not reactor.told
    assert order.is_urgent


def test_signals_of_others_are_left_alone(reactor: FakeReactor) -> None:
    """A debugger's Ctrl-C; and all of them if the reactor does not take signals."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    obey_signals(reactor, StopOrder())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    obey_signals(FakeReactor(), StopOrder())
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
