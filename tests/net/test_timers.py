"""A reactor's clock for what is pure."""

from twisted.internet.task import Clock

from mcptunnel.net.timers import ReactorTimers


def test_calls_come_later_or_are_called_off() -> None:
    clock = Clock()
    timers = ReactorTimers(clock)
    called: list[float] = []
    timers.call_later(2, lambda: called.append(clock.seconds()))
    timers.call_later(1, lambda: called.append(clock.seconds())).cancel()
    clock.pump([1, 1, 1])
    assert called == [2]
