"""JSON objects from strangers: client registrations, client documents, key sets, discovery documents."""

import json
from collections.abc import Mapping
from typing import Any

from mcptunnel.errors import McpTunnelError


class NotAnObjectError(McpTunnelError):
    """Bytes that are not one JSON object, or too many of them."""


def parse_object(raw: bytes, *, max_bytes: int) -> dict[str, Any]:
    """Return a JSON object (RFC 8259). Raises NotAnObjectError, also for a member that comes twice."""
    if len(raw) > max_bytes:
        raise NotAnObjectError(f"The document is larger than {max_bytes} bytes")
    try:
        parsed = json.loads(raw.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise NotAnObjectError("The document is not JSON") from None
    if not isinstance(parsed, dict):
        raise NotAnObjectError("The document is not a JSON object")
    return parsed


def text_member(members: Mapping[str, Any], name: str, max_chars: int) -> str | None:
    """Return a member that is a text of 1 to `max_chars` characters, else None: it is ignored."""
    value = members.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= max_chars else None


def text_list(members: Mapping[str, Any], name: str) -> list[str] | None:
    """Return a member that is a list of texts, else None."""
    value = members.get(name)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("A member comes twice")
    return members


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
