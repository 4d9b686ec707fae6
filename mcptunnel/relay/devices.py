"""Which devices there are, whose they are, and which of them are connected now.

Everyone who wants to know where a device is asks `Devices`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from mcptunnel.mcp.announcement import ServerStatus
from mcptunnel.model import Principal
from mcptunnel.net.pace import TokenBucket
from mcptunnel.net.tunnel import Tunnel
from mcptunnel.relay.bearers import Bearers
from mcptunnel.relay.remote_server import RemoteServer
from mcptunnel.wire.constants import ErrorCode

MAX_DEVICES: Final = 50
"""Devices of one user; of more, those that were offline the longest are forgotten, revoked ones at the last."""

ANNOUNCEMENTS_BURST: Final = 20
ANNOUNCEMENTS_PER_S: Final = 2.0
"""How often a device may tell of its servers; our own agent stays well below."""


@dataclass(slots=True, eq=False)
class Device:
    """One installation of the agent. Its name is a label; `installation_id` is what it is.

    Times are seconds since the epoch, but for `joined_s`: when its tunnel was joined, by the clock that
    cannot be set. Only differences to that one's `seconds` mean anything. `grant_id` is what it came in
    with the last time (`access.Access`); what was granted up to `revoked_s` does not let it in. While it is
    `being_forgotten` nothing does.
    """

    principal: Principal
    installation_id: str
    name: str
    first_seen_s: float
    last_seen_s: float
    revoked_s: float | None = None
    being_forgotten: bool = False
    tunnel: Tunnel | None = None
    connected_s: float | None = None
    joined_s: float = 0.0
    agent_version: str = ""
    grant_id: str = ""
    announced: bool = False
    servers: dict[str, RemoteServer] = field(default_factory=dict)
    announcements: TokenBucket = field(
        default_factory=lambda: TokenBucket(ANNOUNCEMENTS_BURST, ANNOUNCEMENTS_PER_S)
    )

    @property
    def is_revoked(self) -> bool:
        """Whether it was revoked, and has not been let in again since."""
        return self.revoked_s is not None

    def admits(self, granted_s: float) -> bool:
        """Whether it may come in with what was granted at a time."""
        return self.revoked_s is None or self.revoked_s < granted_s

    @property
    def is_connected(self) -> bool:
        """Whether calls can be sent to it; while it is resuming they wait for its next link."""
        return self.tunnel is not None and self.tunnel.is_open

    @property
    def is_stopping(self) -> bool:
        """Whether its agent said that it takes nothing new; what it works on runs on."""
        return self.tunnel is not None and self.tunnel.session.going_away is not None

    @property
    def is_resuming(self) -> bool:
        """Whether its tunnel is held without a link."""
        return self.tunnel is not None and self.tunnel.is_suspended


class Devices:
    """All devices that this relay knows. `changed(principal)` is called after every change.

    `connected_count` counts those with a tunnel, `resuming_count` those of them without a link now.

    `forgotten` is called with a device that had to make room for another. `bearers` knows which was the
    first to have a server.
    """

    def __init__(
        self,
        changed: Callable[[Principal], None],
        forgotten: Callable[[Device], object],
        bearers: Bearers,
    ) -> None:
        self._changed = changed
        self._forgotten = forgotten
        self._by_principal: dict[Principal, dict[str, Device]] = {}
        self._bearers = bearers
        self.connected_count = 0
        self._resuming: set[Device] = set()

    @property
    def resuming_count(self) -> int:
        return len(self._resuming)

    def restore(self, devices: Iterable[Device]) -> None:
        """Take in the devices that the store remembers, oldest first; too many are forgotten."""
        for device in devices:
            self._of(device.principal)[device.installation_id] = device
        for known in self._by_principal.values():
            self._make_room(known, MAX_DEVICES)

    def of(self, principal: Principal) -> list[Device]:
        """Return a user's devices, the first known first."""
        return list(self._by_principal.get(principal, {}).values())

    def get(self, principal: Principal, installation_id: str) -> Device | None:
        """Return one device of a user."""
        return self._by_principal.get(principal, {}).get(installation_id)

    def first_bearer(self, principal: Principal, server: str) -> Device | None:
        """Return the device that was the first to have a server of this name, as far as is known.

        The name stays its own while the relay knows it, connected or not: no other machine takes its
        place.
        """
        first = self._bearers.first(principal, server)
        found = None if first is None else self.get(principal, first)
        if found is None:  # perhaps the first one was forgotten
            found = next((one for one in self.of(principal) if server in one.servers), None)
            if found is not None and first is not None:
                self._bearers.inherits(principal, found.installation_id, server)
        return found

    def everyone(self) -> list[Device]:
        """Return all devices of all users."""
        return [device for devices in self._by_principal.values() for device in devices.values()]

    def has_room(self, principal: Principal, installation_id: str) -> bool:
        """Whether an installation is known, or can be: not if all devices of a user are connected."""
        devices = self._by_principal.get(principal, {})
        return (
            installation_id in devices
            or len(devices) < MAX_DEVICES
            or any(device.tunnel is None for device in devices.values())
        )

    def grant_name(self, principal: Principal, installation_id: str, wanted: str) -> str:
        """Return the name that an installation may bear.

        A name that a connected device of the same user bears gets `-2`, `-3`, … behind it, and
        keeps that afterwards, so that the two do not swap names.
        """
        taken = {
            device.name
            for device in self.of(principal)
            if device.installation_id != installation_id and device.tunnel is not None
        }
        known = self.get(principal, installation_id)
        if known is not None and known.name not in taken:
            stem, _, number = known.name.rpartition("-")
            if known.name == wanted or (stem == wanted and number.isdecimal()):
                return known.name
        name, count = wanted, 2
        while name in taken:
            name, count = f"{wanted}-{count}", count + 1
        return name

    def connect(
        self,
        principal: Principal,
        installation_id: str,
        *,
        name: str,
        tunnel: Tunnel,
        epoch_s: float,
        agent_version: str = "",
        grant_id: str = "",
    ) -> Device:
        """Note that an installation was let in and is connected; an older tunnel of it is ended."""
        devices = self._of(principal)
        device = devices.get(installation_id)
        if device is None:
            self._make_room(devices, MAX_DEVICES - 1)
            device = Device(principal, installation_id, name, epoch_s, epoch_s)
            devices[installation_id] = device
        self._resuming.discard(device)
        replaced = device.tunnel
        if replaced is None:
            self.connected_count += 1
        device.name, device.tunnel = name, tunnel
        device.connected_s = device.last_seen_s = epoch_s
        device.agent_version, device.announced = agent_version, False
        device.grant_id, device.revoked_s = grant_id, None
        if replaced is not None:
            replaced.close(ErrorCode.REPLACED, "another process of this installation connected")
        self._changed(principal)
        return device

    def forget(self, device: Device) -> None:
        """Know a device that is offline no more."""
        del self._of(device.principal)[device.installation_id]
        self._changed(device.principal)

    def mark_changed(self, device: Device) -> None:
        """Note that a device was marked, or let in again."""
        self._changed(device.principal)

    def suspended(self, device: Device, tunnel: Tunnel, epoch_s: float) -> bool:
        """Note that a tunnel has no link now; return whether it is that of the device."""
        if device.tunnel is not tunnel:
            return False
        self._resuming.add(device)
        device.last_seen_s = epoch_s
        return True

    def resumed(self, device: Device) -> None:
        """Note that the tunnel of a device has a link again."""
        self._resuming.discard(device)

    def going_away(self, device: Device, epoch_s: float) -> None:
        """Note that the agent of a device takes nothing new."""
        device.last_seen_s = epoch_s
        self._changed(device.principal)

    def disconnect(self, device: Device, tunnel: Tunnel, epoch_s: float) -> bool:
        """Note that a tunnel is gone; return whether the device is offline now."""
        if device.tunnel is not tunnel:
            return False
        device.tunnel = device.connected_s = None
        if device not in self._resuming:
            device.last_seen_s = epoch_s
        self._resuming.discard(device)
        self.connected_count -= 1
        self._changed(device.principal)
        return True

    def announce(self, device: Device, servers: dict[str, ServerStatus]) -> None:
        """Note which servers a device has; tools stay known until new ones were fetched."""
        known = device.servers
        if device.announced and servers == {n: server.info for n, server in known.items()}:
            return
        kept: dict[str, RemoteServer] = {}
        for name, info in servers.items():
            kept[name] = server = known.get(name) or RemoteServer(info)
            # Revisions count within one run of the agent, and so only within one connection.
            if not device.announced or server.info.revision != info.revision:
                server.changed()
            server.info = info
        self._bearers.announced(device.principal, device.installation_id, servers)
        device.servers = kept
        device.announced = True
        self._changed(device.principal)

    def _make_room(self, devices: dict[str, Device], most: int) -> None:
        """Forget what was offline the longest, if there are more devices than `most`; marks at the last."""
        offline = [device for device in devices.values() if device.tunnel is None]
        offline.sort(key=lambda device: (device.is_revoked, device.last_seen_s))
        for device in offline[: max(0, len(devices) - most)]:
            del devices[device.installation_id]
            self._forgotten(device)

    def _of(self, principal: Principal) -> dict[str, Device]:
        return self._by_principal.setdefault(principal, {})
