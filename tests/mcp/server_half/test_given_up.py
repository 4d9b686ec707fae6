"""Calls that nobody waits for any more, and that may still ask."""

import pytest

from mcptunnel.mcp.server_half import given_up
from mcptunnel.mcp.server_half.given_up import LATE_S, GivenUp
from tests.mcp.server_half.bench import EVE, KEN


def test_a_call_counts_until_it_is_answered() -> None:
    """For all but its own client."""
    calls = GivenUp()
    calls.add(1, EVE)
    calls.add(2, KEN)
    assert (calls.others_than(KEN), calls.others_than(EVE)) == (True, True)
    calls.answered(1)
    calls.answered("2")
    calls.answered(None)
    assert (calls.others_than(KEN), calls.others_than(EVE)) == (False, True)


def test_a_call_that_is_never_answered_counts_for_a_while() -> None:
    """From the first look at the clock on."""
    calls = GivenUp()
    calls.add(1, EVE)
    calls.tick(100.0)
    calls.add(2, EVE)
    calls.tick(150.0)
    calls.tick(100.0 + LATE_S - 1)
    assert len(calls) == 2
    calls.tick(100.0 + LATE_S)
    assert len(calls) == 1
    assert calls.others_than(KEN)
    calls.tick(150.0 + LATE_S)
    assert not len(calls)
    assert not calls.others_than(KEN)


def test_when_there_are_too_many_nobody_is_the_only_one_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even if all that are still known are answered, or are one client's."""
    monkeypatch.setattr(given_up, "MAX_GIVEN_UP", 2)
    calls = GivenUp()
    for own in range(3):
        calls.add(own, EVE)
    assert len(calls) == 2
    calls.answered(1)
    calls.answered(2)
    calls.tick(10.0)
    calls.tick(9.0 + LATE_S)
    assert calls.others_than(EVE)
    calls.tick(10.0 + LATE_S)
    assert not calls.others_than(EVE)
