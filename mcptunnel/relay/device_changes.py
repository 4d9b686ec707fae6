"""What can be done about devices, each within one transaction: by the relay, and by commands without one."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from mcptunnel.model import Principal
from mcptunnel.relay.access import Access
from mcptunnel.relay.devices import Device
from mcptunnel.relay.oauth.taking_back import tell_ended
from mcptunnel.store.audit import AuditEvent, AuditLog
from mcptunnel.store.device_uses import DeviceUses
from mcptunnel.store.devices import DeviceRecord, Devices
from mcptunnel.store.engine import Transaction
from mcptunnel.store.names import Names
from mcptunnel.store.revocation import EndedDevice, end_device

DEVICE_REVOKED: Final = "its device was revoked"
CHANGES: Final = ("revoke", "allow", "forget")
"""What can be asked for, as the control socket and the commands name it."""

Json = dict[str, Any]


class Event(StrEnum):
    """What can happen to a device, for the audit log."""

    REVOKED = "device.revoked"
    LET_IN_AGAIN = "device.let_in_again"
    FORGOTTEN = "device.forgotten"


def device_came(connection: Transaction, device: Device, access: Access, now_s: float) -> None:
    """Note that a device was let in, and with what; what is newer than its mark takes that back."""
    owner, installation_id = device.principal, device.installation_id
    devices = Devices(connection)
    devices.seen(owner, installation_id, device.name, now_s)
    DeviceUses(connection).note(owner, installation_id, access.grant_id)
    again = devices.allow(owner, installation_id, granted_s=access.granted_s)
    if again is not None:
        detail = {"by": "a newer credential", "credential": access.grant_id}
        _audit(connection, Event.LET_IN_AGAIN, again, now_s, detail)


def revoke_device(
    connection: Transaction, principal: Principal, installation_id: str, now_s: float
) -> EndedDevice | None:
    """Mark a device, and end the grants that it used; None if there is none."""
    ended = end_device(connection, principal, installation_id, now_s=now_s, reason=DEVICE_REVOKED)
    if ended is None:
        return None
    detail = {"grants": [one.id for one in ended.families], "keys": [one.id for one in ended.keys]}
    _audit(connection, Event.REVOKED, ended.device, now_s, detail)
    for family in ended.families:
        tell_ended(connection, family, DEVICE_REVOKED, now_s)
    return ended


def allow_device(
    connection: Transaction, principal: Principal, installation_id: str, now_s: float
) -> bool:
    """Take the mark of a device back; False if it has none. The grants that ended with it stay so."""
    allowed = Devices(connection).allow(principal, installation_id)
    if allowed is not None:
        _audit(connection, Event.LET_IN_AGAIN, allowed, now_s, {"by": "the operator"})
    return allowed is not None


def forget_device(
    connection: Transaction, principal: Principal, installation_id: str, now_s: float
) -> bool:
    """Remove a device and the names of what it had, for others to have; False if there is none."""
    gone = Devices(connection).forget(principal, installation_id)
    if gone is None:
        return False
    Names(connection).forget_device(principal, installation_id)
    _audit(connection, Event.FORGOTTEN, gone, now_s, {"was_revoked": gone.revoked_s is not None})
    return True


def record_to_json(device: DeviceRecord) -> Json:
    """Return a device of a relay that does not run as a JSON object of `/api/v1/devices`."""
    return {
        "id": device.installation_id,
        "name": device.name,
        "issuer": device.principal.issuer,
        "user": device.principal.subject,
        "state": "offline" if device.revoked_s is None else "revoked",
        "first_seen_s": device.first_seen_s,
        "last_seen_s": device.last_seen_s,
        "revoked_s": device.revoked_s,
    }


def ended_to_json(ended: EndedDevice) -> Json:
    """Return what ended with a device, and what did not, as the answer of `/api/v1/devices/revoke`."""
    return {
        "grants": [one.id for one in ended.families],
        "others": _named((one.installation_id, one.name) for one in ended.others),
        "keys": _named((one.id, one.name) for one in ended.keys),
    }


def _named(pairs: Iterable[tuple[str, str]]) -> list[Json]:
    return [{"id": one_id, "name": name} for one_id, name in pairs]


def _audit(
    connection: Transaction,
    event: Event,
    device: DeviceRecord,
    now_s: float,
    detail: Mapping[str, Any],
) -> None:
    named = {"device": device.name, "id": device.installation_id}
    AuditLog(connection).add(
        AuditEvent(
            at_s=now_s, event=event.value, principal=device.principal, detail=named | dict(detail)
        )
    )
