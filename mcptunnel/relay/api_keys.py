"""API keys as bearer tokens."""

from collections.abc import Callable
from math import inf
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mcptunnel.auth.keys import PREFIX, KeyId, matches, parse
from mcptunnel.relay.access import Access, Revoked, access_of_key
from mcptunnel.store.keys import StoredKey

TOUCH_EVERY_S: Final = 60.0


class KeyBook(Protocol):
    """Where the keys are (`store.directory.StoredKeys`)."""

    async def find(self, key_id: KeyId) -> StoredKey | None: ...

    async def touch(self, key_id: KeyId) -> None: ...


class ApiKeys:
    """Finds what a key gives (`credentials.BearerCheck`), and notes now and then that it is in use.

    Of the times that `now_s` tells only differences matter.
    """

    _log = Logger()

    prefix = PREFIX

    def __init__(self, keys: KeyBook, now_s: Callable[[], float]) -> None:
        self._keys = keys
        self._now_s = now_s
        self._touched_s: dict[KeyId, float] = {}

    async def find(self, token: str) -> Access | None:
        """Return what a key gives; None for one that is unknown, mistyped or revoked."""
        parsed = parse(token)
        if parsed is None:
            return None
        stored = await self._keys.find(parsed.id)
        if stored is None or not matches(parsed, stored.secret_hash):
            return None
        record = stored.record
        if record.revoked_s is not None:
            return None
        return access_of_key(record.principal, record.id, record.scope, record.created_s)

    def used(self, access: Access) -> None:
        now_s, key_id = self._now_s(), KeyId(access.grant_id)
        if now_s - self._touched_s.get(key_id, -inf) >= TOUCH_EVERY_S:
            self._touched_s[key_id] = now_s
            touching = Deferred.fromCoroutine(self._keys.touch(key_id))
            touching.addErrback(lambda failure: self._log.failure("cannot note a use", failure))

    def revoked(self, revoked: Revoked) -> None:
        if revoked.grant_id is not None:
            self._touched_s.pop(KeyId(revoked.grant_id), None)
