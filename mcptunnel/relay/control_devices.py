"""`/api/v1/devices` of the control socket: all devices of all users, as this relay sees them now."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from twisted.web import http

from mcptunnel.relay.control_api import Answers, JsonResource, Reply
from mcptunnel.relay.devices import Device

Json: TypeAlias = dict[str, Any]


class DevicesResource(JsonResource):
    """`/api/v1/devices`: who is there, and how far away."""

    METHODS = ("GET",)

    def __init__(self, devices: Callable[[], Sequence[Device]], answers: Answers) -> None:
        super().__init__(answers)
        self._devices = devices

    async def answer(self, _method: str, _body: bytes) -> Reply:
        return Reply(http.OK, {"devices": [device_to_json(each) for each in self._devices()]})


def device_to_json(device: Device) -> Json:
    """Return a device as a JSON object; `round_trip_ms` is null until it was measured."""
    state = "offline"
    if device.is_resuming:
        state = "resuming"
    elif device.is_connected:
        state = "connected"
    elif device.tunnel is not None:
        state = "stopping"  # it, or this relay: what runs may finish
    session = None if device.tunnel is None else device.tunnel.session
    round_trip_s = None if session is None else session.round_trip_s
    return {
        "name": device.name,
        "issuer": device.principal.issuer,
        "user": device.principal.subject,
        "state": state,
        "round_trip_ms": None if round_trip_s is None else round(round_trip_s * 1000, 1),
        "connected_s": device.connected_s,
        "last_seen_s": device.last_seen_s,
        "agent_version": device.agent_version,
        "servers": [
            {"name": name, "state": server.info.state} for name, server in device.servers.items()
        ],
    }
