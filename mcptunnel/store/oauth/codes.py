"""Authorization codes: one use each, and whoever uses one again is told whose tokens to end."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update

from mcptunnel.model import Principal
from mcptunnel.store.clauses import (
    delete_some,
    is_theirs,
    join_scopes,
    owner,
    principal_of,
    split_scopes,
)
from mcptunnel.store.oauth.tables import auth_code


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthCode:
    """A code and what it is bound to; `family_id` names the grant that its tokens will belong to."""

    code_hash: bytes = field(repr=False)
    principal: Principal
    client_id: str
    redirect_uri: str
    challenge: str
    resource: str
    scopes: frozenset[str]
    family_id: str
    created_s: float
    expires_s: float
    used_s: float | None = None


@dataclass(frozen=True, slots=True)
class CodeTaken:
    """The code is the caller's, and nobody else's."""

    code: AuthCode


@dataclass(frozen=True, slots=True)
class CodeUsed:
    """Somebody has used the code before (RFC 6749 section 4.1.2: revoke what came of it)."""

    code: AuthCode


CodeTake: TypeAlias = CodeTaken | CodeUsed | None
"""None: there is no such code, or it has expired unused."""


class AuthCodes:
    """The codes, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, code: AuthCode) -> None:
        """Store a new code."""
        self._connection.execute(
            insert(auth_code).values(
                code_hash=code.code_hash,
                client_id=code.client_id,
                redirect_uri=code.redirect_uri,
                challenge=code.challenge,
                resource=code.resource,
                scopes=join_scopes(code.scopes),
                family_id=code.family_id,
                created_s=code.created_s,
                expires_s=code.expires_s,
                used_s=code.used_s,
                **owner(code.principal),
            )
        )

    def find(self, code_hash: bytes) -> AuthCode | None:
        """Return a code, used and expired ones included, so that it can be checked before `take`."""
        row = self._connection.execute(
            select(auth_code).where(auth_code.c.code_hash == code_hash)
        ).one_or_none()
        return None if row is None else _code(row)

    def take(self, code_hash: bytes, now_s: float) -> CodeTake:
        """Use a code: of all who try, one gets `CodeTaken`.

        The family and its tokens belong into the same transaction, so that whoever gets
        `CodeUsed` finds them to revoke.
        """
        row = self._connection.execute(
            update(auth_code)
            .where(
                auth_code.c.code_hash == code_hash,
                auth_code.c.used_s.is_(None),
                auth_code.c.expires_s > now_s,
            )
            .values(used_s=now_s)
            .returning(auth_code)
        ).one_or_none()
        if row is not None:
            return CodeTaken(_code(row))
        known = self.find(code_hash)
        return None if known is None or known.used_s is None else CodeUsed(known)

    def forget(self, *, principal: Principal | None = None, client_id: str | None = None) -> int:
        """Remove those for a user, a client, or both; return how many there were.

        Raises ValueError for neither.
        """
        statement = delete(auth_code).where(is_theirs(auth_code, principal, client_id))
        return self._connection.execute(statement).rowcount

    def purge(self, *, expired_before_s: float, limit: int) -> int:
        """Delete at most `limit` that expired before then; return how many there were.

        A used code is worth keeping for a while: only then is its second use noticed.
        """
        expired: ColumnElement[bool] = auth_code.c.expires_s < expired_before_s
        return delete_some(self._connection, auth_code, expired, limit)


def _code(row: Row[Any]) -> AuthCode:
    return AuthCode(
        code_hash=row.code_hash,
        principal=principal_of(row),
        client_id=row.client_id,
        redirect_uri=row.redirect_uri,
        challenge=row.challenge,
        resource=row.resource,
        scopes=split_scopes(row.scopes),
        family_id=row.family_id,
        created_s=row.created_s,
        expires_s=row.expires_s,
        used_s=row.used_s,
    )
