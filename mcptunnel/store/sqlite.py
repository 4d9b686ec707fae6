"""A store in an SQLite file: private, durable, for one machine."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from mcptunnel.store.errors import StoreError
from mcptunnel.store.migrate import migrate

# Execution option of the connections that write. SQLite cannot turn a reading transaction into a
# writing one while somebody else writes, so a writer says so from the start.
_WRITES = "mcptunnel_writes"


class SqliteFile:
    """The file at `path`, which is made when it is missing."""

    attempts = 1
    """How often a change is tried: writers wait for each other, so none is in another's way."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def engine(self, connections: int) -> Engine:
        """Return the connections that read."""
        engine = create_engine(
            f"sqlite:///{self._path}",
            poolclass=QueuePool,
            pool_size=connections,
            max_overflow=0,
            hide_parameters=True,
            connect_args={"check_same_thread": False},
        )
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        return engine

    def writing(self, engine: Engine) -> Engine:
        """Return the connections that write."""
        return engine.execution_options(**{_WRITES: True})

    def migrate(self, engine: Engine) -> None:
        """Make the file and its tables."""
        _make_private(self._path)
        # Two programs that start at once must not both make the tables; the lock is on the
        # directory because that needs no file of its own.
        with _locked(self._path.parent), closing(engine.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA journal_mode=WAL")
        with _locked(self._path.parent), self.writing(engine).begin() as connection:
            migrate(connection)

    def is_passing(self, error: DBAPIError) -> bool:
        """Tell whether to try again: never, `busy_timeout` has waited already."""
        return False

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn what the system and the database say into a `StoreError` that names the file."""
        path = self._path
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
