"""The ids of client assertions that were used (RFC 7523 section 3, `jti`): each is good once."""

from sqlalchemy import Connection, delete

from mcptunnel.store.clauses import delete_some
from mcptunnel.store.oauth.tables import assertion
from mcptunnel.store.upsert import insert_into


class Assertions:
    """The used ids, seen through one transaction. A key is the hash of client and `jti`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def use(self, key: bytes, *, expires_s: float, now_s: float) -> bool:
        """Note that an assertion was used; False if it was used before, and has not expired."""
        self._connection.execute(
            delete(assertion).where(assertion.c.key == key, assertion.c.expires_s <= now_s)
        )
        row = self._connection.execute(
            insert_into(self._connection, assertion)
            .values(key=key, expires_s=expires_s)
            .on_conflict_do_nothing()
            .returning(assertion.c.key)
        ).one_or_none()
        return row is not None

    def purge(self, now_s: float, limit: int) -> int:
        """Delete at most `limit` expired ones; return how many there were."""
        return delete_some(self._connection, assertion, assertion.c.expires_s <= now_s, limit)
