"""What is over leaves the store, a little at a time."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.relay.oauth.purging import EVERY_S, LIMIT, SOON_S, Purging
from mcptunnel.store.engine import Store
from mcptunnel.store.errors import StoreError
from tests.conftest import LoggedFailures
from tests.relay.coroutines import begun, now
from tests.relay.oauth.parts import Parts
from tests.relay.oauth.test_exchanging import family_of


class SlowStore(Store):
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[Deferred[Any]] = []

    def write(self, change: Any) -> Deferred[Any]:
        self.asked.append(Deferred())
        return self.asked[-1]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_expired_goes(parts: Parts) -> None:
    parts.grant()
    purging = Purging(parts.around.store, parts.clock, parts.clock.seconds)
    purging.startService()
    parts.clock.advance(EVERY_S)
    assert family_of(parts) is not None
    parts.clock.advance(100 * 86_400)
    assert family_of(parts) is None
    now(purging.stopService())
    assert not parts.clock.getDelayedCalls()


def test_when_there_is_more_it_goes_on_soon(clock: Clock) -> None:
    store = SlowStore()
    purging = Purging(store, clock, clock.seconds)
    purging.startService()
    clock.advance(EVERY_S)
    store.asked[0].callback(LIMIT)
    clock.advance(SOON_S)
    assert len(store.asked) == 2
    store.asked[1].callback(LIMIT - 1)
    clock.advance(SOON_S)
    assert len(store.asked) == 2
    clock.advance(EVERY_S - SOON_S)
    assert len(store.asked) == 3
    store.asked[2].callback(0)
    now(purging.stopService())


def test_a_failure_is_logged_and_the_next_time_comes(
    clock: Clock, logged_failures: LoggedFailures
) -> None:
    store = SlowStore()
    purging = Purging(store, clock, clock.seconds)
    purging.startService()
    clock.advance(EVERY_S)
    store.asked[0].errback(StoreError("full"))
    assert logged_failures.take(StoreError)
    clock.advance(EVERY_S)
    assert len(store.asked) == 2
    store.asked[1].callback(0)
    now(purging.stopService())


def test_a_stop_waits_for_what_runs(clock: Clock) -> None:
    store = SlowStore()
    purging = Purging(store, clock, clock.seconds)
    purging.startService()
    clock.advance(EVERY_S)
    stopping = begun(purging.stopService())
    assert not stopping
    store.asked[0].callback(0)
    assert stopping == [None]
    assert not clock.getDelayedCalls()
