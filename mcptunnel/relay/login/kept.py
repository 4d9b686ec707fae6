"""A value from somewhere else that is fetched when it is wanted, and kept for a while."""

from collections.abc import Callable, Coroutine
from math import inf
from typing import Any, Final, Generic, TypeVar

from mcptunnel.auth.oidc.errors import ProviderError
from mcptunnel.net.single_flight import SingleFlight

T = TypeVar("T")

FIRST_RETRY_S: Final = 1.0
MOST_RETRY_S: Final = 60.0


class Kept(Generic[T]):
    """All who want it at the same time share one fetch.

    `fetch` raises ProviderError. A failure is everybody's answer for a second, then two, up to a
    minute: nobody waits for a provider that is down, and it is not asked all the time.
    """

    def __init__(
        self,
        fetch: Callable[[], Coroutine[Any, Any, T]],
        *,
        lifetime_s: float,
        now_s: Callable[[], float],
    ) -> None:
        self._fetch = fetch
        self._lifetime_s = lifetime_s
        self._now_s = now_s
        self._flights: SingleFlight[T] = SingleFlight()
        self._value: T | None = None
        self._fetched_s = -inf
        self._asked_s = -inf
        self._failures = 0
        self._failure = ""

    async def get(self) -> T:
        """Return the value. Raises ProviderError."""
        if self._value is not None and self._now_s() - self._fetched_s < self._lifetime_s:
            return self._value
        if self.retry_in_s() > 0:
            raise ProviderError(self._failure)
        return await self._flights.join("", self._renewed)

    async def newer(self, least_age_s: float) -> T | None:
        """Return a newly fetched value, or None if the last fetch was less than `least_age_s` ago.

        Raises ProviderError.
        """
        if "" not in self._flights and self._now_s() - self._asked_s < least_age_s:
            return None
        return await self._flights.join("", self._renewed)

    def retry_in_s(self) -> float:
        """Return how long `get` will not ask again, because it failed."""
        if not self._failures:
            return 0.0
        wait_s = min(MOST_RETRY_S, FIRST_RETRY_S * 2.0 ** (min(self._failures, 16) - 1))
        return max(0.0, self._asked_s + wait_s - self._now_s())

    def stop(self) -> None:
        """End a fetch that is under way."""
        self._flights.stop()

    async def _renewed(self) -> T:
        self._asked_s = self._now_s()
        try:
            self._value = await self._fetch()
        except ProviderError as error:
            self._failures += 1
            self._failure = str(error)
            self._asked_s = self._now_s()
            raise
        self._failures = 0
        self._fetched_s = self._now_s()
        return self._value
