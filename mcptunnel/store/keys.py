"""The API keys in the store."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, insert, select, update

from mcptunnel.auth.keys import (
    IssuedKey,
    KeyId,
    KeyRecord,
    Scope,
    hash_secret,
    mint,
    parse,
)
from mcptunnel.model import Principal
from mcptunnel.store.tables import api_key


class StoredKey(NamedTuple):
    """A key's record and the hash of its secret."""

    record: KeyRecord
    secret_hash: bytes


class Keys:
    """The keys, seen through one transaction; times are arguments, in seconds since the epoch."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def issue(
        self, principal: Principal, scope: Scope, name: str, *, random: bytes, now_s: float
    ) -> IssuedKey:
        """Make a key from `auth.keys.RANDOM_BYTES` random bytes and store its hash."""
        key_id, text = mint(random)
        record = KeyRecord(id=key_id, scope=scope, principal=principal, name=name, created_s=now_s)
        parsed = parse(text)
        assert parsed is not None  # noqa: S101 - mint's own text
        self.create(record, hash_secret(parsed.secret))
        return IssuedKey(record=record, text=text)

    def create(self, record: KeyRecord, secret_hash: bytes) -> None:
        """Store a new key."""
        self._connection.execute(
            insert(api_key).values(
                id=record.id,
                secret_hash=secret_hash,
                scope=record.scope.value,
                issuer=record.principal.issuer,
                subject=record.principal.subject,
                name=record.name,
                created_s=record.created_s,
                last_used_s=record.last_used_s,
                revoked_s=record.revoked_s,
            )
        )

    def find_by_id(self, key_id: KeyId) -> StoredKey | None:
        """Return a key, revoked ones included, or None."""
        row = self._connection.execute(select(api_key).where(api_key.c.id == key_id)).one_or_none()
        return None if row is None else StoredKey(key_of(row), row.secret_hash)

    def list(self, principal: Principal | None = None) -> Sequence[KeyRecord]:
        """Return the keys of a user, or all, oldest first."""
        query = select(api_key).order_by(api_key.c.created_s, api_key.c.id)
        if principal is not None:
            query = query.where(
                api_key.c.issuer == principal.issuer, api_key.c.subject == principal.subject
            )
        return [key_of(row) for row in self._connection.execute(query)]

    def revoke(self, key_id: KeyId, now_s: float) -> bool:
        """End a key for good; False when there is none, or it was revoked before."""
        changed = self._connection.execute(
            update(api_key)
            .where(api_key.c.id == key_id, api_key.c.revoked_s.is_(None))
            .values(revoked_s=now_s)
        )
        return changed.rowcount == 1

    def touch(self, key_id: KeyId, now_s: float) -> None:
        """Remember that a key was used; an older time never replaces a newer one."""
        self._connection.execute(
            update(api_key)
            .where(
                api_key.c.id == key_id,
                api_key.c.last_used_s.is_(None) | (api_key.c.last_used_s < now_s),
            )
            .values(last_used_s=now_s)
        )


def key_of(row: Row[Any]) -> KeyRecord:
    """Return the key in a row of `api_key`."""
    return KeyRecord(
        id=KeyId(row.id),
        scope=Scope(row.scope),
        principal=Principal(row.issuer, row.subject),
        name=row.name,
        created_s=row.created_s,
        last_used_s=row.last_used_s,
        revoked_s=row.revoked_s,
    )
