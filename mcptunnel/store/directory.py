"""The API keys for a program that runs: asked through the store's threads."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from mcptunnel.auth.keys import RANDOM_BYTES, IssuedKey, KeyId, KeyRecord, Scope
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.store.audited_keys import end_key, make_key
from mcptunnel.store.engine import Store
from mcptunnel.store.keys import Keys, StoredKey
from mcptunnel.store.people.users import Users


class StoredKeys:
    """Makes, lists, finds and revokes keys.

    `random` gives that many random bytes, `epoch_s` the time of day, `revoked` hears of each key that is
    revoked here, in the reactor's thread, before `revoke` returns.
    """

    def __init__(
        self,
        store: Store,
        *,
        random: Callable[[int], bytes],
        epoch_s: Callable[[], float],
        revoked: Callable[[KeyId], None],
        issuer: str = LOCAL_ISSUER,
    ) -> None:
        self._store = store
        self._issuer = issuer
        self._random = random
        self._epoch_s = epoch_s
        self._revoked = revoked

    async def create(self, *, user: str, scope: Scope, name: str) -> IssuedKey:
        """Make a key of a user of the relay's issuer."""
        principal, random, now_s = (
            Principal(self._issuer, user),
            self._random(RANDOM_BYTES),
            self._epoch_s(),
        )
        return await self._store.write(
            lambda connection: make_key(
                connection, principal, scope, name, random=random, now_s=now_s
            )
        )

    async def list(self) -> Sequence[KeyRecord]:
        """Return all keys, revoked ones included, oldest first."""
        return await self._store.read(lambda connection: Keys(connection).list())

    async def find(self, key_id: KeyId) -> StoredKey | None:
        """Return a key with the hash of its secret, or None; a disabled user's is none."""
        return await self._store.read(lambda connection: _find(connection, key_id))

    async def revoke(self, key_id: KeyId) -> bool:
        """End a key; False when there is none, or it was revoked before.

        Of one that was revoked before it is told as well: it may have been in the store alone, by a
        command that saw no relay run.
        """
        now_s = self._epoch_s()
        done = await self._store.write(lambda connection: end_key(connection, key_id, now_s))
        if done or await self.find(key_id) is not None:
            self._revoked(key_id)
        return done

    async def touch(self, key_id: KeyId) -> None:
        """Remember that a key is in use now."""
        now_s = self._epoch_s()
        await self._store.write(lambda connection: Keys(connection).touch(key_id, now_s))


def _find(connection: Connection, key_id: KeyId) -> StoredKey | None:
    found = Keys(connection).find_by_id(key_id)
    if found is None:
        return None
    user = Users(connection).find(found.record.principal)
    return None if user is not None and user.disabled_s is not None else found
