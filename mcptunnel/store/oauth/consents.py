"""What users have consented to, so that they need not be asked the same again."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from mcptunnel.model import Principal
from mcptunnel.store.clauses import is_of, is_theirs, join_scopes, owner, principal_of, split_scopes
from mcptunnel.store.oauth.tables import consent
from mcptunnel.store.upsert import insert_into


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A user lets a client, at a redirect URI, use a resource with these scopes."""

    principal: Principal
    client_id: str
    redirect_uri: str
    resource: str
    scopes: frozenset[str]
    granted_s: float


class Consents:
    """The consents, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def remember(self, given: Consent) -> None:
        """Store a consent, in place of an older one that differs only in scopes."""
        told = {"scopes": join_scopes(given.scopes), "granted_s": given.granted_s}
        self._connection.execute(
            insert_into(self._connection, consent)
            .values(
                key=_key(given.principal, given.client_id, given.redirect_uri, given.resource),
                client_id=given.client_id,
                redirect_uri=given.redirect_uri,
                resource=given.resource,
                **owner(given.principal),
                **told,
            )
            .on_conflict_do_update(index_elements=["key"], set_=told)
        )

    def find(
        self, principal: Principal, client_id: str, redirect_uri: str, resource: str
    ) -> Consent | None:
        """Return what was consented to for exactly these, or None."""
        key = _key(principal, client_id, redirect_uri, resource)
        row = self._connection.execute(select(consent).where(consent.c.key == key)).one_or_none()
        return None if row is None else _consent(row)

    def list(self, principal: Principal, *, client_id: str | None = None) -> Sequence[Consent]:
        """Return a user's consents, all or those to one client, oldest first."""
        query = (
            select(consent)
            .where(is_of(consent, principal))
            .order_by(consent.c.granted_s, consent.c.key)
        )
        if client_id is not None:
            query = query.where(consent.c.client_id == client_id)
        return [_consent(row) for row in self._connection.execute(query)]

    def forget(self, *, principal: Principal | None = None, client_id: str | None = None) -> int:
        """Remove those of a user, of a client, or of both; return how many there were.

        Raises ValueError for neither.
        """
        statement = delete(consent).where(is_theirs(consent, principal, client_id))
        return self._connection.execute(statement).rowcount


def _key(principal: Principal, client_id: str, redirect_uri: str, resource: str) -> bytes:
    # Together these are longer than what PostgreSQL takes into an index.
    parts = [principal.issuer, principal.subject, client_id, redirect_uri, resource]
    return hashlib.sha256(json.dumps(parts).encode()).digest()


def _consent(row: Row[Any]) -> Consent:
    return Consent(
        principal=principal_of(row),
        client_id=row.client_id,
        redirect_uri=row.redirect_uri,
        resource=row.resource,
        scopes=split_scopes(row.scopes),
        granted_s=row.granted_s,
    )
