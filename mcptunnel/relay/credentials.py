"""Checks credentials: the text of a bearer token to what it gives.

A small cache keeps the store out of the hot path. It is keyed by hash, so that no secret stays in
memory, and what is revoked here leaves it at once; what is revoked elsewhere, after its lifetime.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mcptunnel.auth.keys import KeyId, matches, parse
from mcptunnel.relay.access import Access, client_of
from mcptunnel.store.keys import StoredKey

CACHE_S: Final = 5.0
CACHE_ENTRIES: Final = 10_000
TOUCH_EVERY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Known:
    access: Access
    until_s: float


class KeyBook(Protocol):
    """Where the keys are (`store.directory.StoredKeys`)."""

    async def find(self, key_id: KeyId) -> StoredKey | None: ...

    async def touch(self, key_id: KeyId) -> None: ...


class Credentials:
    """Answers whose a token is. An unknown, mistyped or revoked one is nobody's.

    Of the times that `now_s` tells only differences matter.
    """

    _log = Logger()

    def __init__(self, keys: KeyBook, now_s: Callable[[], float]) -> None:
        self._keys = keys
        self.now_s = now_s
        self._cache: OrderedDict[bytes, _Known] = OrderedDict()
        self._touched_s: dict[KeyId, float] = {}
        self._revocations = 0

    def cached(self, token: str) -> Access | None:
        """Return what a token gives if it was checked a moment ago."""
        known = self._cache.get(_digest(token))
        return known.access if known is not None and self.now_s() < known.until_s else None

    async def check(self, token: str) -> Access | None:
        """Return what a token gives, or None. Raises `store.errors.StoreError`."""
        parsed = parse(token)
        if parsed is None:
            return None
        stored = await self._find(parsed.id)
        if stored is None or not matches(parsed, stored.secret_hash):
            return None
        record = stored.record
        if record.revoked_s is not None:
            return None
        access = Access(record.principal, client_of(record.id), record.id, record.scope)
        self._cache[_digest(token)] = _Known(access, self.now_s() + CACHE_S)
        if len(self._cache) > CACHE_ENTRIES:
            self._cache.popitem(last=False)
        self._touch(record.id)
        return access

    async def _find(self, key_id: KeyId) -> StoredKey | None:
        """Return a key as it is now: what was read before a revocation is read again."""
        while True:
            revocations = self._revocations
            stored = await self._keys.find(key_id)
            if revocations == self._revocations:
                return stored

    def revoked(self, key_id: KeyId) -> None:
        """Forget a key at once."""
        self._revocations += 1
        for digest, known in list(self._cache.items()):
            if known.access.key_id == key_id:
                del self._cache[digest]
        self._touched_s.pop(key_id, None)

    def _touch(self, key_id: KeyId) -> None:
        """Remember the use of a key, now and then."""
        now_s = self.now_s()
        if now_s - self._touched_s.get(key_id, -inf) >= TOUCH_EVERY_S:
            self._touched_s[key_id] = now_s
            touching = Deferred.fromCoroutine(self._keys.touch(key_id))
            touching.addErrback(lambda failure: self._log.failure("cannot note a use", failure))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
