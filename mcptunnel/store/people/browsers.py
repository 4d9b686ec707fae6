"""Browser sessions: who is signed in where. The cookie holds a secret, the store its hash."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from mcptunnel.model import Principal
from mcptunnel.store.clauses import delete_some, is_full, is_of, owner, principal_of
from mcptunnel.store.people.tables import browser_session


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserSession:
    """A session; nobody is signed in when `principal` is None.

    `id` is random, but no secret: it stays the same when the cookie's secret is renewed, and may
    be shown and linked to. `sealed_csrf` is sealed by the caller. `label` says which browser.
    """

    id: str
    secret_hash: bytes = field(repr=False)
    principal: Principal | None
    sealed_csrf: str = field(repr=False)
    label: str = ""
    created_s: float
    last_used_s: float
    expires_s: float


class BrowserSessions:
    """The sessions, seen through one transaction. One that has expired is never returned."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, session: BrowserSession, *, at_most: int) -> bool:
        """Store a new session; False if there are `at_most` already."""
        if is_full(self._connection, browser_session, at_most):
            return False
        self._connection.execute(
            insert(browser_session).values(
                id=session.id,
                secret_hash=session.secret_hash,
                sealed_csrf=session.sealed_csrf,
                label=session.label,
                created_s=session.created_s,
                last_used_s=session.last_used_s,
                expires_s=session.expires_s,
                **owner(session.principal),
            )
        )
        return True

    def find(self, secret_hash: bytes, now_s: float) -> BrowserSession | None:
        """Return the session whose cookie it is, or None."""
        query = select(browser_session).where(
            browser_session.c.secret_hash == secret_hash, browser_session.c.expires_s > now_s
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _session(row)

    def touch(self, session_id: str, now_s: float) -> None:
        """Remember that a session is in use; an older time never replaces a newer one."""
        self._connection.execute(
            update(browser_session)
            .where(browser_session.c.id == session_id, browser_session.c.last_used_s < now_s)
            .values(last_used_s=now_s)
        )

    def renew(
        self,
        secret_hash: bytes,
        new_secret_hash: bytes,
        *,
        principal: Principal | None,
        sealed_csrf: str,
        expires_s: float,
        now_s: float,
    ) -> BrowserSession | None:
        """Give a session another secret, when somebody signs in: the old cookie is worth nothing.

        Of all who try with the same cookie one succeeds, the others get None.
        """
        row = self._connection.execute(
            update(browser_session)
            .where(
                browser_session.c.secret_hash == secret_hash, browser_session.c.expires_s > now_s
            )
            .values(
                secret_hash=new_secret_hash,
                sealed_csrf=sealed_csrf,
                expires_s=expires_s,
                last_used_s=now_s,
                **owner(principal),
            )
            .returning(browser_session)
        ).one_or_none()
        return None if row is None else _session(row)

    def list(self, principal: Principal, now_s: float) -> Sequence[BrowserSession]:
        """Return where a user is signed in, newest use first."""
        query = (
            select(browser_session)
            .where(is_of(browser_session, principal), browser_session.c.expires_s > now_s)
            .order_by(browser_session.c.last_used_s.desc(), browser_session.c.id)
        )
        return [_session(row) for row in self._connection.execute(query)]

    def close(self, principal: Principal | None, session_id: str) -> bool:
        """End a session, with the requests that began in it; False if it is not that user's."""
        statement = delete(browser_session).where(browser_session.c.id == session_id)
        if principal is None:
            statement = statement.where(browser_session.c.subject.is_(None))
        else:
            statement = statement.where(is_of(browser_session, principal))
        return self._connection.execute(statement).rowcount == 1

    def close_all(self, principal: Principal, *, but: str | None = None) -> Sequence[str]:
        """End a user's sessions, all or all but one; return their ids."""
        statement = delete(browser_session).where(is_of(browser_session, principal))
        if but is not None:
            statement = statement.where(browser_session.c.id != but)
        rows = self._connection.execute(statement.returning(browser_session.c.id))
        return sorted(row.id for row in rows)

    def purge(self, now_s: float, *, idle_since_s: float, limit: int) -> int:
        """Delete at most `limit` that expired or were not used since; return how many."""
        over = (browser_session.c.expires_s <= now_s) | (
            browser_session.c.last_used_s <= idle_since_s
        )
        return delete_some(self._connection, browser_session, over, limit)


def _session(row: Row[Any]) -> BrowserSession:
    return BrowserSession(
        id=row.id,
        secret_hash=row.secret_hash,
        principal=None if row.subject is None else principal_of(row),
        sealed_csrf=row.sealed_csrf,
        label=row.label,
        created_s=row.created_s,
        last_used_s=row.last_used_s,
        expires_s=row.expires_s,
    )
