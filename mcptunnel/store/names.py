"""Names and URIs in the store: what a client once learned goes on meaning the same place."""

import hashlib
from collections.abc import Collection, Iterable
from typing import TypeAlias

from sqlalchemy import Connection, delete, select

from mcptunnel.model import Principal
from mcptunnel.store.clauses import is_of
from mcptunnel.store.tables import bound_name
from mcptunnel.store.upsert import insert_into

NameRow: TypeAlias = tuple[str, str, str, str]
"""(name, installation id, server, item), as `mcp.names.Row`."""


class Names:
    """The names of all users, seen through one transaction. A name means something within its kind."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def bind(self, principal: Principal, kind: str, rows: Iterable[NameRow], now_s: float) -> None:
        """Store names that were bound; one that is stored already stays what it is.

        One with a NUL character is left out: PostgreSQL has none in its texts.
        """
        values = [
            {
                "issuer": principal.issuer,
                "subject": principal.subject,
                "kind": kind,
                "name_hash": _hash(name),
                "name": name,
                "installation_id": installation_id,
                "server": server,
                "item": item,
                "bound_s": now_s,
            }
            for name, installation_id, server, item in rows
            if "\0" not in name + item
        ]
        if values:
            statement = insert_into(self._connection, bound_name).on_conflict_do_nothing()
            self._connection.execute(statement, values)

    def forget(self, principal: Principal, kind: str, names: Collection[str]) -> None:
        """Remove names."""
        for name in names:
            self._connection.execute(
                delete(bound_name).where(
                    bound_name.c.issuer == principal.issuer,
                    bound_name.c.subject == principal.subject,
                    bound_name.c.kind == kind,
                    bound_name.c.name_hash == _hash(name),
                )
            )

    def forget_device(self, principal: Principal, installation_id: str) -> None:
        """Remove the names of all places of an installation, of every kind."""
        self._connection.execute(
            delete(bound_name).where(
                is_of(bound_name, principal), bound_name.c.installation_id == installation_id
            )
        )

    def change(
        self,
        principal: Principal,
        kind: str,
        bound: Iterable[NameRow],
        forgotten: Collection[str],
        now_s: float,
    ) -> None:
        """Remove names, then store others."""
        self.forget(principal, kind, forgotten)
        self.bind(principal, kind, bound, now_s)

    def list(self) -> dict[tuple[Principal, str], list[NameRow]]:
        """Return the names of all users by user and kind, of each the oldest first."""
        found: dict[tuple[Principal, str], list[NameRow]] = {}
        query = select(bound_name).order_by(bound_name.c.bound_s, bound_name.c.name)
        for row in self._connection.execute(query):
            names = found.setdefault((Principal(row.issuer, row.subject), row.kind), [])
            names.append((row.name, row.installation_id, row.server, row.item))
        return found


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
