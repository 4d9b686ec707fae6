"""The names of tools in the store: what a client once learned goes on meaning the same place."""

from collections.abc import Collection, Iterable
from typing import TypeAlias

from sqlalchemy import Connection, delete, select

from mcptunnel.model import Principal
from mcptunnel.store.tables import tool_name
from mcptunnel.store.upsert import insert_into

NameRow: TypeAlias = tuple[str, str, str, str]
"""(name, installation id, server, tool), as `mcp.names.Row`."""


class Names:
    """The names of all users, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def bind(self, principal: Principal, rows: Iterable[NameRow], now_s: float) -> None:
        """Store names that were bound; one that is stored already stays what it is."""
        values = [
            {
                "issuer": principal.issuer,
                "subject": principal.subject,
                "name": name,
                "installation_id": installation_id,
                "server": server,
                "tool": tool,
                "bound_s": now_s,
            }
            for name, installation_id, server, tool in rows
        ]
        if values:
            statement = insert_into(self._connection, tool_name).on_conflict_do_nothing()
            self._connection.execute(statement, values)

    def forget(self, principal: Principal, names: Collection[str]) -> None:
        """Remove names."""
        for name in names:
            self._connection.execute(
                delete(tool_name).where(
                    tool_name.c.issuer == principal.issuer,
                    tool_name.c.subject == principal.subject,
                    tool_name.c.name == name,
                )
            )

    def change(
        self,
        principal: Principal,
        bound: Iterable[NameRow],
        forgotten: Collection[str],
        now_s: float,
    ) -> None:
        """Remove names, then store others."""
        self.forget(principal, forgotten)
        self.bind(principal, bound, now_s)

    def list(self) -> dict[Principal, list[NameRow]]:
        """Return the names of all users, of each the oldest first."""
        found: dict[Principal, list[NameRow]] = {}
        query = select(tool_name).order_by(tool_name.c.bound_s, tool_name.c.name)
        for row in self._connection.execute(query):
            names = found.setdefault(Principal(row.issuer, row.subject), [])
            names.append((row.name, row.installation_id, row.server, row.tool))
        return found
