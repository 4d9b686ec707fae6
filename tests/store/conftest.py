"""The databases that the store is tested on: an SQLite file, and a PostgreSQL server."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from mcptunnel.store.database import Database
from mcptunnel.store.schema import metadata
from tests.store.samples import RACERS


@pytest.fixture(scope="session")
def _postgresql(postgresql_url: str) -> Iterator[Database]:
    with Database(postgresql_url, connections=RACERS) as database:
        yield database


@pytest.fixture(scope="session")
def _migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty file with all tables: to copy it is quicker than to migrate another."""
    path = tmp_path_factory.mktemp("store") / "x.db"
    Database(path).close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database, of each kind in turn."""
    if request.param == "sqlite":
        shutil.copyfile(request.getfixturevalue("_migrated"), tmp_path / "x.db")
        with Database(tmp_path / "x.db", connections=RACERS) as database:
            yield database
        return
    shared: Database = request.getfixturevalue("_postgresql")
    shared.write(_clear)
    yield shared


def _clear(connection: Connection) -> None:
    for table in reversed(metadata.sorted_tables):
        connection.execute(table.delete())
