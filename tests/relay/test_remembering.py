"""What the relay writes down as it goes."""

# pytest_twisted is not annotated.
# mypy: disable-error-code="untyped-decorator"

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import provider

from mcptunnel.model import Principal
from mcptunnel.relay.access import access_of_key
from mcptunnel.relay.devices import Device
from mcptunnel.relay.remembering import Remembering
from mcptunnel.store.devices import Devices
from mcptunnel.store.engine import Store
from mcptunnel.store.errors import StoreError
from mcptunnel.store.names import Names
from tests.conftest import LoggedFailures

ALICE = Principal("local", "alice")


@pytest.fixture
def store(tmp_path: Path, running_reactor: Any) -> Iterator[Store]:
    store = Store(tmp_path / "x.db", running_reactor)
    store.start()
    yield store
    store.stop()


@pytest_twisted.ensureDeferred
async def test_devices_and_names_are_kept_and_forgotten(store: Store) -> None:
    remembering = Remembering(store, lambda: 7.0)
    device = Device(ALICE, "i1", "laptop", 1.0, 2.0)
    await remembering.device_came(device, access_of_key(ALICE, "k1", "agent"), 2.5)
    await remembering.device_seen(device, 3.0)
    remembering.names_changed(ALICE, "tool", [("a", "i1", "s", "t"), ("b", "i1", "s", "u")], [])
    await remembering.finish()
    remembering.names_changed(ALICE, "tool", [], ["a"])
    await remembering.finish()
    names = await store.read(lambda connection: Names(connection).list())
    (known,) = await store.read(lambda connection: Devices(connection).list())
    assert names == {(ALICE, "tool"): [("b", "i1", "s", "u")]}
    assert (known.name, known.last_seen_s) == ("laptop", 3.0)
    remembering.device_forgotten(device)
    await remembering.finish()
    assert await store.read(lambda connection: Devices(connection).list()) == []


class FailingStore:
    """A store whose writes fail."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def write(self, _change: object) -> "Deferred[None]":
        return fail(self._error)


@pytest_twisted.ensureDeferred
async def test_a_write_that_fails_is_logged_and_harms_nobody(
    logged_failures: LoggedFailures,
) -> None:
    told: list[LogEvent] = []

    @provider(ILogObserver)
    def observer(event: LogEvent) -> None:
        told.append(event)

    globalLogPublisher.addObserver(observer)
    try:
        for error in (StoreError("the store is full"), ZeroDivisionError()):
            remembering = Remembering(FailingStore(error), lambda: 7.0)  # type: ignore[arg-type]
            remembering.names_changed(ALICE, "tool", [], ["a"])
            await remembering.finish()
    finally:
        globalLogPublisher.removeObserver(observer)
    assert [event["error"] for event in told if "error" in event] == ["the store is full"]
    assert len(logged_failures.take(ZeroDivisionError)) == 1
