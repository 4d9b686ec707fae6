"""Which installation came in with which grant or key: many with many.

Two agents on one machine may share a sign-in, and a service key may serve many machines. There are no more rows
of a grant or a key than its user has devices: they go when a device is forgotten.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, and_, literal, select

from mcptunnel.auth.keys import KeyRecord
from mcptunnel.model import Principal
from mcptunnel.store.clauses import is_of
from mcptunnel.store.devices import DeviceRecord, device_of
from mcptunnel.store.keys import key_of
from mcptunnel.store.oauth.tables import device_grant, token_family
from mcptunnel.store.tables import api_key, device, device_key
from mcptunnel.store.upsert import insert_into

AT_ONCE: Final = 500
"""Grants that are asked for in one statement, whose parameters databases bound."""


class DeviceUses:
    """What devices used, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def note(self, principal: Principal, installation_id: str, grant_id: str) -> None:
        """Store that an installation came in with a grant or a key; one that is not there is nothing.

        Raises an error of the database if the device is not there.
        """
        of_device = [
            literal(principal.issuer),
            literal(principal.subject),
            literal(installation_id),
        ]
        for used, credential in ((device_grant, token_family), (device_key, api_key)):
            found = select(*of_device, credential.c.id).where(
                is_of(credential, principal), credential.c.id == grant_id
            )
            self._connection.execute(
                insert_into(self._connection, used)
                .from_select([column.name for column in used.primary_key], found)
                .on_conflict_do_nothing()
            )

    def keys(self, principal: Principal, installation_id: str) -> Sequence[KeyRecord]:
        """Return the keys that an installation used and that are not revoked, oldest first."""
        query = (
            select(api_key)
            .join(device_key, device_key.c.key_id == api_key.c.id)
            .where(_is(device_key, principal, installation_id), api_key.c.revoked_s.is_(None))
            .order_by(api_key.c.created_s, api_key.c.id)
        )
        return [key_of(row) for row in self._connection.execute(query)]

    def of_grants(self, family_ids: Collection[str]) -> dict[str, list[DeviceRecord]]:
        """Return the devices that used grants, of each the first known first."""
        found: dict[str, list[DeviceRecord]] = {family_id: [] for family_id in family_ids}
        asked = list(found)
        for start in range(0, len(asked), AT_ONCE):
            query = (
                select(device, device_grant.c.family_id)
                .join(device_grant, _same_device())
                .where(device_grant.c.family_id.in_(asked[start : start + AT_ONCE]))
                .order_by(device.c.first_seen_s, device.c.installation_id)
            )
            for row in self._connection.execute(query):
                found[row.family_id].append(device_of(row))
        return found


def used_by(principal: Principal, installation_id: str) -> ColumnElement[bool]:
    """Whether a row of `token_family` is a grant that an installation used."""
    return token_family.c.id.in_(
        select(device_grant.c.family_id).where(_is(device_grant, principal, installation_id))
    )


def _is(used: Table, principal: Principal, installation_id: str) -> ColumnElement[bool]:
    return and_(is_of(used, principal), used.c.installation_id == installation_id)


def _same_device() -> ColumnElement[Any]:
    return and_(*(column == device_grant.c[column.name] for column in device.primary_key))
