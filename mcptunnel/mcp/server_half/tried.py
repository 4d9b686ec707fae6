"""`resources/subscribe` at a legacy server that does not declare it, and what becomes of that.

Servers of the Python SDK 1.x take subscriptions and never declare it; others answer with an error. So
each URI is tried, once in a run of the server, or until its resources change.
"""

from collections.abc import Callable
from typing import Final

from mcptunnel.mcp.jsonrpc import RequestId
from mcptunnel.mcp.refused_uris import RefusedUris

MAX_TRIED: Final = 8
"""At once: over HTTP each takes a connection."""

ANSWER_S: Final = 5.0
"""A server that says nothing for so long is believed to tell; over HTTP its answer is not waited for."""


class TriedSubscriptions:
    """The URIs that are wanted, and not answered yet; `refused` are those that were.

    `ask` asks the server for one and returns the id of the request; `drop` tells that nobody waits any
    more for the answer to a request.
    """

    def __init__(self, ask: Callable[[str], int], drop: Callable[[int], None]) -> None:
        self.refused = RefusedUris()
        self._ask = ask
        self._drop = drop
        self._queue: dict[str, None] = {}
        self._own: dict[str, int] = {}
        self._uris: dict[RequestId | None, str] = {}
        self._under_way: dict[RequestId | None, float | None] = {}  # since when, from the next tick

    def is_open(self, uri: str) -> bool:
        """Whether the server has not answered yet."""
        return uri in self._own or uri in self._queue

    def want(self, uri: str) -> None:
        """Ask for a URI, now or when it is its turn."""
        self._queue[uri] = None
        self._ask_next()

    def unwant(self, uri: str) -> bool:
        """Wait no more for a URI; return whether the server was ever asked for it."""
        own = self._own.pop(uri, None)
        if own is not None:
            del self._uris[own]
        if uri not in self._queue:
            return True
        del self._queue[uri]
        return False

    def answered(self, own: RequestId | None) -> str | None:
        """Take an answer; return whose it is, None if nobody waits for it."""
        uri = self._uris.pop(own, None)
        if uri is not None:
            del self._own[uri]
        if own in self._under_way:
            del self._under_way[own]
            self._ask_next()
        return uri

    def tick(self, now_s: float) -> None:
        """Let time pass: a request that takes too long gives way to the next."""
        for own, since_s in tuple(self._under_way.items()):
            if since_s is None:
                self._under_way[own] = now_s
            elif now_s - since_s >= ANSWER_S:
                del self._under_way[own]
                if isinstance(own, int):
                    self._drop(own)
        self._ask_next()

    def _ask_next(self) -> None:
        while self._queue and len(self._under_way) < MAX_TRIED:
            uri = next(iter(self._queue))
            del self._queue[uri]
            own = self._ask(uri)
            self._own[uri], self._uris[own] = own, uri
            self._under_way[own] = None
