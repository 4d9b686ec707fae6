"""Comments in quiet streams: one timer for all answers that take long."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.mcp.client_half.keep_alive import (
    INTERVAL_S,
    QUIET_SWEEPS,
    SWITCH_SWEEPS,
    KeepAlive,
)
from tests.mcp.client_half.stage import FakeTimers


class Stream:
    """A stream that takes a comment whenever it may."""

    def __init__(self, timers: FakeTimers, least: int = QUIET_SWEEPS) -> None:
        self.was_heard = True
        self.comments_s: list[float] = []
        self._timers = timers
        self._least = least

    def keep_alive(self, quiet_sweeps: int) -> bool:
        if quiet_sweeps < self._least:
            return False
        self.comments_s.append(self._timers.now_s)
        self._least = QUIET_SWEEPS
        return True


def test_a_quiet_stream_speaks_every_interval() -> None:
    timers = FakeTimers()
    keep_alive = KeepAlive(timers)
    stream = Stream(timers)
    keep_alive.watch(stream)
    timers.pass_s(61)
    assert stream.comments_s == [15.0, 30.0, 45.0, 60.0]


def test_an_answer_that_has_not_begun_speaks_soon_and_then_evenly() -> None:
    """Between 5 and 7.5 s after the beginning, whenever that is; 15 s apart; with one timer."""
    timers = FakeTimers()
    keep_alive = KeepAlive(timers)
    everybody = []
    for _ in range(20):
        one = Stream(timers, SWITCH_SWEEPS)
        everybody.append((timers.now_s, one))
        keep_alive.watch(one)
        timers.pass_s(1.7)
    timers.pass_s(40)
    assert timers.count == 1
    for begun_s, one in everybody:
        assert 5 <= one.comments_s[0] - begun_s <= 7.5
        apart = {later - earlier for earlier, later in itertools.pairwise(one.comments_s)}
        assert apart == {15.0}


@given(st.lists(st.floats(0.1, 40), min_size=1, max_size=10))
def test_no_stream_is_quiet_for_longer(pauses_s: list[float]) -> None:
    """Whenever something comes, and never sooner than two thirds of the interval after it."""
    timers = FakeTimers()
    keep_alive = KeepAlive(timers)
    stream, other = Stream(timers), Stream(timers)
    keep_alive.watch(other)
    timers.pass_s(3)
    keep_alive.watch(stream)
    heard_s = [timers.now_s]
    for pause_s in pauses_s:
        timers.pass_s(pause_s)
        stream.was_heard = True
        heard_s.append(timers.now_s)
    said_s = sorted([*heard_s, *stream.comments_s])
    assert all(b - a <= INTERVAL_S + 0.001 for a, b in itertools.pairwise(said_s))
    for comment_s in stream.comments_s:
        before_s = max(one for one in heard_s if one <= comment_s)
        assert comment_s - before_s > INTERVAL_S * 2 / 3 - 0.001


def test_who_leaves_while_it_speaks_hurts_nobody() -> None:
    timers = FakeTimers()
    keep_alive, last = KeepAlive(timers), Stream(timers)

    class Leaves(Stream):
        def keep_alive(self, quiet_sweeps: int) -> bool:
            keep_alive.over(self)
            return super().keep_alive(quiet_sweeps)

    leaves = Leaves(timers)
    keep_alive.watch(leaves)
    keep_alive.watch(last)
    timers.pass_s(30)
    assert len(last.comments_s) == 2
    assert not leaves.comments_s


def test_nothing_is_left_once_all_streams_are_over() -> None:
    timers = FakeTimers()
    keep_alive = KeepAlive(timers, 3.0)
    stream = Stream(timers)
    keep_alive.watch(stream)
    keep_alive.over(stream)
    keep_alive.over(stream)
    timers.pass_s(1)
    assert timers.count == 0
    keep_alive.watch(stream)
    assert timers.count == 1
    keep_alive.stop()
    keep_alive.stop()
    keep_alive.watch(stream)
    assert timers.count == 0
    assert not stream.comments_s


def test_a_stream_that_fails_as_it_speaks_costs_no_other() -> None:
    """Its mistake is told to whoever runs the timer; it has no comments any more, the rest go on."""
    timers = FakeTimers()
    keep_alive = KeepAlive(timers)
    first, last = Stream(timers), Stream(timers)

    class Failing(Stream):
        def keep_alive(self, quiet_sweeps: int) -> bool:
            if quiet_sweeps >= QUIET_SWEEPS:
                raise ZeroDivisionError
            return False

    for stream in (first, Failing(timers), last):
        keep_alive.watch(stream)
    with pytest.raises(ZeroDivisionError):
        timers.pass_s(61)
    timers.pass_s(61)
    keep_alive.stop()
    assert len(first.comments_s) > 3
    assert len(last.comments_s) > 3
