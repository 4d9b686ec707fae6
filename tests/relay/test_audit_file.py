"""The audit log as a file."""

import json
import stat
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.relay.audit_file import EVERY_S, LIMIT, SETTLED_S, AuditFile, AuditFileError
from mcptunnel.store.audit import AuditEvent, AuditLog, audit_event
from tests.conftest import Log
from tests.relay.coroutines import now
from tests.relay.store_at_once import StoreAtOnce


class Stage:
    """A relay's store, and the file beside it."""

    def __init__(self, store: StoreAtOnce, folder: Path) -> None:
        self.store = store
        self.clock = Clock()
        self.clock.advance(1000)
        self.path = folder / "audit.jsonl"
        self.file = self.again()

    def again(self) -> AuditFile:
        return AuditFile(self.path, self.store, self.clock, self.clock.seconds)

    def note(self, *names: str) -> None:
        for name in names:
            event = AuditEvent(at_s=self.clock.seconds(), event=name)
            self.store.database.write(partial(_add, event=event))

    def wait_s(self, seconds: float) -> None:
        for _ in range(int(seconds / EVERY_S)):
            self.clock.advance(EVERY_S)

    @property
    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.path.read_text().splitlines()]


def _add(connection: Connection, event: AuditEvent) -> None:
    AuditLog(connection).add(event)


@pytest.fixture
def stage(store: StoreAtOnce, tmp_path: Path) -> Stage:
    return Stage(store, tmp_path)


def test_every_event_is_written_once_and_soon(stage: Stage) -> None:
    """For the owner alone; what was there before the file is not written."""
    stage.note("before")
    stage.clock.advance(1)
    stage.file = stage.again()
    stage.note("while it starts")
    stage.file.startService()
    assert stat.S_IMODE(stage.path.stat().st_mode) == 0o600
    stage.note("a", "b")
    stage.wait_s(EVERY_S)
    assert stage.events == ["while it starts", "a", "b"]
    stage.note("c")
    stage.wait_s(2 * SETTLED_S)
    assert stage.events == ["while it starts", "a", "b", "c"]
    now(stage.file.stopService())


def test_more_than_one_turn_takes(stage: Stage) -> None:
    stage.file.startService()
    stage.note(*map(str, range(2 * LIMIT + 1)))
    stage.wait_s(EVERY_S)
    assert stage.events == list(map(str, range(2 * LIMIT + 1)))
    now(stage.file.stopService())


def test_a_stop_writes_the_rest_and_a_start_goes_on(stage: Stage) -> None:
    """Also with what a command did while the relay was down."""
    stage.file.startService()
    stage.note("a")
    now(stage.file.stopService())
    assert stage.events == ["a"]
    stage.note("b")
    again = stage.again()
    again.startService()
    stage.note("c")
    now(again.stopService())
    assert stage.events == ["a", "b", "c"]
    assert not stage.clock.getDelayedCalls()


def test_the_file_may_be_renamed_away(stage: Stage) -> None:
    stage.file.startService()
    stage.note("a")
    stage.wait_s(EVERY_S)
    stage.path.rename(stage.path.with_suffix(".1"))
    stage.note("b")
    stage.wait_s(EVERY_S)
    assert stage.events == ["b"]
    now(stage.file.stopService())


def test_an_event_that_is_late_is_not_left_out(stage: Stage) -> None:
    """On PostgreSQL a transaction may take its number first and be seen last."""
    stage.file.startService()
    stage.note("first", "late", "last")
    stage.store.database.write(
        lambda c: c.execute(audit_event.delete().where(audit_event.c.id == 2))
    )
    stage.wait_s(EVERY_S)
    assert stage.events == ["first", "last"]
    late = {"id": 2, "at_s": stage.clock.seconds(), "event": "late", "detail": "{}"}
    stage.store.database.write(lambda c: c.execute(audit_event.insert().values(**late)))
    stage.wait_s(EVERY_S)
    assert stage.events == ["first", "last", "late"]
    now(stage.file.stopService())


def test_a_disk_that_is_full_is_told_once_and_nothing_is_lost(stage: Stage, log: Log) -> None:
    stage.file.startService()
    stage.path.unlink()
    stage.path.mkdir()
    stage.note("a")
    stage.wait_s(5 * EVERY_S)
    assert log.count("the audit log is in the store alone") == 1
    stage.path.rmdir()
    stage.wait_s(EVERY_S)
    assert stage.events == ["a"]
    now(stage.file.stopService())


def test_a_file_that_cannot_be_written_stops_the_start(stage: Stage) -> None:
    stage.path.mkdir()
    with pytest.raises(AuditFileError, match="cannot be written"):
        stage.file.startService()


def test_a_stop_waits_for_what_is_being_written(stage: Stage) -> None:
    """Threads take their time."""
    held: Deferred[None] = Deferred()
    read = stage.store.read

    def slowly(query: Any) -> Deferred[Any]:
        return held.addCallback(lambda _: read(query))

    stage.store.read = slowly  # type: ignore[method-assign]  # one call of one test
    stage.file.startService()
    stopping = Deferred.fromCoroutine(stage.file.stopService())
    assert not stopping.called
    stage.note("a")
    stage.store.read = read  # type: ignore[method-assign]
    held.callback(None)
    assert stopping.called
