"""The streams that stay open for as long as the client likes: bounded, and ended when we say so."""

from typing import Final, Protocol

from mcptunnel.mcp.service import Asker

MAX_STREAMS: Final = 1000
"""Such streams of one principal."""


class Ending(Protocol):
    """A stream that can be ended in order."""

    def end(self) -> None:
        """End it; it leaves `Streams` by itself."""


class Streams:
    """Knows all open streams, and whose they are."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: dict[str, dict[Ending, None]] = {}

    def add(self, asker: Asker, stream: Ending) -> bool:
        """Note a stream; False if its principal has too many."""
        own = self._open.setdefault(asker.principal, {})
        if len(own) >= MAX_STREAMS:
            return False
        own[stream] = None
        return True

    def remove(self, asker: Asker, stream: Ending) -> None:
        """Note that a stream is over, if it was noted."""
        own = self._open.get(asker.principal)
        if own is not None:
            own.pop(stream, None)
            if not own:
                del self._open[asker.principal]

    def end(self) -> None:
        """End all streams."""
        for own in tuple(self._open.values()):
            for stream in tuple(own):
                stream.end()
