"""The bodies of all connections that are being read into memory: there is room for so many bytes."""

from typing import Final, Protocol

MAX_HELD_BYTES: Final = 64 * 1024 * 1024
"""What the bodies that are not complete yet may hold, all together."""


class Holder(Protocol):
    """A request that holds a part of its body."""

    held_bytes: int

    def give_way(self) -> None:
        """Drop it: there is no room."""


class HeldBodies:
    """Counts what is held. Over the limit the largest gives way, so that small calls go on."""

    def __init__(self, max_bytes: int = MAX_HELD_BYTES) -> None:
        self._max_bytes = max_bytes
        self._holders: set[Holder] = set()
        self.held_bytes = 0

    def grew(self, holder: Holder, count_bytes: int) -> None:
        """Note that a request holds more bytes."""
        self._holders.add(holder)
        holder.held_bytes += count_bytes
        self.held_bytes += count_bytes
        while self.held_bytes > self._max_bytes:
            largest = max(self._holders, key=lambda held: held.held_bytes)
            self.released(largest)
            largest.give_way()

    def released(self, holder: Holder) -> None:
        """Note that a request holds nothing any more, or that its body is complete."""
        if holder.held_bytes:
            self._holders.discard(holder)
            self.held_bytes -= holder.held_bytes
            holder.held_bytes = 0
