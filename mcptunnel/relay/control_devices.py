"""`/api/v1/devices` of the control socket: all devices of all users, as this relay sees them now, and what is done about them."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeAlias

from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import Request

from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.relay.control_api import (
    Answers,
    JsonResource,
    NotFound,
    RefusedError,
    Reply,
    bad_request,
    read_texts,
)
from mcptunnel.relay.device_changes import CHANGES, ended_to_json
from mcptunnel.relay.device_directory import StillConnectedError
from mcptunnel.relay.devices import Device
from mcptunnel.store.revocation import EndedDevice

Json: TypeAlias = dict[str, Any]


class KnownDevices(Protocol):
    """The devices, as the control socket needs them (`relay.device_directory.DeviceDirectory`)."""

    def list(self) -> Sequence[Device]: ...

    async def revoke(self, principal: Principal, installation_id: str) -> EndedDevice | None: ...

    async def allow(self, principal: Principal, installation_id: str) -> bool: ...

    async def forget(self, principal: Principal, installation_id: str) -> bool: ...


class DevicesResource(JsonResource):
    """`/api/v1/devices`: who is there, and how far away; what is done about them is below."""

    METHODS = ("GET",)

    def __init__(self, devices: KnownDevices, answers: Answers) -> None:
        super().__init__(answers)
        self._devices = devices

    def getChild(self, path: bytes, _request: Request) -> Resource:
        name = path.decode("utf-8", "replace")
        if name in CHANGES:
            return ChangeResource(self._devices, name, self.answers)
        return self if not name else NotFound()

    async def answer(self, _method: str, _body: bytes) -> Reply:
        return Reply(http.OK, {"devices": [device_to_json(each) for each in self._devices.list()]})


class ChangeResource(JsonResource):
    """`/api/v1/devices/revoke` and the like: change the device `id` of `user` of `issuer`."""

    METHODS = ("POST",)

    def __init__(self, devices: KnownDevices, change: str, answers: Answers) -> None:
        super().__init__(answers)
        self._devices = devices
        changes: dict[str, Callable[[Principal, str], Coroutine[Any, Any, Json]]] = {
            "revoke": self._revoke,
            "allow": self._allow,
            "forget": self._forget,
        }
        self._change = changes[change]

    def getChild(self, _path: bytes, _request: Request) -> Resource:
        return NotFound()

    async def answer(self, _method: str, body: bytes) -> Reply:
        wanted = read_texts(body)
        if "user" not in wanted or "id" not in wanted:
            raise bad_request("wanted: an object with id and user, and maybe issuer")
        principal = Principal(wanted.get("issuer", LOCAL_ISSUER), wanted["user"])
        return Reply(http.OK, await self._change(principal, wanted["id"]))

    async def _revoke(self, principal: Principal, installation_id: str) -> Json:
        ended = await self._devices.revoke(principal, installation_id)
        return {"ended": None if ended is None else ended_to_json(ended)}

    async def _allow(self, principal: Principal, installation_id: str) -> Json:
        return {"changed": await self._devices.allow(principal, installation_id)}

    async def _forget(self, principal: Principal, installation_id: str) -> Json:
        try:
            return {"changed": await self._devices.forget(principal, installation_id)}
        except StillConnectedError as error:
            raise RefusedError(http.CONFLICT, "not_possible", str(error)) from error


def device_to_json(device: Device) -> Json:
    """Return a device as a JSON object; `round_trip_ms` is null until it was measured."""
    state = "revoked" if device.is_revoked else "offline"
    if device.is_resuming:
        state = "resuming"
    elif device.is_connected:
        state = "connected"
    elif device.tunnel is not None:
        state = "stopping"  # it, or this relay: what runs may finish
    session = None if device.tunnel is None else device.tunnel.session
    round_trip_s = None if session is None else session.round_trip_s
    return {
        "id": device.installation_id,
        "name": device.name,
        "issuer": device.principal.issuer,
        "user": device.principal.subject,
        "state": state,
        "round_trip_ms": None if round_trip_s is None else round(round_trip_s * 1000, 1),
        "connected_s": device.connected_s,
        "first_seen_s": device.first_seen_s,
        "last_seen_s": device.last_seen_s,
        "revoked_s": device.revoked_s,
        "agent_version": device.agent_version,
        "servers": [
            {"name": name, "state": server.info.state} for name, server in device.servers.items()
        ],
    }
