"""Addresses of single servers, and where they lead.

/servers/{server}/mcp                    the device that first bore a server of that name
/devices/{device}/servers/{server}/mcp   that device
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mcptunnel.model import Principal
from mcptunnel.relay.devices import Device, Devices


@dataclass(frozen=True, slots=True)
class Address:
    """A server by its name; without a device, the one that first bore the name is meant."""

    server: str
    device: str | None = None


class NoSuchServer(LookupError):
    """The user has no such device or server; `str()` says which."""


class NotNow(LookupError):
    """There may be such a server, but its device is not connected, or stops; `str()` says which."""


def server_address(path: Sequence[str]) -> Address | None:
    """Read what follows `/servers/`."""
    match path:
        case [str() as server, "mcp"] if server:
            return Address(server)
    return None


def device_address(path: Sequence[str]) -> Address | None:
    """Read what follows `/devices/`."""
    match path:
        case [str() as device, "servers", str() as server, "mcp"] if device and server:
            return Address(server, device)
    return None


def find(devices: Devices, principal: Principal, address: Address) -> Device:
    """Return the connected device that has the server. Raises NoSuchServer and NotNow."""
    device = _device(devices, principal, address)
    if device.is_stopping:
        raise NotNow(f"The device {device.name!r} is going away: its agent is stopping.")
    if device.is_revoked:
        raise NotNow(f"The device {device.name!r} was revoked.")
    if not device.is_connected:
        raise NotNow(f"The device {device.name!r} is not connected.")
    if not device.announced:
        raise NotNow(f"The device {device.name!r} has not told its servers yet.")
    if address.server not in device.servers:
        raise NoSuchServer(f"The device {device.name!r} has no server {address.server!r}.")
    return device


def _device(devices: Devices, principal: Principal, address: Address) -> Device:
    own = devices.of(principal)
    if address.device is not None:
        # Names are unique among connected devices only.
        named = [device for device in own if device.name == address.device]
        if not named:
            raise NoSuchServer(f"There is no device {address.device!r}.")
        return next((device for device in named if device.is_connected), named[0])
    bearer = devices.first_bearer(principal, address.server)
    if bearer is not None:
        return bearer
    silent = [device for device in own if not device.announced]
    if silent:
        raise NotNow(
            f"No connected device has a server {address.server!r}; {silent[0].name!r} may have."
        )
    raise NoSuchServer(f"No device has a server {address.server!r}.")
