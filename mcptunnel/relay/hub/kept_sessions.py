"""Changes of legacy clients' sessions on their way to the store: many together, soon."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Raw
from twisted.internet.interfaces import IDelayedCall

from mcptunnel.mcp.client_half.session import McpSession
from mcptunnel.mcp.meta import LogLevel
from mcptunnel.mcp.service import Asker
from mcptunnel.store.mcp_sessions import McpSessionRecord

DELAY_S: Final = 0.05
"""What changes so soon after another is written with it."""

Write: TypeAlias = Callable[[Collection[McpSessionRecord], Collection[bytes]], None]
"""Writes what is kept, and which ended."""

_levels: msgspec.json.Decoder[LogLevel | None] = msgspec.json.Decoder(LogLevel | None)
_uris = msgspec.json.Decoder(tuple[str, ...])


class KeptSessions:
    """Collects changes (`sessions.Keeper`); of one session only the last counts."""

    def __init__(self, reactor: Any, write: Write) -> None:
        self._reactor = reactor
        self._write = write
        self._changed: dict[bytes, tuple[McpSession, float] | None] = {}
        self._soon: IDelayedCall | None = None

    def keep(self, id_hash: bytes, session: McpSession, used_s: float) -> None:
        self._note(id_hash, (session, used_s))

    def drop(self, id_hash: bytes) -> None:
        self._note(id_hash, None)

    def flush(self) -> None:
        """Write what was collected now."""
        if self._soon is not None:
            self._soon.cancel()
            self._flush()

    def _note(self, id_hash: bytes, change: tuple[McpSession, float] | None) -> None:
        self._changed[id_hash] = change
        if self._soon is None:
            self._soon = self._reactor.callLater(DELAY_S, self._flush)

    def _flush(self) -> None:
        self._soon = None
        changed, self._changed = self._changed, {}
        ended = [id_hash for id_hash, change in changed.items() if change is None]
        kept = [_record(id_hash, *change) for id_hash, change in changed.items() if change]
        self._write(kept, ended)


def restored(
    records: Iterable[McpSessionRecord],
) -> Iterator[tuple[bytes, McpSession, float]]:
    """Return the sessions of records, without their ids, as `sessions.McpSessions` takes them."""
    for record in records:
        session = McpSession(
            "",
            Asker(record.principal, record.client),
            record.version,
            Raw(record.capabilities),
            None if record.client_info is None else Raw(record.client_info),
            _levels.decode(msgspec.json.encode(record.log_level)),
            _uris.decode(record.subscriptions),
        )
        yield record.id_hash, session, record.used_s


def _record(id_hash: bytes, session: McpSession, used_s: float) -> McpSessionRecord:
    info = session.client_info
    return McpSessionRecord(
        id_hash,
        session.asker.principal,
        session.asker.client,
        session.version,
        bytes(session.capabilities),
        None if info is None else bytes(info),
        session.log_level,
        msgspec.json.encode(session.subscriptions).decode(),
        used_s,
    )
