"""When the relay is tried again."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.net.backoff import MOST_S, MOST_WHILE_HELD_S, SOON_S, STABLE_S, Backoff
from mcptunnel.wire.constants import MAX_RETRY_AFTER_S


def latest() -> Backoff:
    """Return a policy whose jitter is always the most."""
    return Backoff(lambda: 1.0)


def test_the_first_attempt_is_soon() -> None:
    """Nothing has failed yet."""
    assert latest().delay_s() == SOON_S


def test_failures_in_a_row_double_the_delay_up_to_half_a_minute() -> None:
    """1, 2, 4, 8, 16 seconds, then 30 for ever."""
    backoff = latest()
    delays = []
    for _ in range(10_000):
        backoff.failed()
        delays.append(backoff.delay_s())
    assert delays[:7] == [1, 2, 4, 8, 16, 30, 30]
    assert set(delays[7:]) == {MOST_S}


def test_while_a_session_is_held_the_delays_stay_short() -> None:
    """Calls wait for the next link; once the session is given up, nothing does."""
    backoff = latest()
    delays = []
    for _ in range(6):
        backoff.failed()
        delays.append(backoff.delay_s(is_held=True))
    assert delays == [1, 2, 4, 4, 4, MOST_WHILE_HELD_S]
    assert backoff.delay_s() == MOST_S


def test_the_jitter_is_full() -> None:
    """From nothing up to the ceiling, evenly."""
    backoff = Backoff(random.Random(4711).random)
    for _ in range(6):
        backoff.failed()
    delays = [backoff.delay_s() for _ in range(2000)]
    assert min(delays) < 0.1
    assert max(delays) > MOST_S - 0.1
    assert abs(sum(delays) / len(delays) - MOST_S / 2) < 1


def test_a_welcomed_link_that_is_lost_is_made_again_soon() -> None:
    """However many attempts had failed before, and however short it was up."""
    backoff = latest()
    for _ in range(20):
        backoff.failed()
    backoff.welcomed(100.0)
    backoff.lost(100.1)
    assert backoff.delay_s() == SOON_S
    for delay_s in (1.0, 2.0):
        backoff.failed()
        assert backoff.delay_s() == delay_s


def test_a_link_that_is_lost_before_welcome_is_a_failure() -> None:
    """A relay that takes links and drops them is not met every second."""
    backoff = latest()
    for _ in range(3):
        backoff.lost(100.0)
    assert backoff.delay_s() == 4.0


def test_an_error_soon_after_welcome_counts_on() -> None:
    """WELCOME alone proves nothing then."""
    backoff = latest()
    for number in range(4):
        backoff.welcomed(100.0 * number)
        backoff.lost(100.0 * number + STABLE_S - 0.1, with_error=True)
    assert backoff.delay_s() == 8.0


def test_an_error_after_a_minute_of_being_up_does_not() -> None:
    """A minute proves it."""
    backoff = latest()
    backoff.failed()
    backoff.failed()
    backoff.welcomed(0.0)
    backoff.lost(STABLE_S, with_error=True)
    assert backoff.delay_s() == SOON_S


def test_an_old_welcome_does_not_count_for_the_next_link() -> None:
    """Each link needs its own."""
    backoff = latest()
    backoff.welcomed(0.0)
    backoff.lost(1.0)
    for delay_s in (1.0, 2.0):
        backoff.lost(1000.0)
        assert backoff.delay_s() == delay_s


@pytest.mark.parametrize("tell", [Backoff.failed, lambda b, r: b.lost(5.0, retry_after_s=r)])
def test_what_the_server_asked_for_is_a_lower_bound(
    tell: Callable[[Backoff, float | None], None],
) -> None:
    """The jitter comes on top, or all agents would come at one moment; it holds once."""
    earliest = Backoff(lambda: 0.0)
    tell(earliest, 17.0)
    assert earliest.delay_s() == 17.0
    tell(earliest, None)
    assert earliest.delay_s() == 0.0


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("failed"), st.floats() | st.none()),
            st.tuples(st.just("welcomed"), st.floats(0, 1e9)),
            st.tuples(st.just("lost"), st.floats(0, 1e9)),
        )
    ),
    st.floats(0, 1),
)
def test_the_delay_is_always_usable(events: list[tuple[str, float | None]], jitter: float) -> None:
    """Whatever happens and whatever a server asks for: finite, not negative, bounded."""
    backoff = Backoff(lambda: jitter)
    for kind, value in events:
        if kind == "failed":
            backoff.failed(value)
        elif kind == "welcomed":
            backoff.welcomed(value or 0.0)
        else:
            backoff.lost(value or 0.0, with_error=jitter < 0.5)
        delay_s = backoff.delay_s()
        assert math.isfinite(delay_s)
        assert 0 <= delay_s <= MAX_RETRY_AFTER_S + MOST_S
