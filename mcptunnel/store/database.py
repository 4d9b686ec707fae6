"""The database file: opened, migrated, and used in transactions; blocking.

Commands use this directly, the relay through `store.engine.Store`, which moves it into threads.
"""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from mcptunnel.store.errors import StoreError
from mcptunnel.store.migrate import migrate

FILE_NAME = "mcptunnel.db"
"""The store's file in a `state_dir`."""

_T = TypeVar("_T")

# Execution option of the connections that write. SQLite cannot turn a reading transaction into a
# writing one while somebody else writes, so a writer says so from the start.
_WRITES = "mcptunnel_writes"


class Database:
    """An open SQLite database. `read` and `write` may be called from several threads."""

    def __init__(self, path: Path, *, connections: int = 4) -> None:
        self._path = path
        self._engine = _engine(path, connections)
        self._writing = self._engine.execution_options(**{_WRITES: True})
        with _told(path):
            _make_private(path)
            # Two programs that start at once must not both make the tables; the lock is on the
            # directory because that needs no file of its own.
            with _locked(path.parent), closing(self._engine.raw_connection()) as raw:
                raw.cursor().execute("PRAGMA journal_mode=WAL")
            with _locked(path.parent), self._writing.begin() as connection:
                migrate(connection)

    def read(self, query: Callable[[Connection], _T]) -> _T:
        """Return what `query` returns for a connection in a reading transaction.

        Raises `StoreError` when the database fails.
        """
        with _told(self._path), self._engine.begin() as connection:
            return query(connection)

    def write(self, change: Callable[[Connection], _T]) -> _T:
        """Run `change` in a writing transaction, committed unless it raises.

        Raises `StoreError` when the database fails, also when it stays locked for 5 s.
        """
        with _told(self._path), self._writing.begin() as connection:
            return change(connection)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _engine(path: Path, connections: int) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        connect_args={"check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    # Transactions begin by our own statement, not by the driver's guess.
    connection.isolation_level = None
    for pragma in ("busy_timeout=5000", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _make_private(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite gives its side files the mode of this one.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    path.chmod(0o600)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the system and the database say into a `StoreError` that names the file."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        reason = getattr(error, "orig", error)
        raise StoreError(f"the store {path} failed: {reason}") from error
    except OSError as error:
        if path.parent.exists() and not path.parent.is_dir():
            raise StoreError(
                f"the store {path} cannot be opened: state_dir is a file, not a directory."
                " Move it away, or name another state_dir"
            ) from error
        raise StoreError(f"the store {path} cannot be opened: {error.strerror}") from error
