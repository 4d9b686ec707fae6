"""Other people's clients and servers beside tools: prompts, resources, questions, news, logs.

As with tools, each pair runs first directly, which shows that client and server work.
"""

import pytest

from tests.interop.cases import CASES, ServerCase
from tests.interop.conftest import Runs
from tests.interop.drivers import DRIVERS, Driver
from tests.interop.features import CHECKS, Show

EVERYTHING = frozenset(CHECKS) | {"tools", "call", "progress", "large", "cancel"}

SHOWS = [
    pytest.param(driver, route, case, show, id=f"{route}-{case.name}-{show.feature}-{driver.name}")
    for case in CASES
    for route in ("direct", "tunnel")
    if route == "tunnel" or case.is_direct
    for show in case.shows
    for driver in DRIVERS
    if show.feature not in driver.cannot
]


@pytest.mark.parametrize(("driver", "route", "case", "show"), SHOWS)
def test_a_feature_works(
    runs: Runs, driver: Driver, route: str, case: ServerCase, show: Show
) -> None:
    """What the server has is had by the client."""
    run = runs.get(driver, route, case)
    CHECKS[show.feature](show, run.record, run.first(show.feature), run.endpoint)


@pytest.mark.parametrize("route", ["direct", "tunnel"])
def test_every_feature_is_shown(route: str) -> None:
    """Nothing is left out: for each feature there is a server that has it, on every route."""
    cases = [case for case in CASES if route == "tunnel" or case.is_direct]
    assert frozenset().union(*(case.features for case in cases)) == EVERYTHING


def test_what_a_client_cannot_do_is_little_and_told() -> None:
    """The exceptions are features that there are, each with a reason, of a client in an odd place."""
    for driver in DRIVERS:
        assert driver.cannot.keys() <= EVERYTHING
        assert all(driver.cannot.values())
        assert driver.proxy is not None or not driver.cannot
