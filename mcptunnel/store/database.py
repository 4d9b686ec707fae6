"""The database: opened, migrated, and used in transactions; blocking.

Commands use this directly, the relay through `store.engine.Store`, which moves it into threads.
"""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from mcptunnel.config.secret import Secret
from mcptunnel.store.postgresql import PostgresqlDatabase
from mcptunnel.store.sqlite import SqliteFile

FILE_NAME = "mcptunnel.db"
"""The store's file in a `state_dir`."""


def location_of(state_dir: Path, url: Secret | None) -> Path | str:
    """Return where the database of a relay is, as `Database` takes it: its file, unless it has a URL."""
    return state_dir / FILE_NAME if url is None else url.reveal()


_T = TypeVar("_T")


class Database:
    """An open database: a `Path` is an SQLite file, a text the URL of a PostgreSQL database.

    `read` and `write` may be called from several threads.
    """

    def __init__(self, location: Path | str, *, connections: int = 4) -> None:
        self._place = (
            PostgresqlDatabase(location) if isinstance(location, str) else SqliteFile(location)
        )
        self._engine = self._place.engine(connections)
        self._writing = self._place.writing(self._engine)
        try:
            with self._place.told():
                self._place.migrate(self._engine)
        except BaseException:
            self._engine.dispose()
            raise

    def read(self, query: Callable[[Connection], _T]) -> _T:
        """Return what `query` returns for a connection in a reading transaction.

        Raises `StoreError` when the database fails.
        """
        with self._place.told(), self._engine.begin() as connection:
            return query(connection)

    def write(self, change: Callable[[Connection], _T]) -> _T:
        """Run `change` in a writing transaction, committed unless it raises.

        On PostgreSQL it is run again if it and another transaction waited for each other, so it
        must have no effect but on the connection. Raises `StoreError` when the database fails,
        also when a file stays locked for 5 s.
        """
        with self._place.told():
            for _ in range(self._place.attempts - 1):
                try:
                    return self._once(change)
                except DBAPIError as error:
                    if not self._place.is_passing(error):
                        raise
            return self._once(change)

    def _once(self, change: Callable[[Connection], _T]) -> _T:
        with self._writing.begin() as connection:
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
