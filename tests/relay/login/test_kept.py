"""Values that are fetched when they are wanted, and kept."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.auth.oidc.errors import ProviderError
from mcptunnel.relay.login.kept import MOST_RETRY_S, Kept
from tests.relay.coroutines import begun, now, result


class Source:
    """Gives numbers, or fails."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.count = 0
        self.fault = ""
        self.held: Deferred[None] | None = None
        self.kept: Kept[int] = Kept(self.fetch, lifetime_s=100, now_s=self.clock.seconds)

    async def fetch(self) -> int:
        self.count += 1
        if self.held is not None:
            await self.held
        if self.fault:
            raise ProviderError(self.fault)
        return self.count

    def get(self) -> int:
        return now(self.kept.get())


def test_a_value_lives_for_its_time() -> None:
    """At the end of it, it is fetched again."""
    source = Source()
    assert [source.get(), source.get()] == [1, 1]
    source.clock.advance(99.9)
    assert source.get() == 1
    source.clock.advance(0.1)
    assert source.get() == 2


def test_a_failure_is_everybodys_answer_for_a_while() -> None:
    """Twice as long each time, up to a minute; every caller gets an error of its own."""
    source = Source()
    source.fault = "down"
    waits: list[float] = []
    for _ in range(9):
        errors: list[Any] = []
        for _ in range(2):
            with pytest.raises(ProviderError, match="down") as caught:
                source.get()
            errors.append(caught.value)
        assert errors[0] is not errors[1]
        waits.append(source.kept.retry_in_s())
        source.clock.advance(waits[-1])
    assert waits == [1, 2, 4, 8, 16, 32, MOST_RETRY_S, MOST_RETRY_S, MOST_RETRY_S]
    assert source.count == 9
    source.fault = ""
    assert source.get() == 10
    assert source.kept.retry_in_s() == 0


def test_newer_is_bounded() -> None:
    """What was fetched, or tried, a moment ago is not fetched again."""
    source = Source()
    assert now(source.kept.newer(60)) == 1
    assert now(source.kept.newer(60)) is None
    source.clock.advance(60)
    source.fault = "down"
    with pytest.raises(ProviderError):
        now(source.kept.newer(60))
    assert now(source.kept.newer(60)) is None
    assert source.get() == 1  # what was known still counts
    assert source.count == 2


def test_newer_joins_a_fetch_under_way() -> None:
    """All who wait get what it brings."""
    source = Source()
    source.held = Deferred()
    waiting: list[list[Any]] = [
        begun(source.kept.get()),
        begun(source.kept.newer(60)),
        begun(source.kept.newer(60)),
    ]
    source.held.callback(None)
    assert [result(one) for one in waiting] == [1, 1, 1]


def test_stop_ends_a_fetch() -> None:
    """Nothing is left that could come back later."""
    source = Source()
    source.held = Deferred()
    waiting = begun(source.kept.get())
    source.kept.stop()
    assert source.held.called
    assert len(waiting) == 1
