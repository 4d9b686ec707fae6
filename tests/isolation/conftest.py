"""Fixtures: the crowd, started once."""

from collections.abc import Callable, Generator, Iterator

import pytest

from tests.isolation.crowd import Crowd, crowd
from tests.programs.programs import Estate

LOG_CHARACTERS = 20_000

_ESTATE = pytest.StashKey[Estate]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the logs of the programs under a failure."""
    report = yield
    estate = item.session.stash.get(_ESTATE, None)
    if report.failed and estate is not None:
        report.sections.append(("programs", estate.told()[-LOG_CHARACTERS:]))
    return report


@pytest.fixture(scope="session")
def everybody(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    free_ports: Callable[[int], list[int]],
) -> Iterator[Crowd]:
    """Start relay, agents and clients; afterwards they are stopped, and no key is in any log."""
    estate = Estate(tmp_path_factory.mktemp("i"), free_ports)
    request.session.stash[_ESTATE] = estate
    try:
        with crowd(estate) as everyone:
            yield everyone
        estate.close()
    finally:
        estate.clean_up()
