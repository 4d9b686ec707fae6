"""What a listen has heard and its client is too slow to take: each change once, bounded."""

from typing import Final

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import Notification

MAX_HELD: Final = 1024
"""Different changes that are held for one listen."""

MAX_HELD_BYTES: Final = 256 * 1024
"""All of them; what has no room is left out."""


class HeldNews:
    """The changes, encoded: a message as it came may hold on to far more than itself."""

    __slots__ = ("_messages", "_size_bytes")

    def __init__(self) -> None:
        self._messages: dict[bytes, None] = {}
        self._size_bytes = 0

    def add(self, message: Notification) -> None:
        """Hold a change, unless it is held already, or has no room."""
        encoded = jsonrpc.encode(message)
        if encoded in self._messages or len(self._messages) >= MAX_HELD:
            return
        if self._size_bytes + len(encoded) <= MAX_HELD_BYTES:
            self._messages[encoded] = None
            self._size_bytes += len(encoded)

    def take(self) -> list[bytes]:
        """Return all changes, and hold none."""
        messages, self._messages = self._messages, {}
        self._size_bytes = 0
        return list(messages)
