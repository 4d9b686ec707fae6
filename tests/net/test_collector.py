"""The collector spares what was there at the start."""

import gc
from collections.abc import Callable, Iterator

import pytest

from mcptunnel.net.collector import YOUNG_OBJECTS, spare_what_is_here


class Starting:
    """The part of a reactor that runs things when it runs."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def callWhenRunning(self, function: Callable[[], None]) -> None:
        self.waiting.append(function)


@pytest.fixture
def collector() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("collector")
def test_what_is_here_when_the_reactor_runs_is_not_looked_at_again() -> None:
    reactor = Starting()
    frozen = gc.get_freeze_count()
    spare_what_is_here(reactor)  # type: ignore[arg-type]  # the part that is used
    assert gc.get_freeze_count() == frozen
    for function in reactor.waiting:
        function()
    assert gc.get_freeze_count() > frozen
    assert gc.get_threshold()[0] == YOUNG_OBJECTS
