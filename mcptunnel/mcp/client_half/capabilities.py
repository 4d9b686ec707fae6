"""What legacy clients and servers say they can do, between the eras.

A capability that cannot be carried through is left out: then nobody relies on it.
"""

from typing import Final

from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_capabilities import APPS
from mcptunnel.mcp.jsonrpc import JsonRpcError, Members

_ELICITATION_SINCE: Final = "2025-06-18"
_MODES_SINCE: Final = "2025-11-25"
_NOTHING: Final = Raw(b"{}")

_SERVER: Final[dict[str, tuple[str, ...]]] = {
    "completions": (),
    "logging": (),
    "prompts": ("listChanged",),
    "resources": ("subscribe", "listChanged"),
    "tools": ("listChanged",),
}
"""The server capabilities that legacy clients know, and their members."""


def to_modern_client(declared: Raw | None, version: str) -> Raw:
    """Return the modern client capabilities of a legacy client that agreed on `version`.

    A declaration that is no object counts for nothing.
    """
    said = _object(declared)
    if not said:
        return _NOTHING
    modern: dict[str, object] = {}
    elicitation = said.get("elicitation")
    if elicitation is not None and version >= _ELICITATION_SINCE:
        modern["elicitation"] = _modes(elicitation, version)
    sampling = said.get("sampling")
    if sampling is not None:
        wanted = ("context", "tools") if version >= _MODES_SINCE else ()
        modern["sampling"] = _some(_object(sampling), wanted)
    if "roots" in said:
        modern["roots"] = {}
    apps = _object(said.get("extensions")).get(APPS)
    if apps is not None:
        modern["extensions"] = {APPS: apps}
    return jsonrpc.raw(modern)


def _modes(elicitation: Raw, version: str) -> dict[str, object]:
    """Return the modes of elicitation; none named means forms (2025-11-25, client/elicitation)."""
    modes = _some(_object(elicitation), ("form", "url")) if version >= _MODES_SINCE else {}
    return modes or {"form": {}}


def to_legacy_server(capabilities: Raw | None) -> Raw:
    """Return the server capabilities that `initialize` tells, of those `server/discover` told."""
    said = _object(capabilities)
    return jsonrpc.raw(
        {
            name: {member: True for member in wanted if _is_true(_object(said[name]).get(member))}
            for name, wanted in _SERVER.items()
            if name in said
        }
    )


def _some(said: Members, wanted: tuple[str, ...]) -> dict[str, object]:
    return {name: {} for name in wanted if name in said}


def _is_true(value: Raw | None) -> bool:
    return value is not None and bytes(value) == b"true"


def _object(value: Raw | None) -> Members:
    try:
        return jsonrpc.members(value)
    except JsonRpcError:
        return {}
