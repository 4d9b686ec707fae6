"""The devices in the store: every installation of an agent that was ever seen."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from mcptunnel.model import Principal
from mcptunnel.store.tables import device
from mcptunnel.store.upsert import insert_into


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRecord:
    """One installation of a user's; `name` is its label, times are seconds since the epoch."""

    principal: Principal
    installation_id: str
    name: str
    first_seen_s: float
    last_seen_s: float


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
            .returning(device.c.first_seen_s)
        ).one()
        return DeviceRecord(
            principal=principal,
            installation_id=installation_id,
            name=name,
            first_seen_s=row.first_seen_s,
            last_seen_s=now_s,
        )

    def forget(self, principal: Principal, installation_id: str) -> None:
        """Remove an installation, if it is there."""
        self._connection.execute(
            delete(device).where(
                device.c.issuer == principal.issuer,
                device.c.subject == principal.subject,
                device.c.installation_id == installation_id,
            )
        )

    def list(self, principal: Principal | None = None) -> Sequence[DeviceRecord]:
        """Return the devices of a user, or all, in the order in which they first came."""
        query = select(device).order_by(device.c.first_seen_s, device.c.installation_id)
        if principal is not None:
            query = query.where(
                device.c.issuer == principal.issuer, device.c.subject == principal.subject
            )
        return [
            DeviceRecord(
                principal=Principal(row.issuer, row.subject),
                installation_id=row.installation_id,
                name=row.name,
                first_seen_s=row.first_seen_s,
                last_seen_s=row.last_seen_s,
            )
            for row in self._connection.execute(query)
        ]
