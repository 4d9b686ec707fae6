"""The URIs under which a user's clients see the resources of all their servers.

A URI passes as it is, and belongs to the server that was the first to list it. Where another server
lists the same one, that server's gets a *wrapped* form: the URI itself behind a prefix that stands for
the place, `mcptunnel+files:k3j5x2aa/file:///a`. So templates can be wrapped as well, and every URI
that is made of one finds back. Two schemes keep their meaning (2026-07-28, server/resources): `ui:` is
wrapped inside `ui:`, for hosts of MCP Apps go by that; `https:` and `http:` are never wrapped, since
the whole world means one thing by them.

Links in results are not listed. Such a URI belongs to the server that mentioned it first, for as long
as it is among the last MAX_SEEN that were mentioned.
"""

from collections import OrderedDict
from collections.abc import Callable, Container, Iterable
from itertools import count
from typing import Final, Self, TypeAlias

from mcptunnel.mcp.kinds import MAX_URI_CHARS
from mcptunnel.mcp.names import Row, Target, digest

SCHEME: Final = "mcptunnel+"
UI_SCHEME: Final = "ui://"
UI_HOST: Final = "ui://mcptunnel-"

MAX_SEEN: Final = 1000
"""URIs of one user that only results mentioned, and whose server is remembered."""

_WORLDWIDE: Final = ("https://", "http://")

_Place: TypeAlias = tuple[str, str]
"""(device_key, server)"""


class UriTable:
    """Whose URI is whose, for one user. URI templates are URIs here like all others.

    Only contested URIs and prefixes need to be stored (`take_bound`): every other one is again its
    server's as soon as that server is listed.
    """

    __slots__ = ("_bound", "_contested", "_owners", "_prefixes", "_seen", "_wrapping")

    def __init__(self) -> None:
        self._owners: dict[str, _Place] = {}
        self._contested: set[str] = set()
        self._seen: OrderedDict[str, _Place] = OrderedDict()
        self._prefixes: dict[str, _Place] = {}
        self._wrapping: dict[_Place, tuple[str, str]] = {}
        self._bound: list[Row] = []

    @classmethod
    def from_rows(cls, rows: Iterable[Row]) -> Self:
        """Return a table with what an earlier one bound. A row without an item is a prefix."""
        table = cls()
        for name, device_key, server, item in rows:
            if item:
                table._owners[name] = (device_key, server)
                table._contested.add(name)
            else:
                table._keep_prefix(name, (device_key, server))
        return table

    def take_bound(self) -> list[Row]:
        """Return what was bound since the last call: a store keeps it."""
        bound, self._bound = self._bound, []
        return bound

    def __len__(self) -> int:
        return len(self._owners)

    def expose(self, device_key: str, server: str, uri: str) -> str | None:
        """Return what a listed URI is called, the same from now on; None for one listed already."""
        place = (device_key, server)
        owner = None if _is_ours(uri) else self._owners.get(uri)
        if owner is None and not _is_ours(uri):
            owner = self._owners[uri] = self._seen.pop(uri, place)
        if owner == place:
            return uri
        if uri.startswith(_WORLDWIDE):
            return None
        if owner is not None and uri not in self._contested:
            self._contested.add(uri)
            self._bound.append((uri, *owner, uri))
        return self._wrapped(place, uri)

    def mention(self, device_key: str, server: str, uri: str) -> str:
        """Return what a URI in a server's result is called."""
        place = (device_key, server)
        if _is_ours(uri):
            return self._wrapped(place, uri)
        owner = self._owners.get(uri)
        if owner is None and len(uri) > MAX_URI_CHARS:  # too long to be remembered
            return uri if uri.startswith(_WORLDWIDE) else self._wrapped(place, uri)
        if owner is None:
            owner = self._seen.setdefault(uri, place)
            if owner == place:
                self._seen.move_to_end(uri)
                if len(self._seen) > MAX_SEEN:
                    self._seen.popitem(last=False)
        if owner == place or uri.startswith(_WORLDWIDE):
            return uri
        return self._wrapped(place, uri)

    def resolve(self, uri: str) -> Target | None:
        """Return whose URI this is, and what it is called there; None if that is not known."""
        if _is_ours(uri):
            prefix = uri[: uri.find("/", len(UI_HOST)) + 1]
            place = self._prefixes.get(prefix)
            if place is None:
                return None
            bare = uri[len(prefix) :]
            return Target(*place, UI_SCHEME + bare if prefix.startswith(UI_SCHEME) else bare)
        place = self._owners.get(uri) or self._seen.get(uri)
        return None if place is None else Target(*place, uri)

    def forget(
        self, count: int, *, listed: Container[str], is_there: Callable[[Target], bool]
    ) -> list[str]:
        """Forget URIs, as `names.NameTable.forget` does; prefixes stay. Returns which they are."""
        unlisted = [uri for uri in self._owners if uri not in listed]
        unlisted.sort(key=lambda uri: is_there(Target(*self._owners[uri], uri)))
        forgotten = unlisted[:count]
        for uri in forgotten:
            del self._owners[uri]
            self._contested.discard(uri)
        return forgotten

    def forget_device(self, device_key: str) -> None:
        """Forget the URIs of all places of a device; prefixes stay."""
        for uri in [uri for uri, place in self._owners.items() if place[0] == device_key]:
            del self._owners[uri]
            self._contested.discard(uri)

    def _wrapped(self, place: _Place, uri: str) -> str:
        plain, ui = self._wrapping.get(place) or self._new_prefix(place)
        return ui + uri[len(UI_SCHEME) :] if uri.startswith(UI_SCHEME) else plain + uri

    def _new_prefix(self, place: _Place) -> tuple[str, str]:
        for attempt in count():  # two places may hash alike, about never
            identity = [*place, str(attempt)] if attempt else [*place]
            prefix = f"{SCHEME}{_label(place[1])}:{digest(identity)}/"
            if prefix not in self._prefixes:
                break
        self._bound.append((prefix, *place, ""))
        return self._keep_prefix(prefix, place)

    def _keep_prefix(self, prefix: str, place: _Place) -> tuple[str, str]:
        ui = UI_HOST + prefix.removeprefix(SCHEME).replace(":", "-")
        self._prefixes[prefix] = self._prefixes[ui] = place
        self._wrapping[place] = (prefix, ui)
        return prefix, ui


def _is_ours(uri: str) -> bool:
    """Whether a URI looks like a wrapped one; a server's own that does is wrapped, always."""
    return uri.startswith((SCHEME, UI_HOST))


def _label(server: str) -> str:
    """Return a server's name as schemes and hosts may hold it (RFC 3986, sections 3.1 and 3.2.2)."""
    return server.lower().replace("_", "-")
