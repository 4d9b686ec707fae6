"""The passwords of the built-in login, as argon2 hashes that others make and check."""

from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, func, select, update

from mcptunnel.store.people.tables import local_password
from mcptunnel.store.upsert import insert_into


@dataclass(frozen=True, slots=True)
class Password:
    """What is stored of a password, and when it was chosen."""

    argon2: str = field(repr=False)
    changed_s: float


class Passwords:
    """The passwords of local users by name, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, subject: str, argon2: str, now_s: float) -> None:
        """Store a user's new password. Raises ValueError for a text that is no argon2 hash."""
        values = {"argon2": _checked(argon2), "changed_s": now_s}
        self._connection.execute(
            insert_into(self._connection, local_password)
            .values(subject=subject, **values)
            .on_conflict_do_update(index_elements=["subject"], set_=values)
        )

    def find(self, subject: str) -> Password | None:
        """Return a user's password, or None."""
        row = self._connection.execute(
            select(local_password).where(local_password.c.subject == subject)
        ).one_or_none()
        return None if row is None else Password(row.argon2, row.changed_s)

    def rehash(self, subject: str, old: str, new: str) -> bool:
        """Replace the hash of the same password by a stronger one; False if it has changed."""
        changed = self._connection.execute(
            update(local_password)
            .where(local_password.c.subject == subject, local_password.c.argon2 == old)
            .values(argon2=_checked(new))
        )
        return changed.rowcount == 1

    def forget(self, subject: str) -> bool:
        """Remove a user's password; False if there is none."""
        statement = delete(local_password).where(local_password.c.subject == subject)
        return self._connection.execute(statement).rowcount == 1

    def count(self) -> int:
        """Return how many users have one."""
        query = select(func.count()).select_from(local_password)
        return self._connection.execute(query).scalar_one()


def _checked(argon2: str) -> str:
    if not argon2.startswith("$argon2"):
        raise ValueError("this is no argon2 hash")
    return argon2
