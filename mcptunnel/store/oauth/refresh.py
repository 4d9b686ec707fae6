"""Refresh tokens: each is rotated once, and what comes after that is counted.

Whether a token that was rotated before is a late sibling or a thief's is decided elsewhere.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from sqlalchemy import ColumnElement, Connection, exists, insert, select, update

from mcptunnel.store.clauses import delete_some
from mcptunnel.store.oauth.families import Families, Family, family_of, lives
from mcptunnel.store.oauth.tables import refresh_token, token_family


@dataclass(frozen=True, slots=True, kw_only=True)
class Successor:
    """A new refresh token, for the family of the one that it follows."""

    token_hash: bytes = field(repr=False)
    expires_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """A token with its family; `reuses` counts how often `reuse` succeeded after `rotated_s`."""

    family: Family
    created_s: float
    expires_s: float
    rotated_s: float | None
    reuses: int


@dataclass(frozen=True, slots=True)
class Rotated:
    """The successor is stored and current."""

    family: Family


@dataclass(frozen=True, slots=True)
class AlreadyRotated:
    """Somebody was first, at `rotated_s`; nothing has changed."""

    family: Family
    rotated_s: float
    reuses: int


class NotRotated(StrEnum):
    """Why a token is worth nothing; nothing has changed."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"
    REVOKED = "revoked"


Rotation: TypeAlias = Rotated | AlreadyRotated | NotRotated


class RefreshTokens:
    """The refresh tokens, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, family_id: str, first: Successor, now_s: float) -> None:
        """Store the first token of a family."""
        self._connection.execute(
            insert(refresh_token).values(
                token_hash=first.token_hash,
                family_id=family_id,
                created_s=now_s,
                expires_s=first.expires_s,
                reuses=0,
            )
        )

    def find(self, token_hash: bytes) -> RefreshToken | None:
        """Return a token in whatever state, so that it can be checked before it is rotated."""
        query = (
            select(
                token_family,
                refresh_token.c.created_s.label("token_created_s"),
                refresh_token.c.expires_s.label("token_expires_s"),
                refresh_token.c.rotated_s,
                refresh_token.c.reuses,
            )
            .join(refresh_token, token_family.c.id == refresh_token.c.family_id)
            .where(refresh_token.c.token_hash == token_hash)
        )
        row = self._connection.execute(query).one_or_none()
        if row is None:
            return None
        return RefreshToken(
            family=family_of(row),
            created_s=row.token_created_s,
            expires_s=row.token_expires_s,
            rotated_s=row.rotated_s,
            reuses=row.reuses,
        )

    def rotate(self, token_hash: bytes, successor: Successor, now_s: float) -> Rotation:
        """Replace a current token: of all who try, one gets `Rotated`."""
        changed = self._connection.execute(
            update(refresh_token)
            .where(_is_good(token_hash, now_s), refresh_token.c.rotated_s.is_(None))
            .values(rotated_s=now_s)
        )
        token = self.find(token_hash)
        if changed.rowcount == 1 and token is not None:
            return Rotated(self._succeed(token.family, successor, now_s))
        if token is None:
            return NotRotated.UNKNOWN
        if token.family.revoked_s is not None:
            return NotRotated.REVOKED
        if min(token.expires_s, token.family.expires_s) <= now_s or token.rotated_s is None:
            return NotRotated.EXPIRED
        return AlreadyRotated(token.family, token.rotated_s, token.reuses)

    def reuse(
        self,
        token_hash: bytes,
        successor: Successor,
        *,
        rotated_since_s: float,
        at_most: int,
        now_s: float,
    ) -> Family | None:
        """Let a token that was rotated lately have one more successor, and count that.

        None, and no successor, if it was rotated before `rotated_since_s`, has been reused
        `at_most` times, or has ended.
        """
        changed = self._connection.execute(
            update(refresh_token)
            .where(
                _is_good(token_hash, now_s),
                refresh_token.c.rotated_s >= rotated_since_s,
                refresh_token.c.reuses < at_most,
            )
            .values(reuses=refresh_token.c.reuses + 1)
        )
        token = self.find(token_hash)
        if changed.rowcount != 1 or token is None:
            return None
        return self._succeed(token.family, successor, now_s)

    def purge(self, now_s: float, limit: int) -> int:
        """Delete at most `limit` expired ones; return how many there were.

        A rotated token is kept until then: only so is it noticed when a thief uses it.
        """
        expired = refresh_token.c.expires_s <= now_s
        return delete_some(self._connection, refresh_token, expired, limit)

    def _succeed(self, family: Family, successor: Successor, now_s: float) -> Family:
        self.add(family.id, successor, now_s)
        Families(self._connection).touch(family.id, now_s)
        return family


def _is_good(token_hash: bytes, now_s: float) -> ColumnElement[bool]:
    family = exists().where(token_family.c.id == refresh_token.c.family_id, lives(now_s))
    return (refresh_token.c.token_hash == token_hash) & (refresh_token.c.expires_s > now_s) & family
