"""What can be done about devices, each in one transaction, and how it is told."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from mcptunnel.auth.keys import RANDOM_BYTES, KeyRecord, Scope
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.relay.access import access_of_key
from mcptunnel.relay.device_changes import (
    allow_device,
    device_came,
    ended_to_json,
    forget_device,
    record_to_json,
    revoke_device,
)
from mcptunnel.relay.devices import Device
from mcptunnel.store.audit import AuditEvent, AuditLog
from mcptunnel.store.database import Database
from mcptunnel.store.devices import DeviceRecord, Devices
from mcptunnel.store.keys import Keys
from tests.relay.store_at_once import StoreAtOnce

ALICE = Principal(LOCAL_ISSUER, "alice")
LAPTOP = Device(ALICE, "i1", "laptop", 1.0, 2.0)


@pytest.fixture
def database(store: StoreAtOnce) -> Database:
    return store.database


def key_of(database: Database, now_s: float) -> KeyRecord:
    random = bytes([int(now_s)]) * RANDOM_BYTES
    return database.write(
        lambda c: Keys(c).issue(ALICE, Scope.AGENT, f"key {now_s:g}", random=random, now_s=now_s)
    ).record


def come(connection: Connection, key: KeyRecord, now_s: float) -> None:
    access = access_of_key(ALICE, key.id, key.scope, key.created_s)
    device_came(connection, LAPTOP, access, now_s)


def events(database: Database) -> list[AuditEvent]:
    """Return the events of devices, oldest first."""
    pages = database.read(lambda c: AuditLog(c).page(limit=99))
    found = [logged.event for logged in reversed(pages)]
    return [event for event in found if event.event.startswith("device.")]


def known(database: Database) -> DeviceRecord | None:
    return database.read(lambda c: Devices(c).find(ALICE, "i1"))


def test_a_newer_credential_takes_the_mark_back_and_an_older_one_does_not(
    database: Database,
) -> None:
    """That is noted, with what it was; coming in is not."""
    older, newer = key_of(database, 2.0), key_of(database, 9.0)
    database.write(lambda c: come(c, older, 3.0))
    ended = database.write(lambda c: revoke_device(c, ALICE, "i1", 5.0))
    assert ended is not None
    assert ended_to_json(ended) == {
        "grants": [],
        "others": [],
        "keys": [{"id": older.id, "name": "key 2"}],
    }
    database.write(lambda c: come(c, older, 6.0))
    record = known(database)
    assert record is not None
    assert (record.revoked_s, record.last_seen_s) == (5.0, 6.0)
    database.write(lambda c: come(c, newer, 10.0))
    assert known(database) == replace(record, revoked_s=None, last_seen_s=10.0)
    revoked, again = events(database)
    named = {"device": "laptop", "id": "i1"}
    assert (revoked.event, revoked.principal) == ("device.revoked", ALICE)
    assert revoked.detail == named | {"grants": [], "keys": [older.id]}
    assert again.detail == named | {"by": "a newer credential", "credential": newer.id}


def test_the_operator_allows_and_forgets(database: Database) -> None:
    """Once each; what is not there cannot be changed."""
    database.write(lambda c: Devices(c).seen(ALICE, "i1", "laptop", 1.0))
    database.write(lambda c: revoke_device(c, ALICE, "i1", 5.0))
    change: dict[str, Any] = {"principal": ALICE, "installation_id": "i1", "now_s": 6.0}
    for one in (partial(allow_device, **change), partial(forget_device, **change)):
        assert [database.write(one), database.write(one)] == [True, False]
    assert known(database) is None
    assert database.write(lambda c: revoke_device(c, ALICE, "i1", 7.0)) is None
    told = [(event.event, event.detail) for event in events(database)[1:]]
    named = {"device": "laptop", "id": "i1"}
    assert told == [
        ("device.let_in_again", named | {"by": "the operator"}),
        ("device.forgotten", named | {"was_revoked": False}),
    ]


@pytest.mark.parametrize(("revoked_s", "state"), [(None, "offline"), (5.0, "revoked")])
def test_a_device_of_a_relay_that_does_not_run(revoked_s: float | None, state: str) -> None:
    record = DeviceRecord(
        principal=ALICE,
        installation_id="i1",
        name="laptop",
        first_seen_s=1.0,
        last_seen_s=2.0,
        revoked_s=revoked_s,
    )
    assert record_to_json(record) == {
        "id": "i1",
        "name": "laptop",
        "issuer": "local",
        "user": "alice",
        "state": state,
        "first_seen_s": 1.0,
        "last_seen_s": 2.0,
        "revoked_s": revoked_s,
    }
