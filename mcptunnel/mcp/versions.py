"""The protocol versions we speak, and the two eras they fall into (specification, basic/versioning).

Versions are opaque `YYYY-MM-DD` texts. An *era* says how client and server agree on one: a *legacy*
client sends `initialize` once, a *modern* one names the version in every request.
"""

from enum import StrEnum
from typing import Final

LEGACY_VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Versions agreed on by `initialize`, oldest first."""

STREAMABLE_LEGACY: Final = LEGACY_VERSIONS[1:]
"""Those of them that speak Streamable HTTP; 2024-11-05 has HTTP with two endpoints."""

MODERN_VERSIONS: Final = ("2026-07-28",)
"""Versions named in each request, oldest first."""

LATEST_LEGACY: Final = LEGACY_VERSIONS[-1]
LATEST_MODERN: Final = MODERN_VERSIONS[-1]


class Era(StrEnum):
    """How a version is agreed on."""

    MODERN = "modern"
    LEGACY = "legacy"


_ERAS: Final = {
    **dict.fromkeys(LEGACY_VERSIONS, Era.LEGACY),
    **dict.fromkeys(MODERN_VERSIONS, Era.MODERN),
}


def era_of(version: str) -> Era | None:
    """Return the era of a version, or None if we do not know the version."""
    return _ERAS.get(version)


def negotiate_legacy(requested: str) -> str:
    """Return the version to answer `initialize` with (2025-11-25, basic/lifecycle).

    It is the requested one if we speak it, else our latest; the client leaves if it cannot.
    """
    return requested if requested in LEGACY_VERSIONS else LATEST_LEGACY
