"""Fixtures: every place of the suite once, and every run once."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conformance import places
from tests.conformance.places import Place
from tests.conformance.suite import Results, check_server
from tests.interop.conftest import installed, with_provider

__all__ = ["installed", "with_provider"]


class Runs:
    """Runs the suite at a place once, however many tests look at the results.

    A server and the tunnel in front of it are started when they are first needed.
    """

    def __init__(self, stack: ExitStack, factory: pytest.TempPathFactory) -> None:
        self._stack = stack
        self._factory = factory
        self._places: dict[str, dict[str, Place]] = {}
        self._results: dict[tuple[str, ...], Results] = {}

    def get(self, server: str, route: str, *words: str) -> Results:
        """Return the results of a server by a route; `words` are options that choose scenarios."""
        key = (server, route, *words)
        if key not in self._results:
            at = self._place(server, route)
            folder = self._factory.mktemp("results")
            self._results[key] = check_server(at.url, at.token, folder, *words)
        return self._results[key]

    def _place(self, server: str, route: str) -> Place:
        if server not in self._places:
            running = places.places(server, self._factory.mktemp(server))
            self._places[server] = self._stack.enter_context(running)
        return self._places[server][route]


@pytest.fixture(scope="session")
def runs(
    installed: None,  # noqa: ARG001 - for its effect
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Runs]:
    """Give the runs; what was started for them is stopped at the end."""
    with ExitStack() as stack:
        yield Runs(stack, tmp_path_factory)
