"""The users: everyone who ever signed in, and whether they still may."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from mcptunnel.model import Principal
from mcptunnel.store.clauses import is_of, owner, principal_of
from mcptunnel.store.people.tables import user
from mcptunnel.store.upsert import insert_into


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person; `email` is there only if it was verified, and identifies nobody."""

    principal: Principal
    display_name: str
    email: str | None
    created_s: float
    last_seen_s: float
    disabled_s: float | None = None


class Users:
    """The users, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def seen(
        self, principal: Principal, *, display_name: str, email: str | None, now_s: float
    ) -> User:
        """Store that a person was identified; return what is known, `disabled_s` above all.

        Until the transaction ends nobody else can disable the user, so a session that is opened
        in it is seen by whoever disables the user afterwards.
        """
        told = {"display_name": display_name, "email": email, "last_seen_s": now_s}
        row = self._connection.execute(
            insert_into(self._connection, user)
            .values(**owner(principal), **told, created_s=now_s)
            .on_conflict_do_update(index_elements=["issuer", "subject"], set_=told)
            .returning(user)
        ).one()
        return _user(row)

    def find(self, principal: Principal) -> User | None:
        """Return a user, or None."""
        row = self._connection.execute(select(user).where(is_of(user, principal))).one_or_none()
        return None if row is None else _user(row)

    def list(self) -> Sequence[User]:
        """Return all users in the order in which they first came."""
        query = select(user).order_by(user.c.created_s, user.c.issuer, user.c.subject)
        return [_user(row) for row in self._connection.execute(query)]

    def disable(self, principal: Principal, now_s: float) -> bool:
        """Keep a user out; False if there is none, or that was so before.

        `store.revocation.end_user` also ends what the user has.
        """
        changed = self._connection.execute(
            update(user)
            .where(is_of(user, principal), user.c.disabled_s.is_(None))
            .values(disabled_s=now_s)
        )
        return changed.rowcount == 1

    def enable(self, principal: Principal) -> bool:
        """Let a user in again; False if there is none who was kept out."""
        changed = self._connection.execute(
            update(user)
            .where(is_of(user, principal), user.c.disabled_s.is_not(None))
            .values(disabled_s=None)
        )
        return changed.rowcount == 1

    def forget(self, principal: Principal) -> bool:
        """Remove a user, who may come again as a new one; False if there is none."""
        return self._connection.execute(delete(user).where(is_of(user, principal))).rowcount == 1


def _user(row: Row[Any]) -> User:
    return User(
        principal=principal_of(row),
        display_name=row.display_name,
        email=row.email,
        created_s=row.created_s,
        last_seen_s=row.last_seen_s,
        disabled_s=row.disabled_s,
    )
