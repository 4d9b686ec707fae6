"""What one user listens to on the hub, with all their listens together."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from twisted.internet.interfaces import IDelayedCall

from mcptunnel.mcp.kinds import Kind
from mcptunnel.relay.hub.listen import Listen
from mcptunnel.relay.hub.server_listen import ServerListen

MAX_LISTENS: Final = 2000
"""Listens of one user."""

MAX_USER_URIS: Final = 10_000
MAX_USER_CHARS: Final = 1024 * 1024
"""URIs of all listens of one user, and their characters together."""

Place: TypeAlias = tuple[str, str]
"""(device_key, server)"""

Heard: TypeAlias = dict[str, list[tuple[Listen, str]]]
"""The URIs of one place, as its server calls them: who hears of them, and calls them how."""


@dataclass(slots=True)
class Listeners:
    """The listens of one user; what they want of each server is `heard` at its place.

    `vain` are the URIs that were honoured, and that nobody tells of. `finding` makes both anew, a
    part in each turn; `again` says that meanwhile something changed.
    """

    listens: dict[Listen, None] = field(default_factory=dict)
    servers: dict[Place, ServerListen] = field(default_factory=dict)
    heard: dict[Place, Heard] = field(default_factory=dict)
    vain: frozenset[tuple[Listen, str]] = frozenset()
    uri_count: int = 0
    char_count: int = 0
    soon: IDelayedCall | None = None
    doubt: IDelayedCall | None = None  # when more is known by time alone
    refreshed_s: float = float("-inf")
    finding: Iterator[None] | None = None
    again: bool = False

    @property
    def kinds(self) -> frozenset[Kind]:
        """Return the kinds whose lists somebody wants to hear of."""
        return frozenset(kind for listen in self.listens for kind in listen.kinds)

    def with_room(self, uris: Iterable[str]) -> Iterator[str]:
        """Give the URIs of one more listen, as far as there is room for them."""
        count, chars = self.uri_count, self.char_count
        for uri in uris:
            count, chars = count + 1, chars + len(uri)
            if count > MAX_USER_URIS or chars > MAX_USER_CHARS:
                return
            yield uri

    def add(self, listen: Listen) -> None:
        """Note a listen."""
        self.listens[listen] = None
        self.uri_count += len(listen.places)
        self.char_count += sum(map(len, listen.places))

    def remove(self, listen: Listen) -> None:
        """Forget a listen."""
        del self.listens[listen]
        self.uri_count -= len(listen.places)
        self.char_count -= sum(map(len, listen.places))

    def at(self, place: Place) -> Heard:
        """Return who hears what of a server."""
        return self.heard.get(place, {})

    def stop(self) -> None:
        """Nobody listens any more."""
        for call in (self.soon, self.doubt):
            if call is not None:
                call.cancel()
        for server_listen in self.servers.values():
            server_listen.stop()
