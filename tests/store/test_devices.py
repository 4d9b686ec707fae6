"""The devices in the store."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from mcptunnel.model import Principal
from mcptunnel.store.database import Database
from mcptunnel.store.devices import DeviceRecord, Devices

_T = TypeVar("_T")
_ALICE, _BOB = Principal("local", "alice"), Principal("local", "bob")


def _do(database: Database, work: Callable[[Devices], _T]) -> _T:
    return database.write(lambda connection: work(Devices(connection)))


def test_a_device_is_remembered_under_its_newest_name(database: Database) -> None:
    first = _do(database, lambda devices: devices.seen(_ALICE, "i1", "laptop", 1.0))
    again = _do(database, lambda devices: devices.seen(_ALICE, "i1", "notebook", 5.0))
    assert (first.first_seen_s, first.last_seen_s) == (1.0, 1.0)
    assert again == DeviceRecord(
        principal=_ALICE, installation_id="i1", name="notebook", first_seen_s=1.0, last_seen_s=5.0
    )
    assert _do(database, lambda devices: devices.list(_ALICE)) == [again]


def test_the_same_installation_of_two_users_is_two_devices(database: Database) -> None:
    mine = _do(database, lambda devices: devices.seen(_ALICE, "i1", "a", 1.0))
    theirs = _do(database, lambda devices: devices.seen(_BOB, "i1", "b", 2.0))
    assert _do(database, lambda devices: devices.list(_ALICE)) == [mine]
    assert _do(database, lambda devices: devices.list(_BOB)) == [theirs]
    assert _do(database, lambda devices: devices.list()) == [mine, theirs]


def test_a_device_can_be_forgotten(database: Database) -> None:
    _do(database, lambda devices: devices.seen(_ALICE, "i1", "a", 1.0))
    kept = _do(database, lambda devices: devices.seen(_ALICE, "i2", "b", 2.0))
    theirs = _do(database, lambda devices: devices.seen(_BOB, "i1", "c", 3.0))
    _do(database, lambda devices: devices.forget(_ALICE, "i1"))
    _do(database, lambda devices: devices.forget(_ALICE, "i1"))
    assert _do(database, lambda devices: devices.list()) == [kept, theirs]


def test_the_list_is_in_order_of_first_coming(database: Database) -> None:
    for number, installation_id in enumerate(["c", "a", "b", "c"]):
        seen = partial(Devices.seen, principal=_ALICE, installation_id=installation_id)
        _do(database, partial(seen, name="x", now_s=float(number)))
    listed = _do(database, lambda devices: devices.list(_ALICE))
    assert [record.installation_id for record in listed] == ["c", "a", "b"]
