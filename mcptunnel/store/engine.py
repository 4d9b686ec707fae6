"""The store as the relay uses it: transactions in threads of its own, results as Deferreds."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias, TypeVar

from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from mcptunnel.store.database import Database
from mcptunnel.store.errors import StoreError

Transaction: TypeAlias = Connection
"""What the classes of the store are made with, for whoever calls several of them in one transaction."""

_T = TypeVar("_T")

# Python runs one thread at a time: more of them would wait, not work (measured).
_MAX_THREADS = 4


class Store:
    """The database at `location`; `start` before use, `stop` at the end, in the reactor's thread.

    A `Path` is an SQLite file, a text the URL of a PostgreSQL database.
    """

    def __init__(
        self,
        location: Path | str,
        reactor: IReactorFromThreads,
        threadpool: ThreadPool | None = None,
    ) -> None:
        self._location = location
        self._reactor = reactor
        self._threads = threadpool or ThreadPool(1, _MAX_THREADS, "store")
        self._database: Database | None = None

    def start(self) -> None:
        """Open and migrate the database, blocking. Raises `StoreError`."""
        self._database = Database(self._location, connections=_MAX_THREADS)
        self._threads.start()

    def stop(self) -> None:
        """Wait for the transactions that run, then close the database."""
        if self._database is not None:
            self._threads.stop()
            self._database.close()
            self._database = None

    def read(self, query: Callable[[Connection], _T]) -> Deferred[_T]:
        """Run `query` in a reading transaction; fails with `StoreError`."""
        return deferToThreadPool(self._reactor, self._threads, self._open().read, query)

    def write(self, change: Callable[[Connection], _T]) -> Deferred[_T]:
        """Run `change` in a writing transaction, committed unless it raises; fails likewise."""
        return deferToThreadPool(self._reactor, self._threads, self._open().write, change)

    def _open(self) -> Database:
        if self._database is None:
            raise StoreError("the store is not open")
        return self._database
