"""The OAuth clients: registered by themselves (RFC 7591), by document (CIMD), or by the operator."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, or_, select, update

from mcptunnel.store.clauses import delete_some, from_json, is_full, to_json
from mcptunnel.store.oauth.tables import client
from mcptunnel.store.upsert import insert_into


class ClientKind(StrEnum):
    """How a client became known."""

    DCR = "dcr"
    CIMD = "cimd"
    STATIC = "static"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client; `metadata` is its RFC 7591 document without a secret.

    `expires_s` is when it goes if nobody has used it by then, None for one that stays.
    """

    id: str
    kind: ClientKind
    metadata: Mapping[str, Any]
    secret_hash: bytes | None = field(default=None, repr=False)
    created_s: float
    last_used_s: float | None = None
    expires_s: float | None = None


class Clients:
    """The clients, seen through one transaction. One that has expired is never returned."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def register(self, new: Client, *, at_most: int, evict_before_s: float) -> Client | None:
        """Store a client that registers itself, or return the one with the same metadata.

        Only clients without a secret are found again. When there are `at_most` clients, the
        oldest of those that were registered before `evict_before_s` and never used goes; if there
        is none, the answer is None.
        """
        known = self._identical(new)
        if known is not None:
            return known
        if is_full(self._connection, client, at_most) and not self._evict(evict_before_s):
            return None
        self.put(new)
        return new

    def put(self, new: Client) -> None:
        """Store a client, in place of the one with its id; when that was used is kept."""
        document = to_json(new.metadata)
        told = {
            "kind": new.kind.value,
            "document": document,
            "document_hash": _digest(document),
            "secret_hash": new.secret_hash,
            "expires_s": new.expires_s,
        }
        self._connection.execute(
            insert_into(self._connection, client)
            .values(id=new.id, created_s=new.created_s, last_used_s=new.last_used_s, **told)
            .on_conflict_do_update(index_elements=["id"], set_=told)
        )

    def find(self, client_id: str, now_s: float) -> Client | None:
        """Return a client, or None."""
        query = select(client).where(client.c.id == client_id, _lives(now_s))
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _client(row)

    def touch(self, client_id: str, now_s: float) -> None:
        """Remember that somebody used a client, which then stays."""
        self._connection.execute(
            update(client)
            .where(
                client.c.id == client_id,
                client.c.last_used_s.is_(None) | (client.c.last_used_s < now_s),
            )
            .values(last_used_s=now_s, expires_s=None)
        )

    def list(self, now_s: float) -> Sequence[Client]:
        """Return all clients, oldest first."""
        query = select(client).where(_lives(now_s)).order_by(client.c.created_s, client.c.id)
        return [_client(row) for row in self._connection.execute(query)]

    def forget(self, client_id: str) -> bool:
        """Remove a client; False if there is none.

        `store.revocation.end_client` also ends what it was granted.
        """
        return (
            self._connection.execute(delete(client).where(client.c.id == client_id)).rowcount == 1
        )

    def purge(self, now_s: float, *, unused_since_s: float, limit: int) -> int:
        """Delete at most `limit` that expired, or registered themselves and were not used since.

        Returns how many there were.
        """
        idle = (client.c.kind == ClientKind.DCR.value) & (client.c.last_used_s <= unused_since_s)
        return delete_some(self._connection, client, or_(client.c.expires_s <= now_s, idle), limit)

    def _identical(self, new: Client) -> Client | None:
        if new.secret_hash is not None:
            return None
        row = self._connection.execute(
            select(client)
            .where(
                client.c.document_hash == _digest(to_json(new.metadata)),
                client.c.kind == new.kind.value,
                client.c.secret_hash.is_(None),
                _lives(new.created_s),
            )
            .order_by(client.c.created_s)
            .limit(1)
        ).one_or_none()
        if row is None:
            return None
        known = _client(row)
        if known.expires_s is None or new.expires_s is None or known.expires_s >= new.expires_s:
            return known
        self._connection.execute(
            update(client)
            .where(client.c.id == known.id, client.c.expires_s.is_not(None))
            .values(expires_s=new.expires_s)
        )
        return replace(known, expires_s=new.expires_s)

    def _evict(self, before_s: float) -> bool:
        oldest = (
            select(client.c.id)
            .where(
                client.c.kind == ClientKind.DCR.value,
                client.c.last_used_s.is_(None),
                client.c.created_s < before_s,
            )
            .order_by(client.c.created_s)
            .limit(1)
        )
        statement = delete(client).where(client.c.id.in_(oldest))
        return self._connection.execute(statement).rowcount == 1


def _lives(now_s: float) -> ColumnElement[bool]:
    return or_(client.c.expires_s.is_(None), client.c.expires_s > now_s)


def _digest(document: str) -> bytes:
    return hashlib.sha256(document.encode()).digest()


def _client(row: Row[Any]) -> Client:
    return Client(
        id=row.id,
        kind=ClientKind(row.kind),
        metadata=from_json(row.document),
        secret_hash=row.secret_hash,
        created_s=row.created_s,
        last_used_s=row.last_used_s,
        expires_s=row.expires_s,
    )
