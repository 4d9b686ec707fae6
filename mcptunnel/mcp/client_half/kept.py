"""Bytes that are kept for clients, such as requests that may have to be sent again: bounded."""

from typing import Final

MAX_KEPT_BYTES: Final = 16 * 1024 * 1024
"""For all calls of one principal."""

MAX_ALL_BYTES: Final = 128 * 1024 * 1024

SMALL_BYTES: Final = 4 * 1024
"""What is at most so large is kept uncounted, even for a client that cannot be asked anything."""


class Kept:
    """Counts what is kept for whom: at most `user_bytes` for one principal, `all_bytes` for all."""

    __slots__ = ("_all_bytes", "_bytes", "_max_all_bytes", "_max_user_bytes")

    def __init__(self, user_bytes: int = MAX_KEPT_BYTES, all_bytes: int = MAX_ALL_BYTES) -> None:
        self._max_user_bytes = user_bytes
        self._max_all_bytes = all_bytes
        self._bytes: dict[str, int] = {}
        self._all_bytes = 0

    def take(self, principal: str, count_bytes: int) -> bool:
        """Count so many bytes more; return whether there is room for them."""
        own_bytes = self._bytes.get(principal, 0) + count_bytes
        if own_bytes > self._max_user_bytes or self._all_bytes + count_bytes > self._max_all_bytes:
            return False
        self._bytes[principal] = own_bytes
        self._all_bytes += count_bytes
        return True

    def give_back(self, principal: str, count_bytes: int) -> None:
        """Count what was taken no longer."""
        if count_bytes:
            self._all_bytes -= count_bytes
            left_bytes = self._bytes[principal] - count_bytes
            if left_bytes:
                self._bytes[principal] = left_bytes
            else:
                del self._bytes[principal]
