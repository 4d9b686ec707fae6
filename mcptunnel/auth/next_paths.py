"""Where a person goes on after signing in: a path of our own, and nothing else (threat 4)."""

import re
from typing import Final

HOME: Final = "/"
MAX_CHARS: Final = 4096

_PATH: Final = re.compile(r"/(?![/\\])[A-Za-z0-9\-._~:/?@!$&'()*+,;=%]*")
_NOT_AGAIN: Final = re.compile(r"/(login|logout|callback|setup|invite|reset)(?![^/?])")


def next_path(wanted: str | None) -> str:
    """Return a path that was asked for, or `HOME` if it could lead elsewhere, or back into the sign-in."""
    if wanted is None or len(wanted) > MAX_CHARS or not _PATH.fullmatch(wanted):
        return HOME
    return HOME if _NOT_AGAIN.match(wanted) else wanted
