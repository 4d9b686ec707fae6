"""The suite's server scenarios: a server behind the tunnel does as well as the same server without it."""

import pytest

from tests.conformance.conftest import Runs
from tests.conformance.suite import Results

REVISIONS = {"2025-11-25": (33, 84), "2026-07-28": (50, 169)}
"""How many scenarios the suite has for a revision, and how many checks the reference server passes."""

EARLIER = {"2025-03-26": (1, 3), "2025-06-18": (27, 56)}

UNTOUCHED = ("http transparent",)
"""Where bytes pass as they are."""


def is_extension(scenario: str) -> bool:
    """Say whether a scenario is about tasks, which the reference server does not offer."""
    return scenario.startswith("tasks-")


def failures(results: Results) -> dict[str, tuple[str, ...]]:
    """Return what failed, extensions aside."""
    return {name: why for name, why in results.failures().items() if not is_extension(name)}


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_reference_server_itself_passes(runs: Runs, revision: str) -> None:
    """The measure is sound: without a tunnel everything passes, and the numbers are the known ones."""
    results = runs.get("direct", "--requirements", revision)
    assert (len(results.scores), results.passed) == REVISIONS[revision], results.said
    assert failures(results) == {}
    assert results.status == 0


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("place", UNTOUCHED)
def test_untouched_the_results_are_those_of_the_server(
    runs: Runs, place: str, revision: str
) -> None:
    """Scenario by scenario the same number of checks pass, warn and fail, extensions included."""
    direct = runs.get("direct", "--requirements", revision)
    results = runs.get(place, "--requirements", revision)
    assert results.status == 0, results.said
    assert {
        name: (score.passed, score.warned, len(score.failures))
        for name, score in results.scores.items()
    } == {
        name: (score.passed, score.warned, len(score.failures))
        for name, score in direct.scores.items()
    }


@pytest.mark.parametrize("revision", EARLIER)
@pytest.mark.parametrize("place", UNTOUCHED)
def test_earlier_revisions_pass_untouched(runs: Runs, place: str, revision: str) -> None:
    """Every scenario of the suite for a revision before the last of its era passes."""
    results = runs.get(place, "--suite", "all", "--spec-version", revision)
    assert (len(results.scores), results.passed) == EARLIER[revision], results.said
    assert failures(results) == {}
