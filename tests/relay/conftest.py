"""What several tests of the relay share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from tests.relay.control_socket import Served


@pytest.fixture
def served(tmp_path: Path, running_reactor: Any) -> Iterator[Served]:
    served = Served(tmp_path / "control.sock", running_reactor)
    served.service.startService()
    yield served
    pytest_twisted.blockon(ensureDeferred(served.service.stopService()))
