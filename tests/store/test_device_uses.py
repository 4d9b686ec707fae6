"""Which devices used which grants and keys."""

from functools import partial

import pytest
from sqlalchemy import Connection

from mcptunnel.auth.keys import RANDOM_BYTES, KeyId, Scope
from mcptunnel.store.database import Database
from mcptunnel.store.device_uses import DeviceUses
from mcptunnel.store.devices import Devices
from mcptunnel.store.errors import StoreError
from mcptunnel.store.keys import Keys
from mcptunnel.store.oauth.families import Families
from tests.store.samples import ALICE, BOB, family, race


def _key(connection: Connection, number: int) -> KeyId:
    random = bytes([number]) * RANDOM_BYTES
    issued = Keys(connection).issue(ALICE, Scope.AGENT, f"k{number}", random=random, now_s=number)
    return issued.record.id


def _fill(connection: Connection) -> None:
    for family_id in ("f1", "f2"):
        Families(connection).add(family(family_id))
    for principal in (ALICE, BOB):
        for number, installation_id in enumerate(("i1", "i2")):
            Devices(connection).seen(principal, installation_id, installation_id, number)


def _note(database: Database, installation_id: str, *grant_ids: str) -> None:
    for grant_id in grant_ids:
        note = partial(_noted, installation_id=installation_id, grant_id=grant_id)
        database.write(note)


def _noted(connection: Connection, installation_id: str, grant_id: str) -> None:
    DeviceUses(connection).note(ALICE, installation_id, grant_id)


def _names(database: Database) -> dict[str, list[str]]:
    found = database.read(lambda c: DeviceUses(c).of_grants(["f1", "f2"]))
    return {family_id: [one.name for one in devices] for family_id, devices in found.items()}


def test_a_grant_may_have_several_devices_and_a_device_several_grants(database: Database) -> None:
    """Neither locks the other out; to be used again changes nothing."""
    database.write(_fill)
    _note(database, "i2", "f1")
    _note(database, "i1", "f1", "f2", "f1")
    assert _names(database) == {"f1": ["i1", "i2"], "f2": ["i1"]}
    assert database.read(lambda c: DeviceUses(c).of_grants([])) == {}


def test_what_is_not_there_is_not_noted(database: Database) -> None:
    """A grant that is nobody's, and one that is another user's; a device must be there."""
    database.write(_fill)
    _note(database, "i1", "nothing", "")
    database.write(lambda c: DeviceUses(c).note(BOB, "i1", "f1"))
    assert _names(database) == {"f1": [], "f2": []}
    with pytest.raises(StoreError):
        _note(database, "unknown", "f1")


def test_the_keys_of_a_device_are_those_in_force(database: Database) -> None:
    database.write(_fill)
    first, second, other = (database.write(partial(_key, number=n)) for n in (1, 2, 3))
    _note(database, "i1", second, first)
    _note(database, "i2", other)
    keys = database.read(lambda c: DeviceUses(c).keys(ALICE, "i1"))
    assert [(one.id, one.name) for one in keys] == [(first, "k1"), (second, "k2")]
    database.write(lambda c: Keys(c).revoke(first, 9.0))
    assert [one.id for one in database.read(lambda c: DeviceUses(c).keys(ALICE, "i1"))] == [second]
    assert database.read(lambda c: DeviceUses(c).keys(BOB, "i1")) == []


def test_it_is_forgotten_with_the_device_and_with_the_grant(database: Database) -> None:
    """So there is no more of it than there are devices and grants."""
    database.write(_fill)
    _note(database, "i1", "f1", "f2", database.write(lambda c: _key(c, 1)))
    _note(database, "i2", "f1")
    database.write(lambda c: Devices(c).forget(ALICE, "i1"))
    assert _names(database) == {"f1": ["i2"], "f2": []}
    database.write(lambda c: Devices(c).seen(ALICE, "i1", "i1", 1.0))
    assert database.read(lambda c: DeviceUses(c).keys(ALICE, "i1")) == []
    assert (
        database.write(
            lambda c: Families(c).purge(2000.0, revoked_before_s=0.0, unused_since_s=9.0, limit=9)
        )
        == 2
    )
    assert _names(database) == {"f1": [], "f2": []}


def test_more_grants_than_fit_into_a_statement_are_asked_for(database: Database) -> None:
    database.write(_fill)
    _note(database, "i1", "f1")
    many = [*map(str, range(40_000)), "f1"]
    found = database.read(lambda c: DeviceUses(c).of_grants(many))
    assert [(name, len(devices)) for name, devices in found.items() if devices] == [("f1", 1)]


def test_many_note_the_same_at_once(database: Database) -> None:
    database.write(_fill)
    race(database, lambda c: DeviceUses(c).note(ALICE, "i1", "f1"))
    assert _names(database) == {"f1": ["i1"], "f2": []}
