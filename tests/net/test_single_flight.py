"""Work that is done once for many."""

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from mcptunnel.net.single_flight import SingleFlight


class Work:
    """Work that ends when it is told."""

    def __init__(self) -> None:
        self.begun: list[Deferred[str]] = []

    async def __call__(self) -> str:
        self.begun.append(Deferred())
        return await self.begun[-1]


def join(flights: SingleFlight[str], work: Any, key: str = "a") -> Deferred[Any]:
    return Deferred.fromCoroutine(flights.join(key, work))


def test_all_who_ask_at_the_same_time_get_one_result() -> None:
    """The second caller begins nothing; after the end the next one does."""
    flights, work = SingleFlight[str](), Work()
    results: list[str] = []
    for _ in range(3):
        join(flights, work).addCallback(results.append)
    assert "a" in flights
    work.begun[0].callback("done")
    assert results == ["done"] * 3
    assert (len(work.begun), len(flights)) == (1, 0)
    join(flights, work)
    assert len(work.begun) == 2


def test_other_keys_are_other_work() -> None:
    """Nobody waits for what is not theirs."""
    flights, work = SingleFlight[str](), Work()
    first, second = join(flights, work, "a"), join(flights, work, "b")
    work.begun[1].callback("b")
    assert second.result == "b"
    assert not first.called


def test_a_failure_reaches_everybody() -> None:
    """Each caller sees the same error."""
    flights, work = SingleFlight[str](), Work()
    waiting = [join(flights, work) for _ in range(2)]
    work.begun[0].errback(ValueError("no"))
    for one in waiting:
        failures: list[Any] = []
        one.addErrback(failures.append)
        assert failures[0].check(ValueError)


def test_a_caller_who_goes_away_ends_nothing() -> None:
    """The work goes on for the others, and its result is nobody's if all have gone."""
    flights, work = SingleFlight[str](), Work()
    gone, stays = join(flights, work), join(flights, work)
    gone.cancel()
    gone.addErrback(lambda failure: failure.trap(CancelledError))
    work.begun[0].callback("done")
    assert stays.result == "done"


def test_work_that_ends_at_once() -> None:
    """Nothing is left behind by work that never waits."""

    async def at_once() -> str:
        return "now"

    flights = SingleFlight[str]()
    assert join(flights, at_once).result == "now"
    assert len(flights) == 0


@pytest.mark.parametrize("count", [0, 2])
def test_stop_cancels_the_work(count: int) -> None:
    """Whoever waits hears that it was cancelled."""
    flights, work = SingleFlight[str](), Work()
    heard: list[Any] = []
    for _ in range(count):
        join(flights, work).addErrback(heard.append)
    flights.stop()
    assert [one.type for one in heard] == [CancelledError] * count
    assert len(flights) == 0
