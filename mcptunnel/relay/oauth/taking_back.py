"""Grants that whoever runs the relay takes back, each within one transaction: by the relay, and by commands without one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcptunnel.model import Principal
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.oauth.auditing import Event, audit
from mcptunnel.store.device_uses import DeviceUses
from mcptunnel.store.devices import DeviceRecord
from mcptunnel.store.engine import Store, Transaction
from mcptunnel.store.oauth.families import Families, Family
from mcptunnel.store.revocation import end_client

TAKEN_BACK: Final = "taken back by the operator"


@dataclass(frozen=True, slots=True)
class UsedGrant:
    """A grant, and the devices that used it."""

    family: Family
    devices: Sequence[DeviceRecord]


def list_grants(connection: Transaction, now_s: float) -> Sequence[UsedGrant]:
    """Return all grants that live, oldest first."""
    families = Families(connection).list(now_s)
    used_by = DeviceUses(connection).of_grants([family.id for family in families])
    return [UsedGrant(family, used_by[family.id]) for family in families]


def take_back_grant(connection: Transaction, grant_id: str, now_s: float) -> int:
    """End one grant with its tokens; return how many there were, 1 or 0."""
    ended = Families(connection).revoke(grant_id, now_s=now_s, reason=TAKEN_BACK)
    if ended is not None:
        tell_ended(connection, ended, TAKEN_BACK, now_s)
    return int(ended is not None)


def take_back_client(
    connection: Transaction, client_id: str, principal: Principal | None, now_s: float
) -> int:
    """End what a client was granted, by one user or by all; then a client that registered itself is forgotten.

    What was agreed to has to be agreed to anew. Returns how many grants there were.
    """
    ended = end_client(connection, client_id, principal=principal, now_s=now_s, reason=TAKEN_BACK)
    for family in ended.families:
        tell_ended(connection, family, TAKEN_BACK, now_s)
    return len(ended.families)


class GrantDirectory:
    """The grants of one relay. `epoch_s` is the time of day; `revoked` hears of what is taken back."""

    def __init__(
        self, store: Store, *, epoch_s: Callable[[], float], revoked: Callable[[Revoked], None]
    ) -> None:
        self._store = store
        self._epoch_s = epoch_s
        self._revoked = revoked

    async def list(self) -> Sequence[UsedGrant]:
        """Return all that live, oldest first."""
        now_s = self._epoch_s()
        return await self._store.read(lambda connection: list_grants(connection, now_s))

    async def take_back_grant(self, grant_id: str) -> int:
        """End a grant, and at once all that is open on its strength; return how many there were."""
        now_s = self._epoch_s()
        count = await self._store.write(
            lambda connection: take_back_grant(connection, grant_id, now_s)
        )
        if count:
            self._revoked(Revoked(grant_id=grant_id))
        return count

    async def take_back_client(self, client_id: str, principal: Principal | None) -> int:
        """End what a client was granted, likewise."""
        now_s = self._epoch_s()
        count = await self._store.write(
            lambda connection: take_back_client(connection, client_id, principal, now_s)
        )
        self._revoked(Revoked(principal=principal, client_id=client_id))
        return count


def grant_to_json(used: UsedGrant) -> dict[str, Any]:
    """Return a grant as the JSON object of `/api/v1/grants`."""
    family = used.family
    return {
        "id": family.id,
        "issuer": family.principal.issuer,
        "user": family.principal.subject,
        "client_id": family.client_id,
        "resource": family.resource,
        "scopes": sorted(family.scopes),
        "created_s": family.created_s,
        "last_used_s": family.last_used_s,
        "expires_s": family.expires_s,
        "devices": [{"id": one.installation_id, "name": one.name} for one in used.devices],
    }


def tell_ended(connection: Transaction, family: Family, reason: str, now_s: float) -> None:
    """Write into the audit log that a grant was ended, and why."""
    audit(
        connection,
        Event.GRANT_REVOKED,
        at_s=now_s,
        client=family.client_id,
        principal=family.principal,
        detail={"grant": family.id, "reason": reason},
    )
