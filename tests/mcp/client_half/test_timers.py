"""One timer for all answers that take long."""

from mcptunnel.mcp.client_half.timers import Pulse
from tests.mcp.client_half.stage import FakeTimers


class Beats:
    def __init__(self, timers: FakeTimers) -> None:
        self._timers = timers
        self.at_s: list[float] = []

    def beat(self) -> None:
        self.at_s.append(self._timers.now_s)


def test_the_first_beat_comes_soon_and_then_they_are_even() -> None:
    """Between 5 and 7.5 s after the beginning, whenever that is; 15 s apart."""
    timers = FakeTimers()
    pulse = Pulse(timers)
    everybody = []
    for _ in range(20):
        one = Beats(timers)
        everybody.append((timers.now_s, one))
        pulse.add(one)
        timers.pass_s(1.7)
    timers.pass_s(40)
    assert timers.count == 1
    for begun_s, one in everybody:
        assert 5 <= one.at_s[0] - begun_s <= 7.5
        apart = {later - earlier for earlier, later in zip(one.at_s, one.at_s[1:], strict=False)}
        assert apart == {15.0}


def test_without_anybody_there_is_no_timer() -> None:
    timers = FakeTimers()
    pulse, one = Pulse(timers), Beats(timers)
    del pulse.add(one)[one]
    timers.pass_s(100)
    assert timers.count == 0
    assert not one.at_s
    pulse.add(one)
    timers.pass_s(7.5)
    assert len(one.at_s) == 1


def test_who_leaves_at_a_beat_hurts_nobody() -> None:
    timers = FakeTimers()
    pulse, last = Pulse(timers), Beats(timers)

    class Leaves:
        def beat(self) -> None:
            del slot[self]

    leaves = Leaves()
    slot = pulse.add(leaves)
    pulse.add(last)
    timers.pass_s(30)
    assert len(last.at_s) == 2


def test_it_can_be_stopped() -> None:
    timers = FakeTimers()
    pulse, one = Pulse(timers), Beats(timers)
    pulse.add(one)
    pulse.stop()
    pulse.stop()
    pulse.add(one)
    assert timers.count == 0
