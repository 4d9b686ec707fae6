"""The devices in the store."""

from collections.abc import Callable
from dataclasses import replace
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
    gone = [_do(database, lambda devices: devices.forget(_ALICE, "i1")) for _ in range(2)]
    assert [one and one.name for one in gone] == ["a", None]
    assert _do(database, lambda devices: devices.list()) == [kept, theirs]


def test_the_list_is_in_order_of_first_coming(database: Database) -> None:
    for number, installation_id in enumerate(["c", "a", "b", "c"]):
        seen = partial(Devices.seen, principal=_ALICE, installation_id=installation_id)
        _do(database, partial(seen, name="x", now_s=float(number)))
    listed = _do(database, lambda devices: devices.list(_ALICE))
    assert [record.installation_id for record in listed] == ["c", "a", "b"]


def test_a_device_is_marked_and_the_mark_is_taken_back(database: Database) -> None:
    """To be seen changes nothing about it; another user's device of that id has nothing to do with it."""
    theirs = _do(database, lambda devices: devices.seen(_BOB, "i1", "b", 1.0))
    assert _do(database, lambda devices: devices.revoke(_ALICE, "i1", 2.0)) is None
    known = _do(database, lambda devices: devices.seen(_ALICE, "i1", "a", 1.0))
    marked = replace(known, revoked_s=2.0)
    assert _do(database, lambda devices: devices.revoke(_ALICE, "i1", 2.0)) == marked
    assert _do(database, lambda devices: devices.seen(_ALICE, "i1", "a", 1.0)) == marked
    assert _do(database, lambda devices: devices.find(_ALICE, "i1")) == marked
    assert _do(database, lambda devices: devices.find(_BOB, "i1")) == theirs
    allowed = [_do(database, lambda devices: devices.allow(_ALICE, "i1")) for _ in range(2)]
    assert allowed == [known, None]
    assert _do(database, lambda devices: devices.find(_ALICE, "i1")) == known
    assert _do(database, lambda devices: devices.find(_ALICE, "i2")) is None


def test_only_what_was_granted_later_takes_the_mark_back(database: Database) -> None:
    """A mark that was set anew counts from then on."""
    _do(database, lambda devices: devices.seen(_ALICE, "i1", "a", 1.0))

    def allowed(granted_s: float) -> bool:
        return (
            _do(database, lambda devices: devices.allow(_ALICE, "i1", granted_s=granted_s))
            is not None
        )

    assert not allowed(9.0)
    for revoked_s in (5.0, 7.0):
        _do(
            database,
            partial(Devices.revoke, principal=_ALICE, installation_id="i1", now_s=revoked_s),
        )
    assert [allowed(granted_s) for granted_s in (6.0, 7.0, 7.5, 8.0)] == [False, False, True, False]
