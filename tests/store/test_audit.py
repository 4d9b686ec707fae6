"""The audit log."""

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import Connection

from mcptunnel.store.audit import AuditEvent, AuditLog
from mcptunnel.store.database import Database
from tests.store.samples import ALICE, BOB, CLIENT

_EVENT = AuditEvent(
    at_s=1.0,
    event="login",
    principal=ALICE,
    client_id=CLIENT,
    address="192.0.2.1",
    detail={"browser": "ü🙂"},
)


def _log(database: Database, *events: AuditEvent) -> None:
    for event in events:
        database.write(partial(_add, event=event))


def _add(connection: Connection, event: AuditEvent) -> None:
    AuditLog(connection).add(event)


def test_events_are_read_in_pages_newest_first(database: Database) -> None:
    """A page begins where the one before ended, whatever was added meanwhile."""
    events = [replace(_EVENT, at_s=float(n)) for n in range(5)]
    _log(database, *events)
    first = database.read(lambda c: AuditLog(c).page(limit=2))
    _log(database, replace(_EVENT, at_s=9.0))
    second = database.read(lambda c: AuditLog(c).page(limit=9, before=first[-1].id))
    assert [one.event for one in [*first, *second]] == events[::-1]


def test_events_are_found_by_user_and_kind(database: Database) -> None:
    """An event may be nobody's."""
    nobody = AuditEvent(at_s=2.0, event="start")
    theirs = replace(_EVENT, principal=BOB)
    _log(database, _EVENT, nobody, theirs)
    pages = [
        database.read(lambda c: AuditLog(c).page(limit=9, principal=BOB)),
        database.read(lambda c: AuditLog(c).page(limit=9, event="start")),
        database.read(lambda c: AuditLog(c).page(limit=9, event="start", principal=BOB)),
    ]
    assert [[one.event for one in page] for page in pages] == [[theirs], [nobody], []]


def test_a_token_in_the_detail_is_cut(database: Database) -> None:
    """Whoever writes an event by mistake with a token in it does no harm."""
    _log(database, replace(_EVENT, detail={"mcpt_rt_s3cret": ["Bearer mcpt_at_s3-cr_et~.!"]}))
    (logged,) = database.read(lambda c: AuditLog(c).page(limit=1))
    assert logged.event.detail == {"mcpt_rt_…": ["Bearer mcpt_at_…!"]}


def test_old_and_surplus_events_go(database: Database) -> None:
    """A bounded number at a time, by age and by count."""
    _log(database, *(replace(_EVENT, at_s=float(n)) for n in range(10)))

    def trim(connection: Connection) -> list[int]:
        log = AuditLog(connection)
        return [
            log.trim(at_most=10, before_s=0.0, limit=9),
            log.trim(at_most=99, before_s=3.0, limit=2),
            log.trim(at_most=99, before_s=3.0, limit=2),
            log.trim(at_most=4, before_s=0.0, limit=9),
            log.trim(at_most=4, before_s=0.0, limit=9),
        ]

    assert database.write(trim) == [0, 2, 1, 3, 0]
    left = database.read(lambda c: AuditLog(c).page(limit=9))
    assert [one.event.at_s for one in left] == [9.0, 8.0, 7.0, 6.0]


@pytest.mark.parametrize(
    "caused",
    [
        AuditEvent(at_s=0.0, event="client.registered"),
        AuditEvent(at_s=0.0, event="user.refused"),
        AuditEvent(at_s=0.0, event="user.refused", principal=ALICE),
        AuditEvent(at_s=0.0, event="authorization.refused", principal=ALICE),
    ],
)
def test_threat_30_strangers_push_nothing_out_that_has_a_user(
    database: Database, caused: AuditEvent
) -> None:
    """Anybody can fail to sign in, by any name, or register a client; half of the room is for what people did."""
    _log(database, *(replace(_EVENT, at_s=float(n)) for n in range(3)))
    _log(database, *(replace(caused, at_s=10.0 + n) for n in range(20)))
    while database.write(lambda c: AuditLog(c).trim(at_most=10, before_s=0.0, limit=4)):
        pass
    left = database.read(lambda c: AuditLog(c).page(limit=99))
    assert [one.event.at_s for one in left] == [29.0, 28.0, 27.0, 26.0, 25.0, 2.0, 1.0, 0.0]


def test_events_are_read_on_from_a_number(database: Database) -> None:
    """Oldest first, for whoever writes them elsewhere."""
    assert database.read(lambda c: AuditLog(c).newest(before_s=9.0)) == 0
    _log(database, *(replace(_EVENT, at_s=float(n)) for n in range(4)))
    first, second, *_ = database.read(lambda c: AuditLog(c).after(0, limit=2))
    rest = database.read(lambda c: AuditLog(c).after(second.id, limit=9))
    assert [one.event.at_s for one in (first, second, *rest)] == [0.0, 1.0, 2.0, 3.0]

    def newest(connection: Connection) -> list[int]:
        return [AuditLog(connection).newest(before_s=at_s) for at_s in (9.0, 3.0)]

    assert database.read(newest) == [rest[-1].id, rest[-2].id]
