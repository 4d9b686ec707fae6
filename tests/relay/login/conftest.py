"""What the tests of signing in share: an empty store, a browser, the time of day."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcptunnel.store.database import Database
from tests.relay.store_at_once import StoreAtOnce, copied_database


@pytest.fixture(scope="session")
def _all_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "x.db"
    Database(path).close()
    return path


@pytest.fixture
def store(_all_tables: Path, tmp_path: Path) -> Iterator[StoreAtOnce]:
    with copied_database(_all_tables, tmp_path) as database:
        yield StoreAtOnce(database)
