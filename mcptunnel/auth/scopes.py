"""Scopes (RFC 6749, section 3.3).

Clients differ: no scope, only `offline_access` with a space before it (Claude), or scopes that we do
not know. What is unknown is ignored, and who asks for no scope of a resource gets the default.
"""

from collections.abc import Collection, Iterable
from typing import Final

DEFAULT_SCOPE: Final = "mcp"
READ_SCOPE: Final = "mcp:read"
"""A part of `mcp`: all of the hub but calling tools. A client may ask for it, or a person give no more."""

AGENT_SCOPE: Final = "agent"
"""Registers a device. Only the agent's own client may ask for it: a client's token never does."""

OFFLINE_ACCESS: Final = "offline_access"
CLIENT_SCOPES: Final = frozenset({DEFAULT_SCOPE, READ_SCOPE, OFFLINE_ACCESS})
"""What any MCP client may ask for."""

MAX_SCOPES: Final = 64


def split_scope(text: str | None) -> tuple[str, ...]:
    """Return the scopes in a text, each once, in order; any white space separates."""
    return tuple(dict.fromkeys((text or "").split()[:MAX_SCOPES]))


def join_scope(scopes: Iterable[str]) -> str:
    """Return the `scope` member of an answer."""
    return " ".join(scopes)


def in_order(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return scopes in the order in which they are told: the one that opens something comes first."""
    return tuple(sorted(scopes, key=lambda scope: (scope != DEFAULT_SCOPE, scope)))


def requested_scopes(text: str | None, allowed: Collection[str]) -> tuple[str, ...]:
    """Return what a request for `text` asks for, of what the client may ask for.

    `offline_access` alone opens nothing, so that the first scope of a resource that is allowed comes
    with it: `mcp` where that is possible. What a broader scope among them covers is left out. "" is the
    answer only to a client that may ask for nothing.
    """
    known = without_covered(scope for scope in split_scope(text) if scope in allowed)
    if any(scope != OFFLINE_ACCESS for scope in known):
        return known
    rest = in_order(set(allowed) - {OFFLINE_ACCESS})
    return (*rest[:1], *known)


def narrowed_scopes(granted: Collection[str], text: str | None) -> tuple[str, ...] | None:
    """Return the scopes of a refreshed token, or None when a known one was not granted (RFC 6749, 6).

    Unknown scopes are ignored here as well; a request that names nothing known gets what was granted.
    """
    known = CLIENT_SCOPES | {AGENT_SCOPE}
    asked = tuple(
        scope for scope in split_scope(text) if scope in known or satisfies(granted, scope)
    )
    if not any(scope != OFFLINE_ACCESS for scope in asked):
        return tuple(granted)
    if all(scope == OFFLINE_ACCESS or satisfies(granted, scope) for scope in asked):
        return tuple(scope for scope in asked if scope in granted or scope != OFFLINE_ACCESS)
    return None


def without_covered(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return scopes without those that a broader one among them covers."""
    listed = tuple(scopes)
    return tuple(scope for scope in listed if not satisfies(listed, scope.rpartition(":")[0]))


def satisfies(granted: Collection[str], needed: str) -> bool:
    """Tell whether a scope was granted, itself or by a broader one: `mcp` is broader than `mcp:read`."""
    while needed:
        if needed in granted:
            return True
        needed = needed.rpartition(":")[0]
    return False


def step_up(granted: Collection[str], needed: Collection[str]) -> tuple[str, ...]:
    """Return the scopes to ask for next: what was granted and what is missing (MCP, Scope Challenge Handling)."""
    kept = [scope for scope in granted if scope != OFFLINE_ACCESS]
    return tuple(dict.fromkeys([*kept, *needed]))
