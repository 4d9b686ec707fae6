"""The devices as the commands see them: through a running relay, or in the store."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

from mcptunnel.cli.books import RunningBook, StoredBook, control_of
from mcptunnel.cli.control import ControlClient
from mcptunnel.config.relay import RelayConfig
from mcptunnel.model import Principal

MEMBERS = ("id", "name", "issuer", "user", "state", "first_seen_s", "last_seen_s", "revoked_s")
"""What is known of a device whether the relay runs or not."""


class DeviceBook(AbstractContextManager["DeviceBook"], Protocol):
    """The devices of one relay; each is its user and its installation id."""

    def list(self) -> Sequence[dict[str, Any]]: ...

    def revoke(self, principal: Principal, installation_id: str) -> dict[str, Any] | None:
        """Return `grants`, `others` and `keys`, as `relay.device_changes.ended_to_json` does."""

    def allow(self, principal: Principal, installation_id: str) -> bool: ...

    def forget(self, principal: Principal, installation_id: str) -> bool: ...


def open_devices(config: RelayConfig) -> DeviceBook:
    """Return the devices of a relay: through it when it runs, else its store's.

    Raises `StoreError` or `ControlError`.
    """
    client = control_of(config)
    return RunningDevices(client) if client.is_live() else StoredDevices(config, client)


class RunningDevices(RunningBook):
    """The devices of a running relay."""

    def list(self) -> Sequence[dict[str, Any]]:
        (found,) = self.ask("GET", "/api/v1/devices", None, "devices")
        return [{member: one.get(member) for member in MEMBERS} for one in found]

    def revoke(self, principal: Principal, installation_id: str) -> dict[str, Any] | None:
        return cast(
            "dict[str, Any] | None", self._change("revoke", principal, installation_id, "ended")
        )

    def allow(self, principal: Principal, installation_id: str) -> bool:
        return bool(self._change("allow", principal, installation_id, "changed"))

    def forget(self, principal: Principal, installation_id: str) -> bool:
        return bool(self._change("forget", principal, installation_id, "changed"))

    def _change(self, how: str, principal: Principal, installation_id: str, member: str) -> Any:
        order = {"id": installation_id, "issuer": principal.issuer, "user": principal.subject}
        (value,) = self.ask("POST", f"/api/v1/devices/{how}", order, member)
        return value


class StoredDevices(StoredBook):
    """The devices in the store of a relay that does not run, as far as `client` could tell."""

    def __init__(self, config: RelayConfig, client: ControlClient) -> None:
        super().__init__(config)
        from mcptunnel.relay import device_changes  # noqa: PLC0415 - late, as the database

        self._changes = device_changes
        self._client = client

    def list(self) -> Sequence[dict[str, Any]]:
        from mcptunnel.store.devices import Devices  # noqa: PLC0415 - late, as the database

        found = self.database.read(lambda connection: Devices(connection).list())
        return [self._changes.record_to_json(device) for device in found]

    def revoke(self, principal: Principal, installation_id: str) -> dict[str, Any] | None:
        now_s = time.time()
        ended = self.database.write(
            lambda connection: self._changes.revoke_device(
                connection, principal, installation_id, now_s
            )
        )
        if ended is not None and self._client.is_live():
            # It began meanwhile, and may have let the device in before.
            RunningDevices(self._client).revoke(principal, installation_id)
        return None if ended is None else self._changes.ended_to_json(ended)

    def allow(self, principal: Principal, installation_id: str) -> bool:
        now_s = time.time()
        done: bool = self.database.write(
            lambda connection: self._changes.allow_device(
                connection, principal, installation_id, now_s
            )
        )
        return done

    def forget(self, principal: Principal, installation_id: str) -> bool:
        now_s = time.time()
        done: bool = self.database.write(
            lambda connection: self._changes.forget_device(
                connection, principal, installation_id, now_s
            )
        )
        return done
