"""Levels of log messages (2026-07-28, server/utilities/logging; RFC 5424, section 6.2.1)."""

from collections.abc import Iterable
from typing import Final

from mcptunnel.mcp.meta import LogLevel

LEVELS: Final[tuple[LogLevel, ...]] = (
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
)
"""The most verbose first."""

_RANK: Final[dict[str | None, int]] = {level: rank for rank, level in enumerate(LEVELS)}


def most_verbose(levels: Iterable[LogLevel | None]) -> LogLevel | None:
    """Return the level that shows what any of `levels` shows; None if nobody wants messages."""
    wanted = [level for level in levels if level is not None]
    return min(wanted, key=lambda level: _RANK[level]) if wanted else None


def shows(wanted: LogLevel | None, said: str | None) -> bool:
    """Say whether who wants messages from `wanted` on sees one of the level `said`."""
    rank = _RANK.get(said)
    return wanted is not None and rank is not None and rank >= _RANK[wanted]
