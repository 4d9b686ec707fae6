"""Access tokens, found by hash together with the family that answers for them."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from mcptunnel.model import Principal
from mcptunnel.store.clauses import delete_some, join_scopes, principal_of, split_scopes
from mcptunnel.store.oauth.families import lives
from mcptunnel.store.oauth.tables import access_token, token_family


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A token as it is issued; `audience` is the one resource it opens (RFC 8707)."""

    token_hash: bytes = field(repr=False)
    family_id: str
    audience: str
    scopes: frozenset[str]
    created_s: float
    expires_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A token with whose it is, and when that was granted."""

    token: AccessToken
    principal: Principal
    client_id: str
    granted_s: float


class AccessTokens:
    """The access tokens, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, token: AccessToken) -> None:
        """Store a new token. Raises an error of the database if its family is not there."""
        self._connection.execute(
            insert(access_token).values(
                token_hash=token.token_hash,
                family_id=token.family_id,
                audience=token.audience,
                scopes=join_scopes(token.scopes),
                created_s=token.created_s,
                expires_s=token.expires_s,
            )
        )

    def find(self, token_hash: bytes, now_s: float) -> Access | None:
        """Return what a token opens, or None when it or its family has ended."""
        query = (
            select(
                access_token,
                token_family.c.issuer,
                token_family.c.subject,
                token_family.c.client_id,
                token_family.c.created_s.label("granted_s"),
            )
            .join(token_family, token_family.c.id == access_token.c.family_id)
            .where(
                access_token.c.token_hash == token_hash,
                access_token.c.expires_s > now_s,
                lives(now_s),
            )
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _access(row)

    def revoke(self, token_hash: bytes, now_s: float) -> Access | None:
        """End one token and leave its family alone; return what it opened, or None."""
        access = self.find(token_hash, now_s)
        statement = delete(access_token).where(access_token.c.token_hash == token_hash)
        done = self._connection.execute(statement).rowcount == 1
        return access if done else None

    def purge(self, now_s: float, limit: int) -> int:
        """Delete at most `limit` expired ones; return how many there were."""
        expired = access_token.c.expires_s <= now_s
        return delete_some(self._connection, access_token, expired, limit)


def _access(row: Row[Any]) -> Access:
    return Access(
        token=AccessToken(
            token_hash=row.token_hash,
            family_id=row.family_id,
            audience=row.audience,
            scopes=split_scopes(row.scopes),
            created_s=row.created_s,
            expires_s=row.expires_s,
        ),
        principal=principal_of(row),
        client_id=row.client_id,
        granted_s=row.granted_s,
    )
