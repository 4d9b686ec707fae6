"""The suite's server scenarios: a server behind the tunnel does as well as the same server without it."""

import pytest

from tests.conformance.conftest import Runs
from tests.conformance.gaps import GAPS, closed, unexplained

REVISIONS = {"2025-11-25": 33, "2026-07-28": 50}
"""How many scenarios the suite has for a revision."""

EARLIER = {"2025-03-26": (1, 3), "2025-06-18": (27, 56)}
"""The same for revisions before the last of an era, and how many checks there are."""

UNTOUCHED = [
    ("http", "transparent", "2025-11-25"),
    ("http", "transparent", "2026-07-28"),
    ("legacy-http", "transparent", "2025-11-25"),
]
"""Where bytes pass as they are."""

DIRECT = {
    ("http", "2025-11-25"): 84,
    ("http", "2026-07-28"): 169,
    ("modern-http", "2026-07-28"): 169,
    ("legacy-http", "2025-11-25"): 77,
}
"""How many checks each server passes by itself, in the eras that it speaks."""

THROUGH = [
    (server, route, revision)
    for server, revisions in {
        "stdio": REVISIONS,
        "http": REVISIONS,
        "modern-http": ["2025-11-25"],
        "modern-stdio": ["2025-11-25"],
        "legacy-http": REVISIONS,
        "legacy-stdio": REVISIONS,
    }.items()
    for route in ("transparent", "hub")
    for revision in revisions
    if (server, route, revision) not in UNTOUCHED
]
"""Where the relay or the agent speaks for the server: in both eras, or in the one that it has not."""


@pytest.mark.parametrize(("server", "revision"), DIRECT)
def test_the_servers_themselves_pass(runs: Runs, server: str, revision: str) -> None:
    """The measure is sound: without a tunnel everything passes, and the numbers are the known ones."""
    results = runs.get(server, "direct", "--requirements", revision)
    assert (len(results.scores), results.passed) == (
        REVISIONS[revision],
        DIRECT[server, revision],
    ), results.said
    assert unexplained(results, GAPS.get((server, "direct", revision), {})) == {}
    assert results.status == 0


@pytest.mark.parametrize(("server", "route", "revision"), UNTOUCHED)
def test_untouched_the_results_are_those_of_the_server(
    runs: Runs, server: str, route: str, revision: str
) -> None:
    """Scenario by scenario the same number of checks pass, warn and fail, extensions included."""
    direct = runs.get(server, "direct", "--requirements", revision)
    results = runs.get(server, route, "--requirements", revision)
    assert results.status == 0, results.said
    assert {
        name: (score.passed, score.warned, len(score.failures))
        for name, score in results.scores.items()
    } == {
        name: (score.passed, score.warned, len(score.failures))
        for name, score in direct.scores.items()
    }


@pytest.mark.parametrize(("server", "route", "revision"), THROUGH)
def test_everything_passes_that_the_server_has(
    runs: Runs, server: str, route: str, revision: str
) -> None:
    """No scenario fails but those that the server cannot pass in that place, for the reason told."""
    gaps = GAPS.get((server, route, revision), {})
    results = runs.get(server, route, "--requirements", revision)
    assert len(results.scores) == REVISIONS[revision], results.said
    assert unexplained(results, gaps) == {}


@pytest.mark.parametrize(("server", "route", "revision"), GAPS)
def test_no_gap_is_listed_that_is_none(runs: Runs, server: str, route: str, revision: str) -> None:
    """The table of what a server cannot pass is true."""
    results = runs.get(server, route, "--requirements", revision)
    assert closed(results, GAPS[server, route, revision]) == set()


@pytest.mark.parametrize("revision", EARLIER)
@pytest.mark.parametrize(
    ("server", "route"),
    [("http", "transparent"), ("http", "hub"), ("stdio", "transparent"), ("stdio", "hub")],
)
def test_earlier_revisions_pass(runs: Runs, server: str, route: str, revision: str) -> None:
    """Every scenario of the suite for a revision before the last of its era passes, the gaps aside."""
    gaps = GAPS.get((server, route, "2025-11-25"), {})
    results = runs.get(server, route, "--suite", "all", "--spec-version", revision)
    scenarios, passed = EARLIER[revision]
    assert len(results.scores) == scenarios, results.said
    assert unexplained(results, gaps) == {}
    assert results.passed >= passed - sum(name in gaps for name in results.scores)
