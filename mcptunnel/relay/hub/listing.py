"""The tools that a user sees, under the names that clients call them by."""

from dataclasses import dataclass, field

from msgspec import Raw

from mcptunnel.mcp.catalogue import exposed
from mcptunnel.mcp.names import NameTable, Target
from mcptunnel.model import Principal
from mcptunnel.relay.devices import Device, Devices, RemoteServer
from mcptunnel.relay.hub.meta_tools import META_TOOLS


@dataclass(slots=True)
class _View:
    """One user's names, and the list as it was made last; None if something changed since."""

    names: NameTable = field(default_factory=NameTable)
    tools: list[Raw] | None = None
    good_until_s: float = 0.0


class Listing:
    """Exposes tools under names that never change (`mcp.names`), in an order that never changes."""

    def __init__(self, devices: Devices, *, device_prefix: str, offline_grace_s: float) -> None:
        self._devices = devices
        self._device_prefix = device_prefix
        self._offline_grace_s = offline_grace_s
        self._views: dict[Principal, _View] = {}

    def invalidate(self, principal: Principal) -> None:
        """Note that something about a user's devices or servers changed."""
        view = self._views.get(principal)
        if view is not None:
            view.tools = None

    def resolve(self, principal: Principal, name: str, now_s: float) -> Target | None:
        """Return the place that a name means, listed now or before; None if it never was."""
        self.tools(principal, now_s)  # names are given when tools are listed
        return self._views[principal].names.resolve(name)

    def tools(self, principal: Principal, now_s: float) -> list[Raw]:
        """Return the definitions of all tools: ours, then by device, server and tool name."""
        view = self._views.setdefault(principal, _View())
        if view.tools is None or now_s >= view.good_until_s:
            view.tools, view.good_until_s = self._make(principal, view.names, now_s)
        return view.tools

    def _make(
        self, principal: Principal, names: NameTable, now_s: float
    ) -> tuple[list[Raw], float]:
        known = self._devices.of(principal)
        with_device = self._device_prefix == "always" or (
            self._device_prefix == "auto" and len(known) > 1
        )
        found: list[Raw] = [tool.definition for tool in META_TOOLS]
        good_until_s = float("inf")
        for device in known:
            if not device.is_connected:
                listed_until_s = device.last_seen_s + self._offline_grace_s
                if now_s >= listed_until_s:
                    continue
                good_until_s = min(good_until_s, listed_until_s)
            for _name, server in sorted(device.servers.items()):
                found.extend(_exposed(names, device, server, with_device=with_device))
        return found, good_until_s


def _exposed(
    names: NameTable, device: Device, server: RemoteServer, *, with_device: bool
) -> list[Raw]:
    return [
        exposed(
            tool,
            names.expose(
                device.installation_id,
                device.name,
                server.info.name,
                tool.name,
                with_device=with_device,
                prefix=server.info.prefix,
            ),
        )
        for tool in sorted(server.tools, key=lambda tool: tool.name)
    ]
