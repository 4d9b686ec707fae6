"""The devices in the store: every installation of an agent that was ever seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, select, update

from mcptunnel.model import Principal
from mcptunnel.store.clauses import is_of, principal_of
from mcptunnel.store.tables import device
from mcptunnel.store.upsert import insert_into


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRecord:
    """One installation of a user's; `name` is its label, times are seconds since the epoch.

    What was granted up to `revoked_s` does not let it in.
    """

    principal: Principal
    installation_id: str
    name: str
    first_seen_s: float
    last_seen_s: float
    revoked_s: float | None = None


class Devices:
    """The devices, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def seen(
        self, principal: Principal, installation_id: str, name: str, now_s: float
    ) -> DeviceRecord:
        """Store that an installation is there under `name`; return what is known of it."""
        row = self._connection.execute(
            insert_into(self._connection, device)
            .values(
                issuer=principal.issuer,
                subject=principal.subject,
                installation_id=installation_id,
                name=name,
                first_seen_s=now_s,
                last_seen_s=now_s,
            )
            .on_conflict_do_update(
                index_elements=["issuer", "subject", "installation_id"],
                set_={"name": name, "last_seen_s": now_s},
            )
            .returning(device)
        ).one()
        return device_of(row)

    def find(self, principal: Principal, installation_id: str) -> DeviceRecord | None:
        """Return an installation, or None."""
        row = self._connection.execute(
            select(device).where(_is(principal, installation_id))
        ).one_or_none()
        return None if row is None else device_of(row)

    def revoke(
        self, principal: Principal, installation_id: str, now_s: float
    ) -> DeviceRecord | None:
        """Mark an installation, perhaps anew; None if there is none.

        `store.revocation.end_device` also ends what it used.
        """
        row = self._connection.execute(
            update(device)
            .where(_is(principal, installation_id))
            .values(revoked_s=now_s)
            .returning(device)
        ).one_or_none()
        return None if row is None else device_of(row)

    def allow(
        self, principal: Principal, installation_id: str, *, granted_s: float | None = None
    ) -> DeviceRecord | None:
        """Take the mark back, if it is older than what was granted then; None if nothing changed."""
        is_marked: ColumnElement[bool] = device.c.revoked_s.is_not(None)
        if granted_s is not None:
            is_marked = device.c.revoked_s < granted_s
        row = self._connection.execute(
            update(device)
            .where(_is(principal, installation_id), is_marked)
            .values(revoked_s=None)
            .returning(device)
        ).one_or_none()
        return None if row is None else device_of(row)

    def forget(self, principal: Principal, installation_id: str) -> DeviceRecord | None:
        """Remove an installation, and what is known of its credentials; return what it was."""
        row = self._connection.execute(
            delete(device).where(_is(principal, installation_id)).returning(device)
        ).one_or_none()
        return None if row is None else device_of(row)

    def list(self, principal: Principal | None = None) -> Sequence[DeviceRecord]:
        """Return the devices of a user, or all, in the order in which they first came."""
        query = select(device).order_by(device.c.first_seen_s, device.c.installation_id)
        if principal is not None:
            query = query.where(is_of(device, principal))
        return [device_of(row) for row in self._connection.execute(query)]


def device_of(row: Row[Any]) -> DeviceRecord:
    """Return the device in a row of `device`."""
    return DeviceRecord(
        principal=principal_of(row),
        installation_id=row.installation_id,
        name=row.name,
        first_seen_s=row.first_seen_s,
        last_seen_s=row.last_seen_s,
        revoked_s=row.revoked_s,
    )


def _is(principal: Principal, installation_id: str) -> ColumnElement[bool]:
    return and_(is_of(device, principal), device.c.installation_id == installation_id)
