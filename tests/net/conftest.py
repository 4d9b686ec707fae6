"""Relays' ends on the loopback."""

from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from tests.net.loopback import Authority, Loopback, Opens


@pytest.fixture(scope="module")
def authority() -> Authority:
    """One authority for all tests of a file."""
    return Authority()


@pytest.fixture
def loopback(running_reactor: Any, free_port: int) -> Iterator[Opens]:
    """Return a function that opens a relay's end, which is stopped after the test."""
    made: list[Loopback] = []

    def opens(**options: Any) -> Loopback:
        made.append(Loopback(running_reactor, free_port, **options))
        return made[-1]

    yield opens
    for one in made:
        pytest_twisted.blockon(Deferred.fromCoroutine(one.stop()))
