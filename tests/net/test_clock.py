"""Timers keep their time whatever is done to the time of day."""

import time

import pytest
from twisted.internet import base
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.selectreactor import SelectReactor

from mcptunnel.net import clock
from mcptunnel.net.clock import steady_s, use_steady_clock


class Times:
    """A time of day that can be set, and a steady one that cannot."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.day_s, self.steady_s = 1_000_000.0, 50.0
        monkeypatch.setattr(base.ReactorBase, "seconds", staticmethod(lambda: self.day_s))

    def steady(self) -> float:
        return self.steady_s


@pytest.mark.parametrize("reactor_class", [EPollReactor, SelectReactor])
def test_a_time_of_day_that_steps_back_delays_nothing(
    reactor_class: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls, calls that were put off, and the reactor's own sleep all go by the one clock."""
    times = Times(monkeypatch)
    reactor = reactor_class()
    use_steady_clock(reactor, times.steady)
    fired: list[str] = []
    reactor.callLater(10, fired.append, "made")
    moved = reactor.callLater(99, fired.append, "moved")
    times.day_s -= 3600
    moved.reset(20)
    reactor.runUntilCurrent()
    assert (fired, reactor.timeout()) == ([], 10)
    times.steady_s += 10
    reactor.runUntilCurrent()
    assert (fired, reactor.timeout()) == (["made"], 10)
    times.day_s += 7200
    reactor.runUntilCurrent()
    assert moved.active()
    times.steady_s += 10
    reactor.runUntilCurrent()
    assert fired == ["made", "moved"]
    reactor.removeAll()


def test_a_reactor_with_calls_keeps_its_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call may be scheduled by one clock and run by another; the same clock twice is fine."""
    times = Times(monkeypatch)
    reactor = SelectReactor()
    reactor.callLater(1, int)
    with pytest.raises(RuntimeError, match="scheduled"):
        use_steady_clock(reactor, times.steady)
    reactor.getDelayedCalls()[0].cancel()
    use_steady_clock(reactor, times.steady)
    reactor.callLater(1, int)
    seconds = reactor.seconds
    use_steady_clock(reactor, seconds)
    assert reactor.seconds is seconds
    reactor.removeAll()


def test_the_clock_counts_sleep_where_the_system_does(monkeypatch: pytest.MonkeyPatch) -> None:
    if hasattr(time, "CLOCK_BOOTTIME"):
        before_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        assert before_s <= steady_s() <= time.clock_gettime(time.CLOCK_BOOTTIME)
    monkeypatch.setattr(clock, "_CLOCK", None)
    before_s = time.monotonic()
    assert before_s <= steady_s() <= time.monotonic()
