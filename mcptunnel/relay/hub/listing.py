"""The tools that a user sees, under the names that clients call them by."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeAlias

from msgspec import Raw
from twisted.logger import Logger

from mcptunnel.mcp.catalogue import Tool, exposed
from mcptunnel.mcp.names import NameTable, Row, Target
from mcptunnel.model import Principal
from mcptunnel.relay.devices import Device, Devices, RemoteServer
from mcptunnel.relay.hub.meta_tools import META_TOOLS

TOOLS_PER_TURN: Final = 100
"""Tools that are given names in one turn of the reactor, about a millisecond; then others have theirs."""

MAX_NAMES: Final = 10_000
"""Names of one user that are remembered, those of tools that are gone included."""

NamesChanged: TypeAlias = Callable[[Principal, Sequence[Row], Collection[str]], None]
"""Hears whose names were bound (with their places), and which were forgotten."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A server's tools as they are listed, and what decided how."""

    tools: tuple[Tool, ...]
    device_name: str
    with_device: bool
    prefix: str | None
    names: tuple[str, ...] = ()
    definitions: tuple[Raw, ...] = ()

    def is_of(self, other: "_Shown") -> bool:
        """Whether both would be listed alike."""
        return (
            self.tools is other.tools
            and self.device_name == other.device_name
            and self.with_device == other.with_device
            and self.prefix == other.prefix
        )


@dataclass(slots=True)
class _View:
    """One user's names, and what is listed of each server; `building` while that is brought up to date.

    `stale` says that something changed since the building began.
    """

    names: NameTable = field(default_factory=NameTable)
    forgotten: list[str] = field(default_factory=list)
    shown: dict[RemoteServer, _Shown] = field(default_factory=dict)
    stale: bool = False
    building: Iterator[None] | None = None


class Listing:
    """Exposes tools under names that never change (`mcp.names`), in an order that never changes.

    Only what changed is made anew, a little in every turn. `built(principal)` is called when a user's
    list is up to date again, and `names_changed` before it, with what a store is to keep or drop.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        devices: Devices,
        *,
        device_prefix: str,
        offline_grace_s: float,
        built: Callable[[Principal], None],
        names_changed: NamesChanged,
    ) -> None:
        self._reactor = reactor
        self._devices = devices
        self._device_prefix = device_prefix
        self._offline_grace_s = offline_grace_s
        self._built = built
        self._names_changed = names_changed
        self._views: dict[Principal, _View] = {}

    def restore(self, principal: Principal, rows: Iterable[Row]) -> None:
        """Take in the names that the store remembers."""
        self._views[principal] = _View(NameTable.from_rows(rows))

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

    def resolve(self, principal: Principal, name: str) -> Target | None:
        """Return the place that a name means, listed now or before; None if it never was."""
        view = self._views.get(principal)
        return None if view is None else view.names.resolve(name)

    def tools(self, principal: Principal, epoch_s: float) -> list[Raw]:
        """Return the definitions of all tools: ours, then by device, server and tool name."""
        found = [tool.definition for tool in META_TOOLS]
        view = self._views.get(principal)
        if view is None:
            return found
        for device in self._devices.of(principal):
            if device.is_connected or epoch_s < device.last_seen_s + self._offline_grace_s:
                for _name, server in sorted(device.servers.items()):
                    shown = view.shown.get(server)
                    if shown is not None:
                        found.extend(shown.definitions)
        return found

    def _go_on(self, principal: Principal, view: _View) -> None:
        steps = 0
        try:
            steps = sum(1 for _ in islice(view.building or (), TOOLS_PER_TURN))
        except Exception:  # noqa: BLE001 - the next change tries again; nobody waits till then
            self._log.failure("cannot list the tools of {principal}", principal=str(principal))
        if steps == TOOLS_PER_TURN:
            self._reactor.callLater(0, self._go_on, principal, view)
            return
        view.building = None
        if view.stale:
            self.refresh(principal)
        else:
            self._tell_names(principal, view)
            self._built(principal)

    def _tell_names(self, principal: Principal, view: _View) -> None:
        bound = view.names.take_bound()
        forgotten, view.forgotten = view.forgotten, []
        if bound or forgotten:
            self._names_changed(principal, bound, forgotten)

    def _build(self, principal: Principal, view: _View) -> Iterator[None]:
        """Make what is not shown as it should be; every step costs about as much as one tool."""
        known = self._devices.of(principal)
        with_device = self._device_prefix == "always" or (
            self._device_prefix == "auto" and len(known) > 1
        )
        servers: set[RemoteServer] = set()
        for device in known:
            for _name, server in sorted(device.servers.items()):
                servers.add(server)
                wanted = _Shown(server.tools, device.name, with_device, server.info.prefix)
                shown = view.shown.get(server)
                if shown is None or not shown.is_of(wanted):
                    self._make_room(principal, view, len(server.tools))
                    yield from _show(view, device, server, wanted)
                yield
        view.shown = {server: shown for server, shown in view.shown.items() if server in servers}

    def _make_room(self, principal: Principal, view: _View, count: int) -> None:
        """Forget old names when there are too many; a tenth more, so that this is rare."""
        excess = len(view.names) + count - MAX_NAMES
        if excess > 0:
            listed = {name for shown in view.shown.values() for name in shown.names}
            there = {device.installation_id for device in self._devices.of(principal)}
            view.forgotten += view.names.forget(
                excess + MAX_NAMES // 10,
                listed=listed,
                is_there=lambda target: target.device_key in there,
            )


def _show(view: _View, device: Device, server: RemoteServer, wanted: _Shown) -> Iterator[None]:
    names: list[str] = []
    definitions: list[Raw] = []
    for tool in wanted.tools:
        name = view.names.expose(
            device.installation_id,
            wanted.device_name,
            server.info.name,
            tool.name,
            with_device=wanted.with_device,
            prefix=wanted.prefix,
        )
        names.append(name)
        definitions.append(exposed(tool, name))
        yield
    view.shown[server] = _Shown(
        wanted.tools,
        wanted.device_name,
        wanted.with_device,
        wanted.prefix,
        tuple(names),
        tuple(definitions),
    )
