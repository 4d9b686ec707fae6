"""Checks credentials: the text of a bearer token to what it gives.

A small cache keeps the store out of the hot path. It is keyed by hash, so that no secret stays in
memory, and what is revoked here leaves it at once; what is revoked elsewhere, after its lifetime.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from mcptunnel.relay.access import Access, Revoked

CACHE_S: Final = 5.0
CACHE_ENTRIES: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    access: Access
    until_s: float


class BearerCheck(Protocol):
    """Knows one kind of bearer tokens, which begin with `prefix`."""

    @property
    def prefix(self) -> str: ...

    async def find(self, token: str) -> Access | None:
        """Return what a token gives as it is now, None if nothing. Raises `store.errors.StoreError`."""

    def used(self, access: Access) -> None:
        """Hear that a token was found good: so often at most as the cache forgets."""

    def revoked(self, revoked: Revoked) -> None:
        """Forget what is remembered of an access that was taken away."""


class Credentials:
    """Answers whose a token is. An unknown, mistyped, expired or revoked one is nobody's.

    Of the times that `now_s` tells only differences matter; `epoch_s` tells the time of day.
    """

    def __init__(
        self,
        checks: Iterable[BearerCheck],
        now_s: Callable[[], float],
        epoch_s: Callable[[], float],
    ) -> None:
        self._checks = tuple(checks)
        self.now_s = now_s
        self._epoch_s = epoch_s
        self._cache: OrderedDict[bytes, _Known] = OrderedDict()
        self._revocations = 0

    def cached(self, token: str) -> Access | None:
        """Return what a token gives if it was checked a moment ago."""
        known = self._cache.get(_digest(token))
        return known.access if known is not None and self.now_s() < known.until_s else None

    async def check(self, token: str) -> Access | None:
        """Return what a token gives, or None. Raises `store.errors.StoreError`."""
        for check in self._checks:
            if token.startswith(check.prefix):
                access = await self._find(check, token)
                left_s = 0.0 if access is None else self._left_s(access)
                if access is None or left_s <= 0:
                    return None
                self._remember(token, access, left_s)
                check.used(access)
                return access
        return None

    async def _find(self, check: BearerCheck, token: str) -> Access | None:
        """Return an access as it is now: what was read before a revocation is read again."""
        while True:
            revocations = self._revocations
            access = await check.find(token)
            if revocations == self._revocations:
                return access

    def _left_s(self, access: Access) -> float:
        """Return for how long an access may be believed."""
        if access.expires_s is None:
            return CACHE_S
        return min(CACHE_S, access.expires_s - self._epoch_s())

    def _remember(self, token: str, access: Access, left_s: float) -> None:
        self._cache[_digest(token)] = _Known(access, self.now_s() + left_s)
        if len(self._cache) > CACHE_ENTRIES:
            self._cache.popitem(last=False)

    def revoked(self, revoked: Revoked) -> None:
        """Forget at once what was taken away."""
        self._revocations += 1
        for digest, known in list(self._cache.items()):
            if revoked.takes(known.access):
                del self._cache[digest]
        for check in self._checks:
            check.revoked(revoked)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
