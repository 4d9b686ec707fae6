"""Invitations to the built-in login, the setup token of a new relay, and new passwords: one use each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from mcptunnel.model import Principal
from mcptunnel.store.clauses import delete_some, owner, principal_of
from mcptunnel.store.people.tables import invitation


class InvitationKind(StrEnum):
    """What the bearer may do."""

    SETUP = "setup"
    """become the first user"""
    INVITATION = "invitation"
    """become a user"""
    RESET = "reset"
    """choose another password, as the user that it is for"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A token that was made; `for_subject` is the user's name if that is settled.

    `created_by` is None when no user but the relay or a command made it.
    """

    token_hash: bytes = field(repr=False)
    kind: InvitationKind
    label: str = ""
    for_subject: str | None = None
    created_by: Principal | None = None
    created_s: float
    expires_s: float
    used_s: float | None = None


class Invitations:
    """The invitations, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, made: Invitation) -> None:
        """Store a new one; a setup token replaces all others of its kind."""
        if made.kind is InvitationKind.SETUP:
            self._connection.execute(
                delete(invitation).where(invitation.c.kind == InvitationKind.SETUP.value)
            )
        self._connection.execute(
            insert(invitation).values(
                token_hash=made.token_hash,
                kind=made.kind.value,
                label=made.label,
                for_subject=made.for_subject,
                created_s=made.created_s,
                expires_s=made.expires_s,
                used_s=made.used_s,
                **owner(made.created_by),
            )
        )

    def find(self, token_hash: bytes, now_s: float) -> Invitation | None:
        """Return one that can still be used, or None."""
        query = select(invitation).where(
            invitation.c.token_hash == token_hash,
            invitation.c.used_s.is_(None),
            invitation.c.expires_s > now_s,
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _invitation(row)

    def take(self, token_hash: bytes, now_s: float) -> Invitation | None:
        """Use one: of all who try, one gets it, the others None."""
        row = self._connection.execute(
            update(invitation)
            .where(
                invitation.c.token_hash == token_hash,
                invitation.c.used_s.is_(None),
                invitation.c.expires_s > now_s,
            )
            .values(used_s=now_s)
            .returning(invitation)
        ).one_or_none()
        return None if row is None else _invitation(row)

    def list(self) -> Sequence[Invitation]:
        """Return all that are stored, used and expired ones included, oldest first."""
        query = select(invitation).order_by(invitation.c.created_s, invitation.c.token_hash)
        return [_invitation(row) for row in self._connection.execute(query)]

    def withdraw(self, token_hash: bytes) -> bool:
        """Remove one that was not used; False if there is none."""
        statement = delete(invitation).where(
            invitation.c.token_hash == token_hash, invitation.c.used_s.is_(None)
        )
        return self._connection.execute(statement).rowcount == 1

    def purge(self, now_s: float, limit: int) -> int:
        """Delete at most `limit` expired ones; return how many there were."""
        return delete_some(self._connection, invitation, invitation.c.expires_s <= now_s, limit)


def _invitation(row: Row[Any]) -> Invitation:
    return Invitation(
        token_hash=row.token_hash,
        kind=InvitationKind(row.kind),
        label=row.label,
        for_subject=row.for_subject,
        created_by=None if row.subject is None else principal_of(row),
        created_s=row.created_s,
        expires_s=row.expires_s,
        used_s=row.used_s,
    )
