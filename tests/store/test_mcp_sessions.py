"""Sessions of legacy clients in the store."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from mcptunnel.store.database import Database
from mcptunnel.store.mcp_sessions import McpSessionRecord, McpSessions

_T = TypeVar("_T")


def record(number: int, used_s: float = 1.0) -> McpSessionRecord:
    return McpSessionRecord(
        bytes([number]) * 32,
        "local|alice",
        "key:k",
        "2025-11-25",
        b"{}",
        b'{"name":"\xc3\xbc"}',
        "info",
        '["file:///ü"]',
        used_s,
    )


def _do(database: Database, work: Callable[[McpSessions], _T]) -> _T:
    return database.write(lambda connection: work(McpSessions(connection)))


def test_sessions_come_back_as_they_were_last(database: Database) -> None:
    """By their last use; what ended is gone, and may have been unknown."""
    second, first = record(1, 2.0), record(2, 1.0)
    _do(database, lambda sessions: sessions.change([second, first], []))
    bare = replace(record(3, 3.0), client_info=None, log_level=None)
    changed = replace(second, subscriptions="[]", used_s=4.0)
    _do(database, lambda sessions: sessions.change([bare, changed], [first.id_hash, bytes(32)]))
    assert _do(database, McpSessions.list) == [bare, changed]
    _do(database, lambda sessions: sessions.change([], []))
    assert len(_do(database, McpSessions.list)) == 2


def test_what_was_not_used_for_long_is_removed(database: Database) -> None:
    records = [record(number, float(number)) for number in range(5)]
    _do(database, lambda sessions: sessions.change(records, []))
    _do(database, lambda sessions: sessions.purge(3.0))
    assert _do(database, McpSessions.list) == records[3:]
