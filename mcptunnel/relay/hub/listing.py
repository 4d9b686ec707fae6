"""What a user sees of one kind, under the names and URIs that clients use."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice, repeat
from typing import Any, Final

from msgspec import Raw
from twisted.logger import Logger

from mcptunnel.config.relay import HubConfig
from mcptunnel.mcp.catalogue import Item, exposed, renamed
from mcptunnel.mcp.kinds import Kind
from mcptunnel.mcp.links import map_ui
from mcptunnel.model import Principal
from mcptunnel.relay.devices import Device, Devices
from mcptunnel.relay.hub.awaited import Awaited
from mcptunnel.relay.hub.tables import Tables, UserTables
from mcptunnel.relay.remote_server import RemoteServer

ITEMS_PER_TURN: Final = 100
"""Things that are given names in one turn of the reactor, about a millisecond; then others have theirs."""

STEP_BYTES: Final = 1024
"""A thing counts once more for each of these: the longest take as long as many others."""

_URIS: Final = frozenset({Kind.RESOURCE, Kind.TEMPLATE})
"""What is listed as its server calls it, and so may be called alike by two."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A server's items as they are listed, and what decided how."""

    items: tuple[Item, ...]
    device_name: str
    with_device: bool
    prefix: str | None
    names: tuple[str, ...] = ()
    definitions: tuple[Raw, ...] = ()

    def is_of(self, other: "_Shown") -> bool:
        """Whether both would be listed alike."""
        return (
            self.items is other.items
            and self.device_name == other.device_name
            and self.with_device == other.with_device
            and self.prefix == other.prefix
        )


@dataclass(slots=True)
class _View:
    """What is listed of each server of a user; `building` while that is brought up to date.

    `stale` says that something changed since the building began.
    """

    shown: dict[RemoteServer, _Shown] = field(default_factory=dict)
    stale: bool = False
    building: Iterator[None] | None = None


