"""Flat memory is told from memory that grows."""

import pytest

from tests.soak.memory import Sample, allowed_mib, verdict

SECONDS = 100.0


def samples(*rss_mib: float) -> list[Sample]:
    """Return samples spread over the run."""
    step_s = SECONDS / (len(rss_mib) - 1)
    return [Sample(number * step_s, each) for number, each in enumerate(rss_mib)]


def test_what_grows_at_first_and_stays_is_flat() -> None:
    flat, figures = verdict("relay", samples(60, 80, 100, 100, 101, 100, 102), SECONDS, 101)
    assert flat
    assert figures.startswith("relay: 60 MiB at first, 100 after a third, 101 at the end, 101 idle")


@pytest.mark.parametrize(
    ("late_mib", "idle_mib"),
    [(allowed_mib(100) + 1, 100.0), (100.0, allowed_mib(100) + 1)],
)
def test_what_grows_on_is_not(late_mib: float, idle_mib: float) -> None:
    """Under load, or once all is over."""
    run = samples(60, 80, 100, 100, 100, late_mib, late_mib)
    flat, figures = verdict("relay", run, SECONDS, idle_mib)
    assert not flat
    assert figures.endswith("NOT FLAT")


def test_a_run_that_was_cut_short_is_judged_by_what_there_is() -> None:
    assert verdict("relay", [Sample(1, 60)], SECONDS, 60)[0]
    assert not verdict("relay", [Sample(1, 60)], SECONDS, 100)[0]
