"""The store in threads of its own."""

# pytest_twisted is not annotated.
# mypy: disable-error-code="untyped-decorator"

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from sqlalchemy import Connection, text
from twisted.internet.defer import gatherResults

from mcptunnel.store.engine import Store
from mcptunnel.store.errors import StoreError


@pytest.fixture
def store(tmp_path: Path, running_reactor: Any) -> Any:
    store = Store(tmp_path / "state" / "x.db", running_reactor)
    store.start()
    yield store
    store.stop()


def _thread(_connection: Connection) -> int:
    return threading.get_ident()


def _executing(statement: str) -> Callable[[Connection], None]:
    def change(connection: Connection) -> None:
        connection.execute(text(statement))

    return change


@pytest_twisted.ensureDeferred
async def test_work_is_done_in_other_threads(store: Store) -> None:
    here = threading.get_ident()
    assert await store.read(_thread) != here
    assert await store.write(_thread) != here
    assert threading.get_ident() == here


@pytest_twisted.ensureDeferred
async def test_many_at_once_lose_nothing(store: Store) -> None:
    def increment(connection: Connection) -> None:
        before = connection.execute(text("SELECT a FROM t")).scalar_one()
        connection.execute(text("UPDATE t SET a = :a"), {"a": before + 1})

    await store.write(_executing("CREATE TABLE t (a)"))
    await store.write(_executing("INSERT INTO t VALUES (0)"))
    await gatherResults([store.write(increment) for _ in range(40)])
    total = await store.read(
        lambda connection: connection.execute(text("SELECT a FROM t")).scalar()
    )
    assert total == 40


@pytest_twisted.ensureDeferred
async def test_errors_come_back(store: Store) -> None:
    with pytest.raises(StoreError, match="no such table"):
        await store.read(lambda connection: connection.execute(text("SELECT * FROM missing")))


def test_before_start_and_after_stop_it_is_not_open(tmp_path: Path, running_reactor: Any) -> None:
    store = Store(tmp_path / "x.db", running_reactor)
    with pytest.raises(StoreError, match="not open"):
        store.read(_thread)
    store.stop()
    store.start()
    store.stop()
    with pytest.raises(StoreError, match="not open"):
        store.write(_thread)


@pytest_twisted.ensureDeferred
async def test_stop_waits_for_what_runs_and_leaves_no_threads(
    tmp_path: Path, running_reactor: Any
) -> None:
    before = threading.active_count()
    store = Store(tmp_path / "x.db", running_reactor)
    store.start()
    done: list[int] = []

    def change(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE t (a)"))
        done.append(1)

    finished = store.write(change)
    store.stop()
    assert done == [1]
    assert threading.active_count() == before
    await finished


def test_a_store_that_cannot_be_opened_starts_no_threads(
    tmp_path: Path, running_reactor: Any
) -> None:
    (tmp_path / "x.db").mkdir()
    before = threading.active_count()
    store = Store(tmp_path / "x.db", running_reactor)
    with pytest.raises(StoreError):
        store.start()
    store.stop()
    assert threading.active_count() == before
