"""The way back to a client for a person who could not sign in: the client hears why (RFC 6749, 4.1.2.1)."""

from typing import Final

from mcptunnel.auth.errors import ErrorCode

KEPT: Final = "/authorize?request="
LEFT: Final = "left"

_LEFT: Final = {
    "denied": ErrorCode.ACCESS_DENIED,
    "unavailable": ErrorCode.TEMPORARILY_UNAVAILABLE,
}


def back_path(path: str, code: ErrorCode) -> str:
    """Return where a person leaves a client's request, if that is what `path` goes on to; else ""."""
    if not path.startswith(KEPT) or "&" in path:
        return ""
    why = next(name for name, known in _LEFT.items() if known is code)
    return f"{path}&{LEFT}={why}"


def left_code(why: str) -> ErrorCode | None:
    """Return what the client is told, or None for a reason that is none of ours."""
    return _LEFT.get(why)
