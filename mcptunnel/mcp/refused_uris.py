"""URIs that a server was asked to tell changes of, and would not."""

from typing import Final

MAX_URIS: Final = 1000
MAX_CHARS: Final = 256 * 1024
"""What is remembered of one server; who refuses more is asked for nothing any more."""


class RefusedUris:
    """What one server has refused since it began, or since its resources changed the last time."""

    __slots__ = ("_chars", "_is_full", "_uris")

    def __init__(self) -> None:
        self._uris: set[str] = set()
        self._chars = 0
        self._is_full = False

    def __contains__(self, uri: str) -> bool:
        return self._is_full or uri in self._uris

    def add(self, uri: str) -> None:
        """Note that a URI was refused."""
        if uri in self:
            return
        if len(self._uris) >= MAX_URIS or self._chars + len(uri) > MAX_CHARS:
            self._uris.clear()
            self._is_full = True
            return
        self._uris.add(uri)
        self._chars += len(uri)

    def clear(self) -> None:
        """Forget all: the server may think otherwise now."""
        self._uris.clear()
        self._chars, self._is_full = 0, False
