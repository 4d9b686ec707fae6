"""A store whose transactions run at once, in the thread of the test."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.testing import MemoryReactorClock

from mcptunnel.store.database import Database
from mcptunnel.store.engine import Store

T = TypeVar("T")


class StoreAtOnce(Store):
    """`database` is there for tests that look into it."""

    def __init__(self, database: Database) -> None:
        reactor: Any = MemoryReactorClock()
        super().__init__(Path("nowhere"), reactor)
        self.database = database

    def read(self, query: Callable[[Connection], T]) -> Deferred[T]:
        return maybeDeferred(self.database.read, query)

    def write(self, change: Callable[[Connection], T]) -> Deferred[T]:
        return maybeDeferred(self.database.write, change)


def copied_database(template: Path, folder: Path) -> Database:
    """Return an empty database in a folder, copied from one with all tables."""
    shutil.copyfile(template, folder / "x.db")
    return Database(folder / "x.db")
