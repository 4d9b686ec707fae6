"""Ending all that somebody has, in one transaction; live links and streams end by what is returned.

The order matters on PostgreSQL, where transactions run side by side: first what can still become
something else, then what it became. A statement that waited for another transaction is followed
by one that sees what that transaction made.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from mcptunnel.auth.agent_client import AGENT_CLIENT_ID
from mcptunnel.auth.keys import KeyRecord
from mcptunnel.model import Principal
from mcptunnel.store.device_uses import DeviceUses
from mcptunnel.store.devices import DeviceRecord, Devices
from mcptunnel.store.oauth.clients import Clients
from mcptunnel.store.oauth.codes import AuthCodes
from mcptunnel.store.oauth.consents import Consents
from mcptunnel.store.oauth.device_codes import DeviceCodes
from mcptunnel.store.oauth.families import Families, Family
from mcptunnel.store.people.browsers import BrowserSessions


@dataclass(frozen=True, slots=True)
class Ended:
    """What has just ended: token families, and browser sessions by id."""

    families: Sequence[Family] = ()
    sessions: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class EndedDevice:
    """A device that was just revoked.

    With it the token families ended that it used, also for `others` that used them. `keys` are those
    that it used; they go on.
    """

    device: DeviceRecord
    families: Sequence[Family] = ()
    others: Sequence[DeviceRecord] = ()
    keys: Sequence[KeyRecord] = ()


def end_user(connection: Connection, principal: Principal, *, now_s: float, reason: str) -> Ended:
    """End a user's sessions, codes, consents and tokens. API keys are not among them.

    To keep the user out, disable or forget the user first, in the same transaction.
    """
    sessions = BrowserSessions(connection).close_all(principal)
    AuthCodes(connection).forget(principal=principal)
    DeviceCodes(connection).forget(principal=principal)
    Consents(connection).forget(principal=principal)
    families = Families(connection).revoke_all(principal=principal, now_s=now_s, reason=reason)
    return Ended(families, sessions)


def end_client(
    connection: Connection,
    client_id: str,
    *,
    principal: Principal | None = None,
    now_s: float,
    reason: str,
) -> Ended:
    """End what a client was granted, by one user or by all; without a user the client goes, too."""
    if principal is None:
        Clients(connection).forget(client_id)
    AuthCodes(connection).forget(principal=principal, client_id=client_id)
    DeviceCodes(connection).forget(principal=principal, client_id=client_id)
    Consents(connection).forget(principal=principal, client_id=client_id)
    return Ended(
        Families(connection).revoke_all(
            principal=principal, client_id=client_id, now_s=now_s, reason=reason
        )
    )


def end_device(
    connection: Connection, principal: Principal, installation_id: str, *, now_s: float, reason: str
) -> EndedDevice | None:
    """Mark a device as revoked and end the grants that it used; None if there is no such device.

    What the user allowed to agents and nobody fetched yet ends as well: it would be a grant of later. The mark
    is as new as the newest key that it used: the clock may have been set back since that was made.
    """
    devices = Devices(connection)
    device = devices.revoke(principal, installation_id, now_s)
    if device is None:
        return None
    AuthCodes(connection).forget(principal=principal, client_id=AGENT_CLIENT_ID)
    DeviceCodes(connection).forget(principal=principal, client_id=AGENT_CLIENT_ID)
    families = Families(connection).revoke_device(
        principal, installation_id, now_s=now_s, reason=reason
    )
    uses = DeviceUses(connection)
    shared = uses.of_grants([family.id for family in families])
    others = {one.installation_id: one for used_by in shared.values() for one in used_by}
    others.pop(installation_id, None)
    keys = uses.keys(principal, installation_id)
    newest_s = max((key.created_s for key in keys), default=now_s)
    if newest_s > now_s:
        device = devices.revoke(principal, installation_id, newest_s) or device
    return EndedDevice(device, families, list(others.values()), keys)
