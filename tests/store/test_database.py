"""What every database does: transactions, and errors of ours."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from mcptunnel.model import Principal
from mcptunnel.store.database import Database
from mcptunnel.store.errors import StoreError
from mcptunnel.store.people.users import Users


def _seen(connection: Connection, subject: str) -> None:
    Users(connection).seen(Principal("local", subject), display_name="", email=None, now_s=0.0)


def test_a_change_that_raises_is_undone(database: Database) -> None:
    """All of it, and the error comes back as it is."""

    def change(connection: Connection) -> None:
        _seen(connection, "a")
        raise KeyError

    with pytest.raises(KeyError):
        database.write(change)
    assert database.read(lambda connection: Users(connection).list()) == []


def test_what_the_database_says_is_an_error_of_ours(database: Database) -> None:
    """For reading and writing alike."""

    def broken(connection: Connection) -> None:
        connection.execute(text("SELECT * FROM missing"))

    for do in (database.read, database.write):
        with pytest.raises(StoreError, match="missing"):
            do(broken)


def test_a_store_that_does_not_open_leaves_nothing_open(tmp_path: Path) -> None:
    """No file descriptor is left to warn about when the object goes."""
    (tmp_path / "x.db").write_bytes(b"this is no database, as anybody can see" * 99)
    with pytest.raises(StoreError, match="failed"):
        Database(tmp_path / "x.db")


def _touching(first: str, second: str, meet: threading.Barrier) -> Callable[[Connection], None]:
    tries = []

    def change(connection: Connection) -> None:
        tries.append(1)
        for subject in (first, second):
            connection.execute(
                text('UPDATE "user" SET last_seen_s = last_seen_s + 1 WHERE subject = :s'),
                {"s": subject},
            )
            if len(tries) == 1 and subject == first:
                meet.wait()

    return change


def test_changes_that_waited_for_each_other_are_tried_again(
    postgresql_url: str,
) -> None:
    """PostgreSQL ends one of two transactions that wait for each other; nobody hears of it."""
    meet = threading.Barrier(2, timeout=30)
    with Database(postgresql_url) as database, ThreadPoolExecutor(2) as threads:
        for subject in ("x", "y"):
            database.write(partial(_seen, subject=subject))
        changes = [_touching("x", "y", meet), _touching("y", "x", meet)]
        list(threads.map(database.write, changes))
        users = database.read(lambda connection: Users(connection).list())
    seen = {user.principal.subject: user.last_seen_s for user in users}
    assert (seen["x"], seen["y"]) == (2.0, 2.0)
