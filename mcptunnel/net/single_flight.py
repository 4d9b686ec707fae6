"""Work that several callers want at the same time, done once for all of them."""

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Work by key. It belongs to this object: a caller who goes away does not end it for the others."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight[T]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, key: str) -> bool:
        return key in self._flights

    async def join(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what the work of this key returns, or raise what it raises; begin it if nobody has."""
        flight = self._flights.get(key)
        if flight is not None:
            return await flight.wait()
        flight = self._flights[key] = _Flight()
        waiting = flight.wait()
        running: Deferred[Any] = Deferred.fromCoroutine(work())
        flight.running = running
        running.addBoth(self._landed, key)
        return await waiting

    def stop(self) -> None:
        """Cancel all work."""
        for flight in list(self._flights.values()):
            if flight.running is not None:
                flight.running.cancel()

    def _landed(self, result: T | Failure, key: str) -> None:
        for waiting in self._flights.pop(key).waiting:
            waiting.callback(result)


class _Flight(Generic[T]):
    """Work under way, and who waits for it."""

    def __init__(self) -> None:
        self.running: Deferred[Any] | None = None
        self.waiting: list[Deferred[T]] = []

    def wait(self) -> Deferred[T]:
        waiting: Deferred[T] = Deferred()
        self.waiting.append(waiting)
        return waiting
