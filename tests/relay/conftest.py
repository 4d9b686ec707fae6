"""What several tests of the relay share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from mcptunnel.store.database import Database
from tests.relay.control_socket import Served
from tests.relay.store_at_once import StoreAtOnce, copied_database


@pytest.fixture(scope="session")
def all_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database: to copy it is quicker than to migrate another."""
    path = tmp_path_factory.mktemp("store") / "x.db"
    Database(path).close()
    return path


@pytest.fixture
def store(all_tables: Path, tmp_path: Path) -> Iterator[StoreAtOnce]:
    """An empty store whose transactions run at once."""
    with copied_database(all_tables, tmp_path) as database:
        yield StoreAtOnce(database)


@pytest.fixture
def served(tmp_path: Path, running_reactor: Any) -> Iterator[Served]:
    served = Served(tmp_path / "control.sock", running_reactor)
    served.service.startService()
    yield served
    pytest_twisted.blockon(ensureDeferred(served.service.stopService()))
