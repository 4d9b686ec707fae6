"""Sessions of legacy MCP clients in the store: so they outlive a relay."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select

from mcptunnel.store.tables import mcp_session
from mcptunnel.store.upsert import insert_into

_ONE: Final = "one"


@dataclass(frozen=True, slots=True)
class McpSessionRecord:
    """One session. The id is known by its SHA-256 alone: whoever reads the store cannot use it.

    `principal` and `client` are whose it is (`mcp.service.Asker`), `capabilities` and `client_info`
    encoded objects, `subscriptions` an encoded array of URIs.
    """

    id_hash: bytes
    principal: str
    client: str
    version: str
    capabilities: bytes
    client_info: bytes | None
    log_level: str | None
    subscriptions: str
    used_s: float


class McpSessions:
    """The sessions of all clients, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def change(self, kept: Collection[McpSessionRecord], ended: Collection[bytes]) -> None:
        """Store sessions as they are now, and remove others, by the hashes of their ids."""
        if ended:
            self._connection.execute(
                delete(mcp_session).where(mcp_session.c.id_hash == bindparam(_ONE)),
                [{_ONE: id_hash} for id_hash in ended],
            )
        if kept:
            statement = insert_into(self._connection, mcp_session)
            newer = {
                column.name: statement.excluded[column.name]
                for column in mcp_session.columns
                if not column.primary_key
            }
            self._connection.execute(
                statement.on_conflict_do_update(index_elements=["id_hash"], set_=newer),
                [asdict(record) for record in kept],
            )

    def purge(self, before_s: float) -> None:
        """Remove what was not used since."""
        self._connection.execute(delete(mcp_session).where(mcp_session.c.used_s < before_s))

    def list(self) -> list[McpSessionRecord]:
        """Return all sessions, the one that was idle the longest first."""
        query = select(mcp_session).order_by(mcp_session.c.used_s, mcp_session.c.id_hash)
        return [McpSessionRecord(*row) for row in self._connection.execute(query)]
