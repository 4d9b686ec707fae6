"""What an earlier relay left behind in the store, read as one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from mcptunnel.model import Principal
from mcptunnel.store.database import Database
from mcptunnel.store.devices import DeviceRecord, Devices
from mcptunnel.store.mcp_sessions import McpSessionRecord, McpSessions
from mcptunnel.store.names import NameRow, Names


@dataclass(frozen=True, slots=True)
class Past:
    """Devices, names and URIs by user and kind, sessions of legacy clients; always the oldest first."""

    devices: Sequence[DeviceRecord]
    names: Mapping[tuple[Principal, str], Sequence[NameRow]]
    sessions: Sequence[McpSessionRecord]


def read_past(database: Database, *, sessions_since_s: float) -> Past:
    """Read it; sessions that were not used since that time are removed. Raises `StoreError`."""

    def read(connection: Connection) -> Past:
        sessions = McpSessions(connection)
        sessions.purge(sessions_since_s)
        return Past(Devices(connection).list(), Names(connection).list(), sessions.list())

    return database.write(read)
