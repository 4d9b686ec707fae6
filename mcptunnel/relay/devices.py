"""Which devices there are, whose they are, and which of them are connected now.

Everyone who wants to know where a device is asks `Devices`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from mcptunnel.mcp.catalogue import Tool
from mcptunnel.model import Principal
from mcptunnel.net.tunnel import Tunnel
from mcptunnel.relay.announcement import ServerInfo
from mcptunnel.wire.constants import ErrorCode


@dataclass(slots=True, eq=False)
class RemoteServer:
    """A server of a device.

    `fresh` says that `tools` are those of this revision; until then they are the last ones known.
    `note` tells people why they could not be fetched.
    """

    info: ServerInfo
    tools: tuple[Tool, ...] = ()
    fresh: bool = False
    note: str = ""


@dataclass(slots=True, eq=False)
class Device:
    """One installation of the agent. Its name is a label; `installation_id` is what it is."""

    principal: Principal
    installation_id: str
    name: str
    first_seen_s: float
    last_seen_s: float
    tunnel: Tunnel | None = None
    connected_s: float | None = None
    key_id: str = ""
    agent_version: str = ""
    announced: bool = False
    servers: dict[str, RemoteServer] = field(default_factory=dict)

    @property
    def is_connected(self) -> bool:
        """Whether calls can be sent to it now."""
        return self.tunnel is not None and self.tunnel.is_open


class Devices:
    """All devices that this relay knows. `changed(principal)` is called after every change."""

    def __init__(self, changed: Callable[[Principal], None]) -> None:
        self._changed = changed
        self._by_principal: dict[Principal, dict[str, Device]] = {}
        self.connected_count = 0

    def restore(self, devices: Iterable[Device]) -> None:
        """Take in the devices that the store remembers, oldest first."""
        for device in devices:
            self._of(device.principal)[device.installation_id] = device

    def of(self, principal: Principal) -> list[Device]:
        """Return a user's devices, the first known first."""
        return list(self._by_principal.get(principal, {}).values())

    def get(self, principal: Principal, installation_id: str) -> Device | None:
        """Return one device of a user."""
        return self._by_principal.get(principal, {}).get(installation_id)

    def everyone(self) -> list[Device]:
        """Return all devices of all users."""
        return [device for devices in self._by_principal.values() for device in devices.values()]

    def grant_name(self, principal: Principal, installation_id: str, wanted: str) -> str:
        """Return the name that an installation may bear.

        A name that a connected device of the same user bears gets `-2`, `-3`, … behind it, and
        keeps that afterwards, so that the two do not swap names.
        """
        taken = {
            device.name
            for device in self.of(principal)
            if device.installation_id != installation_id and device.is_connected
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
        now_s: float,
        key_id: str = "",
        agent_version: str = "",
    ) -> Device:
        """Note that an installation is connected; an older tunnel of it is ended."""
        devices = self._of(principal)
        device = devices.get(installation_id)
        if device is None:
            device = Device(principal, installation_id, name, now_s, now_s)
            devices[installation_id] = device
        replaced = device.tunnel
        if replaced is None:
            self.connected_count += 1
        device.name, device.tunnel = name, tunnel
        device.connected_s = device.last_seen_s = now_s
        device.key_id, device.agent_version, device.announced = key_id, agent_version, False
        if replaced is not None:
            replaced.close(ErrorCode.REPLACED, "another process of this installation connected")
        self._changed(principal)
        return device

    def disconnect(self, device: Device, tunnel: Tunnel, now_s: float) -> bool:
        """Note that a tunnel is gone; return whether the device is offline now."""
        if device.tunnel is not tunnel:
            return False
        device.tunnel = device.connected_s = None
        device.last_seen_s = now_s
        self.connected_count -= 1
        self._changed(device.principal)
        return True

    def announce(self, device: Device, servers: dict[str, ServerInfo]) -> None:
        """Note which servers a device has; tools of an unchanged revision stay."""
        kept: dict[str, RemoteServer] = {}
        for name, info in servers.items():
            known = device.servers.get(name)
            # Revisions count within one run of the agent, and so only within one connection.
            if known is not None and known.info.revision == info.revision and device.announced:
                known.info = info
                kept[name] = known
            else:
                kept[name] = RemoteServer(info, () if known is None else known.tools)
        device.servers = kept
        device.announced = True
        self._changed(device.principal)

    def _of(self, principal: Principal) -> dict[str, Device]:
        return self._by_principal.setdefault(principal, {})
