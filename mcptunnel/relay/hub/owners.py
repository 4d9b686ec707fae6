"""Whose a URI is, listed or not: for one that is read, and for thousands that are subscribed to."""

from dataclasses import dataclass
from typing import TypeAlias

from mcptunnel.mcp.catalogue import Item
from mcptunnel.mcp.jsonrpc import INVALID_PARAMS, JsonRpcError
from mcptunnel.mcp.kinds import MAX_URI_CHARS, Kind
from mcptunnel.mcp.names import Target
from mcptunnel.mcp.template_index import Place, TemplateIndex
from mcptunnel.mcp.uris import UriTable
from mcptunnel.model import Principal
from mcptunnel.relay.hub.listing import Listing
from mcptunnel.relay.hub.tables import Tables

_Lists: TypeAlias = list[tuple[Place, tuple[Item, ...]]]


@dataclass(slots=True)
class _Indexed:
    """The templates of a user's servers, as they were when the index was made."""

    lists: _Lists
    index: TemplateIndex


class Owners:
    """Knows the places of URIs as they are at a moment: use `now` again in the next turn.

    `steps` grows with the work that is done; one takes about a microsecond.
    """

    __slots__ = ("_having", "_index", "_looked_up", "_start", "_uris")

    def __init__(self, uris: UriTable, having: list[Place], index: TemplateIndex) -> None:
        self._uris = uris
        self._having = having
        self._index = index
        self._start = index.steps
        self._looked_up = 0

    @property
    def steps(self) -> int:
        return self._looked_up + self._index.steps - self._start

    def of(self, uri: str) -> Target:
        """Return the place that a URI is read from.

        It is whose URI it is; else the server with the template that it fits best; else the only server
        that has resources. Raises JsonRpcError (INVALID_PARAMS) if none of these is there.
        """
        self._looked_up += 1
        known = self._uris.resolve(uri)
        if known is not None:
            return known
        if len(uri) <= MAX_URI_CHARS:
            fitting = self._index.best(uri, self._may_be)
            if fitting is not None:
                return fitting
        if len(self._having) == 1:
            return Target(*self._having[0], uri)
        raise JsonRpcError(
            INVALID_PARAMS,
            f"Unknown resource: {uri[:200]}; none of the {len(self._having)} servers with resources "
            "lists it",
            {"uri": uri},
        )

    def _may_be(self, template: str, place: Place) -> bool:
        """Whether a template is a place's: where several list it, it is its owner's."""
        listed = self._uris.resolve(template)
        return listed is None or (listed.device_key, listed.server) == place


class OwnersOfUsers:
    """Makes `Owners`, and keeps each user's templates in order until they change."""

    def __init__(self, listing: Listing, tables: Tables) -> None:
        self._listing = listing
        self._tables = tables
        self._indexed: dict[Principal, _Indexed] = {}

    def now(self, principal: Principal, epoch_s: float, *, may_guess: bool = True) -> Owners:
        """Return who owns a user's URIs now; else than `may_guess` says the only server owns no others."""
        having: list[Place] = []
        lists: _Lists = []
        for device, server in self._listing.servers(principal, epoch_s):
            if server.has(Kind.RESOURCE):
                place = (device.installation_id, server.info.name)
                having.append(place)
                lists.append((place, server.known[Kind.TEMPLATE].items))
        indexed = self._indexed.get(principal)
        if indexed is None or not _are_the_same(indexed.lists, lists):
            templates = ((place, item.name) for place, items in lists for item in items)
            indexed = self._indexed[principal] = _Indexed(lists, TemplateIndex(templates))
        uris = self._tables.of(principal).uris
        return Owners(uris, having if may_guess else [], indexed.index)


def _are_the_same(before: _Lists, now: _Lists) -> bool:
    """Whether these are the same lists of the same places, without a look into them."""
    return len(before) == len(now) and all(
        old_place == place and old is items
        for (old_place, old), (place, items) in zip(before, now, strict=True)
    )
