"""The database file: private, durable, and used by several at once."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from mcptunnel.store.database import Database
from mcptunnel.store.errors import StoreError


def _scalar(connection: Connection, statement: str) -> object:
    return connection.execute(text(statement)).scalar()


def test_directory_and_files_are_private(tmp_path: Path) -> None:
    """Whatever the umask, with the side files that are there while it is open."""
    before = os.umask(0)
    try:
        with Database(tmp_path / "state" / "x.db") as database:
            database.write(lambda connection: connection.execute(text("CREATE TABLE t (a)")))
            modes = {
                path.name: stat.S_IMODE(path.stat().st_mode)
                for path in [tmp_path / "state", *(tmp_path / "state").iterdir()]
            }
    finally:
        os.umask(before)
    assert modes == {"state": 0o700, "x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600}


def test_a_file_that_was_open_to_others_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.touch()
    path.chmod(0o644)
    Database(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_pragmas(tmp_path: Path) -> None:
    with Database(tmp_path / "x.db") as database:
        values = [
            database.read(partial(_scalar, statement=f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    assert values == ["wal", 1, 1, 5000]


def test_two_threads_lose_no_update(tmp_path: Path) -> None:
    """Reading and then writing in one transaction is safe, because writers begin as writers."""

    def increment(connection: Connection) -> None:
        before = connection.execute(text("SELECT a FROM t")).scalar_one()
        connection.execute(text("UPDATE t SET a = :a"), {"a": before + 1})

    def work(_number: int) -> None:
        for _ in range(50):
            database.write(increment)
            database.read(lambda connection: _scalar(connection, "SELECT a FROM t"))

    with Database(tmp_path / "x.db") as database:
        database.write(lambda connection: connection.execute(text("CREATE TABLE t (a)")))
        database.write(lambda connection: connection.execute(text("INSERT INTO t VALUES (0)")))
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(work, range(2)))
        assert database.read(lambda connection: _scalar(connection, "SELECT a FROM t")) == 100


def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    writing, done = threading.Event(), threading.Event()

    def change(_connection: Connection) -> None:
        writing.set()
        assert done.wait(10)

    with Database(tmp_path / "x.db") as database, ThreadPoolExecutor(1) as threads:
        future = threads.submit(database.write, change)
        assert writing.wait(10)
        assert database.read(lambda connection: _scalar(connection, "SELECT 1")) == 1
        done.set()
        future.result()


def test_programs_that_start_at_once_make_one_store(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from mcptunnel.store.database import Database
Database(Path({str(tmp_path / "state" / "x.db")!r})).close()
"""
    programs = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [program.wait(60) for program in programs] == [0, 0, 0]


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database, as anybody can see" * 99)


def _directory(path: Path) -> None:
    path.mkdir()


def _dangling_link(path: Path) -> None:
    path.symlink_to("/nowhere/at/all/x.db")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [(_garbage, "failed"), (_directory, "cannot be opened"), (_dangling_link, "cannot be opened")],
)
def test_what_cannot_be_opened_is_named(
    prepare: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.db"
    prepare(path)
    with pytest.raises(StoreError, match=message) as caught:
        Database(path)
    assert str(path) in str(caught.value)


def test_a_lock_that_stays_is_an_error_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with Database(path) as database, closing(sqlite3.connect(path)) as other:

        def change(connection: Connection) -> None:
            connection.execute(text("CREATE TABLE t (a)"))

        database.read(lambda connection: connection.execute(text("PRAGMA busy_timeout=10")))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            database.write(change)
        other.rollback()
        database.write(change)
