"""The devices of a running relay, for whoever runs it: seen, revoked, allowed again, forgotten."""

from collections.abc import Callable, Sequence

from mcptunnel.errors import McpTunnelError
from mcptunnel.model import Principal
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.device_changes import allow_device, forget_device, revoke_device
from mcptunnel.relay.devices import Device, Devices
from mcptunnel.store.device_uses import DeviceUses
from mcptunnel.store.devices import Devices as DeviceTable
from mcptunnel.store.engine import Store, Transaction
from mcptunnel.store.revocation import EndedDevice


class StillConnectedError(McpTunnelError):
    """A device that cannot be forgotten now: it would be back at once."""


class DeviceDirectory:
    """The devices of one relay.

    `epoch_s` is the time of day; `revoked` hears of what is taken away, `forgotten` of a device whose names are
    free now.
    """

    def __init__(
        self,
        store: Store,
        devices: Devices,
        *,
        epoch_s: Callable[[], float],
        revoked: Callable[[Revoked], None],
        forgotten: Callable[[Device], None],
    ) -> None:
        self._store = store
        self._devices = devices
        self._epoch_s = epoch_s
        self._revoked = revoked
        self._forgotten = forgotten

    def list(self) -> Sequence[Device]:
        """Return all devices of all users."""
        return self._devices.everyone()

    async def revoke(self, principal: Principal, installation_id: str) -> EndedDevice | None:
        """End a device's link, its grants, and at once all that is open on their strength; None if there is none."""
        device = self._devices.get(principal, installation_id)
        if device is None:
            return None
        now_s, before_s = self._epoch_s(), device.revoked_s
        device.revoked_s = now_s  # from here on nothing older lets it in
        try:
            ended = await self._store.write(
                lambda connection: _revoke(connection, device, device.grant_id, now_s)
            )
        except BaseException:
            device.revoked_s = before_s
            raise
        device.revoked_s = now_s if ended is None else ended.device.revoked_s
        self._revoked(Revoked(principal=principal, device_id=installation_id))
        for family in () if ended is None else ended.families:
            self._revoked(Revoked(grant_id=family.id))
        self._devices.mark_changed(device)
        return ended

    async def allow(self, principal: Principal, installation_id: str) -> bool:
        """Take the mark of a device back; False if it has none."""
        now_s = self._epoch_s()
        allowed = await self._store.write(
            lambda connection: allow_device(connection, principal, installation_id, now_s)
        )
        device = self._devices.get(principal, installation_id)
        if device is None or not device.is_revoked:
            return allowed
        device.revoked_s = None
        self._devices.mark_changed(device)
        return True

    async def forget(self, principal: Principal, installation_id: str) -> bool:
        """Know a device no more; False if there is none. Raises StillConnectedError."""
        device = self._devices.get(principal, installation_id)
        if device is not None and device.tunnel is not None:
            raise StillConnectedError(
                f"The device {device.name} is connected. Stop its agent, or revoke it first."
            )
        if device is None or device.being_forgotten:
            return False
        now_s = self._epoch_s()
        device.being_forgotten = True  # what it wrote if it came back now would be lost
        try:
            await self._store.write(
                lambda connection: forget_device(connection, principal, installation_id, now_s)
            )
        finally:
            device.being_forgotten = False
        if self._devices.get(principal, installation_id) is device:  # else it had to make room
            self._devices.forget(device)
        self._forgotten(device)
        return True


def _revoke(
    connection: Transaction, device: Device, grant_id: str, now_s: float
) -> EndedDevice | None:
    """Revoke a device; perhaps it has come just now, and that is not written yet."""
    owner, installation_id = device.principal, device.installation_id
    DeviceTable(connection).seen(owner, installation_id, device.name, device.last_seen_s)
    DeviceUses(connection).note(owner, installation_id, grant_id)
    return revoke_device(connection, owner, installation_id, now_s)
