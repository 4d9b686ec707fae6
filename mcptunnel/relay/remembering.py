"""What the relay writes down as it goes: nobody waits for it, but a stop does."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcptunnel.errors import McpTunnelError
from mcptunnel.mcp.names import Row
from mcptunnel.model import Principal
from mcptunnel.relay.access import Access
from mcptunnel.relay.device_changes import device_came
from mcptunnel.relay.devices import Device
from mcptunnel.store.devices import DeviceRecord
from mcptunnel.store.devices import Devices as DeviceTable
from mcptunnel.store.engine import Store
from mcptunnel.store.mcp_sessions import McpSessionRecord
from mcptunnel.store.mcp_sessions import McpSessions as McpSessionTable
from mcptunnel.store.names import Names


class Remembering:
    """Writes devices, names and sessions into the store. A failure is logged; the relay works all the same."""

    _log = Logger()

    def __init__(self, store: Store, epoch_s: Callable[[], float]) -> None:
        self._store = store
        self._epoch_s = epoch_s
        self._writing: set[Deferred[Any]] = set()

    def device_came(self, device: Device, access: Access, now_s: float) -> Deferred[None]:
        """Note that a device was let in, and with what; the caller hears of a failure."""
        return self._store.write(lambda connection: device_came(connection, device, access, now_s))

    def device_seen(self, device: Device, now_s: float) -> Deferred[DeviceRecord]:
        """Note that a device was here; the caller hears of a failure."""
        return self._store.write(
            lambda connection: DeviceTable(connection).seen(
                device.principal, device.installation_id, device.name, now_s
            )
        )

    def device_forgotten(self, device: Device) -> None:
        """Note that a device had to make room for another."""
        self._own(
            self._store.write(
                lambda connection: DeviceTable(connection).forget(
                    device.principal, device.installation_id
                )
            )
        )

    def names_changed(
        self,
        principal: Principal,
        table_kind: str,
        bound: Sequence[Row],
        forgotten: Collection[str],
    ) -> None:
        """Note the names of a user that were bound in a table of the hub's, and those forgotten."""
        now_s = self._epoch_s()
        self._own(
            self._store.write(
                lambda connection: Names(connection).change(
                    principal, table_kind, bound, forgotten, now_s
                )
            )
        )

    def sessions_changed(
        self, kept: Collection[McpSessionRecord], ended: Collection[bytes]
    ) -> None:
        """Note the sessions of legacy clients that are new, or others now, and those that ended."""
        self._own(
            self._store.write(lambda connection: McpSessionTable(connection).change(kept, ended))
        )

    async def finish(self) -> None:
        """Wait until everything is written."""
        for writing in list(self._writing):
            await writing

    def _own(self, writing: Deferred[Any]) -> None:
        self._writing.add(writing)
        writing.addErrback(self._cannot_write)
        writing.addBoth(lambda _result: self._writing.discard(writing))

    def _cannot_write(self, failure: Failure) -> None:
        if failure.check(McpTunnelError):
            self._log.error("{error}", error=str(failure.value))
        else:
            self._log.failure("cannot write into the store", failure)
