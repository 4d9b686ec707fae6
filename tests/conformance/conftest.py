"""Fixtures: every place of the suite once, and every run once."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conformance import places
from tests.conformance.places import Place
from tests.conformance.suite import Results, check_server
from tests.interop.conftest import installed

__all__ = ["installed"]


class Runs:
    """Runs the suite at a place once, however many tests look at the results."""

    def __init__(self, found: dict[str, Place], factory: pytest.TempPathFactory) -> None:
        self._places = found
        self._factory = factory
        self._results: dict[tuple[str, ...], Results] = {}

    def get(self, place: str, *words: str) -> Results:
        """Return the results at a place; `words` are options of the suite that choose scenarios."""
        key = (place, *words)
        if key not in self._results:
            at = self._places[place]
            folder = self._factory.mktemp("results")
            self._results[key] = check_server(at.url, at.token, folder, *words)
        return self._results[key]


@pytest.fixture(scope="session")
def runs(
    installed: None,  # noqa: ARG001 - for its effect
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Runs]:
    """Run the reference server over HTTP, and tunnels in front of it and of its stdio form."""
    with ExitStack() as stack:
        url = stack.enter_context(places.running(places.HTTP, tmp_path_factory.mktemp("server")))
        found = {"direct": Place(url)}
        for name, case in (("http", places.HTTP), ("stdio", places.STDIO)):
            folder = tmp_path_factory.mktemp(name)
            endpoints = stack.enter_context(places.tunnelled(case, url, folder))
            found |= {f"{name} {route}": place for route, place in endpoints.items()}
        yield Runs(found, tmp_path_factory)