class Listing:
    """Exposes things of one kind under names that never change, in an order that never changes.

    Only what changed is made anew, a little in every turn. `built(principal)` is called when a user's
    list is up to date again.
    """

    _log = Logger()

    def __init__(
        self,
        kind: Kind,
        reactor: Any,
        devices: Devices,
        tables: Tables,
        *,
        config: HubConfig,
        awaited: Awaited,
        built: Callable[[Principal], None],
    ) -> None:
        self._kind = kind
        self._reactor = reactor
        self._devices = devices
        self._tables = tables
        self._device_prefix = config.device_prefix
        self._offline_grace_s = config.offline_grace_s
        self._awaited = awaited
        self._built = built
        self._views: dict[Principal, _View] = {}
        tables.listed[kind] = self.names

    def invalidate(self, principal: Principal) -> None:
        """Note that something about a user's devices or servers changed; `refresh` follows."""
        self._views.setdefault(principal, _View()).stale = True

    def is_current(self, principal: Principal) -> bool:
        """Whether the list shows everything that is known."""
        view = self._views.get(principal)
        return view is None or not (view.stale or view.building)

    def refresh(self, principal: Principal) -> None:
        """Bring a user's list up to date, in this turn as far as that is quickly done."""
        view = self._views.setdefault(principal, _View())
        if view.building is None:
            view.stale = False
            view.building = self._build(principal, view)
            self._go_on(principal, view)

    def definitions(self, principal: Principal, epoch_s: float) -> list[Raw]:
        """Return all definitions, by device, server and name."""
        of_servers = self.by_server(principal, epoch_s)
        return [definition for definitions in of_servers for definition in definitions]

    def by_server(self, principal: Principal, epoch_s: float) -> Iterator[tuple[Raw, ...]]:
        """Return the definitions of each server that has any; the same object until they change."""
        view = self._views.get(principal)
        if view is None:
            return
        for _device, server in self.servers(principal, epoch_s):
            shown = view.shown.get(server)
            if shown is not None and shown.definitions:
                yield shown.definitions

    def servers(
        self, principal: Principal, epoch_s: float
    ) -> Iterator[tuple[Device, RemoteServer]]:
        """Return the servers of which something is listed: not of devices that are away for long, or revoked."""
        for device in self._devices.of(principal):
            is_there = device.is_connected or epoch_s < device.last_seen_s + self._offline_grace_s
            if is_there and not device.is_revoked:
                for _name, server in sorted(device.servers.items()):
                    yield device, server

    def names(self, principal: Principal) -> set[str]:
        """Return all names that are listed, also of devices that are away for long."""
        view = self._views.get(principal)
        return set() if view is None else {n for shown in view.shown.values() for n in shown.names}

    def _go_on(self, principal: Principal, view: _View) -> None:
        steps = 0
        try:
            steps = sum(1 for _ in islice(view.building or (), ITEMS_PER_TURN))
        except Exception:  # noqa: BLE001 - the next change tries again; nobody waits till then
            self._log.failure(
                "cannot list the {kind}s of {principal}",
                kind=self._kind.value,
                principal=str(principal),
            )
        if steps == ITEMS_PER_TURN:
            self._reactor.callLater(0, self._go_on, principal, view)
            return
        view.building = None
        if view.stale:
            self.refresh(principal)
        else:
            self._tables.tell(principal)
            self._built(principal)

    def _build(self, principal: Principal, view: _View) -> Iterator[None]:
        """Make what is not shown as it should be; every step costs about as much as one item."""
        known = self._devices.of(principal)
        with_device = self._device_prefix == "always" or (
            self._device_prefix == "auto" and len(known) > 1
        )
        tables = self._tables.of(principal)
        there = {device.installation_id for device in known}
        servers: set[RemoteServer] = set()
        wait_s = 0.0
        for device in known:
            wait_s = max(wait_s, self._awaited.device_s(device))
            for _name, server in sorted(device.servers.items()):
                servers.add(server)
                items = server.known[self._kind].items
                wanted = _Shown(items, device.name, with_device, server.info.prefix)
                shown = view.shown.get(server)
                if wait_s > 0 and self._may_wait(view, server):
                    self._awaited.waits(principal, wait_s)
                elif shown is None or not shown.is_of(wanted):
                    self._tables.make_room(
                        principal, self._kind, len(items), lambda at: at.device_key in there
                    )
                    yield from self._show(tables, view, device, server, wanted)
                yield
                wait_s = max(wait_s, self._awaited.server_s(device, server, self._kind))
        view.shown = {server: shown for server, shown in view.shown.items() if server in servers}

    def _may_wait(self, view: _View, server: RemoteServer) -> bool:
        """Whether a server would be listed for the first time, and may have what others have, too."""
        shown = view.shown.get(server)
        is_bare = self._kind in _URIS or server.info.prefix == ""
        is_new = bool(server.known[self._kind].items) and (shown is None or not shown.items)
        return is_bare and is_new

    def _show(
        self,
        tables: UserTables,
        view: _View,
        device: Device,
        server: RemoteServer,
        wanted: _Shown,
    ) -> Iterator[None]:
        names: list[str] = []
        definitions: list[Raw] = []
        for item in wanted.items:
            found = self._expose(tables, device, server.info.name, item, wanted)
            if found is not None:
                names.append(found[0])
                definitions.append(found[1])
            yield from repeat(None, 1 + item.size_bytes // STEP_BYTES)
        view.shown[server] = _Shown(
            wanted.items,
            wanted.device_name,
            wanted.with_device,
            wanted.prefix,
            tuple(names),
            tuple(definitions),
        )

    def _expose(
        self, tables: UserTables, device: Device, server: str, item: Item, wanted: _Shown
    ) -> tuple[str, Raw] | None:
        """Return an item's name and definition as clients see them; None if it is not listed."""
        device_key = device.installation_id
        if self._kind in _URIS:
            uri = tables.uris.expose(device_key, server, item.name)
            return None if uri is None else (uri, renamed(self._kind, item, uri))
        name = tables.names(self._kind).expose(
            device_key,
            wanted.device_name,
            server,
            item.name,
            with_device=wanted.with_device,
            prefix=wanted.prefix,
        )
        if self._kind is Kind.PROMPT:
            return name, renamed(self._kind, item, name)

        def listed(uri: str) -> str:
            return tables.uris.expose(device_key, server, uri) or uri

        return name, map_ui(exposed(item, name), listed)
