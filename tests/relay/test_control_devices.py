"""What the control socket tells of devices."""

# pytest_twisted is not annotated.
# mypy: disable-error-code="untyped-decorator"

from pathlib import Path
from typing import Any

import pytest_twisted

from mcptunnel.relay.control import Commanded, ControlSocket
from mcptunnel.relay.control_devices import device_to_json
from mcptunnel.testing.joined import Joined
from mcptunnel.testing.local_server import MemoryServer
from mcptunnel.wire.constants import ErrorCode
from tests.relay.control_socket import Served, idle
from tests.relay.store_at_once import StoreAtOnce
from tests.relay.test_device_directory import directory_of


def test_a_connected_device_and_how_far_away_it_is() -> None:
    """From the first link on the round-trip time is there, with its unit in the name."""
    joined = Joined()
    joined.agent(MemoryServer("files"), name="laptop", delay_s=0.05)
    joined.wait_s(0.5)
    (device,) = joined.devices.everyone()
    told = device_to_json(device)
    assert 99 <= told.pop("round_trip_ms") <= 101
    assert told.pop("connected_s") == told.pop("last_seen_s")
    assert told.pop("agent_version")
    assert told.pop("first_seen_s") is not None
    assert told == {
        "id": device.installation_id,
        "name": "laptop",
        "issuer": "local",
        "user": "alice",
        "state": "connected",
        "revoked_s": None,
        "servers": [{"name": "files", "state": "ready"}],
    }


def test_a_device_that_is_away() -> None:
    """Nothing is known of its distance then."""
    joined = Joined()
    joined.lose(joined.agent(name="tower"))
    joined.wait_s(1)
    (device,) = joined.devices.everyone()
    told = device_to_json(device)
    assert (told["state"], told["round_trip_ms"], told["connected_s"]) == ("offline", None, None)


@pytest_twisted.ensureDeferred
async def test_the_socket_tells_of_all_devices_and_changes_them(
    tmp_path: Path, running_reactor: Any, store: StoreAtOnce
) -> None:
    joined = Joined()
    joined.agent(name="laptop")
    joined.wait_s(0.5)
    served = Served(tmp_path / "control.sock", running_reactor)
    served.service = ControlSocket(
        served.path,
        Commanded(served.keys, idle, directory_of(joined, store)),
        running_reactor,
        running_reactor,
    )
    served.service.startService()
    try:
        answer = await served.request("GET", "/api/v1/devices")
        assert [each["name"] for each in answer["devices"]] == ["laptop"]
        assert await served.refused("POST", "/api/v1/devices", {}) == 405
        assert await served.refused("GET", "/api/v1/devices/revoke") == 405
        for path, status in (("revoke", 400), ("else", 404), ("revoke/x", 404)):
            assert await served.refused("POST", f"/api/v1/devices/{path}", {}) == status
        one = {"id": answer["devices"][0]["id"], "user": "alice"}
        assert await served.refused("POST", "/api/v1/devices/forget", one) == 409

        async def told(how: str, order: dict[str, str]) -> Any:
            return await served.request("POST", f"/api/v1/devices/{how}", order)

        ended: Any = {"ended": {"grants": [], "others": [], "keys": []}}
        assert await told("revoke", one) == ended
        assert await told("revoke", one | {"user": "bob"}) == {"ended": None}
        (device,) = (await served.request("GET", "/api/v1/devices"))["devices"]
        assert (device["state"], device["revoked_s"]) == ("revoked", joined.epoch_s())
        for how, order, is_changed in (
            ("allow", one | {"issuer": "https://idp"}, False),
            ("allow", one, True),
            ("allow", one, False),
            ("forget", one, True),
            ("forget", one, False),
        ):
            assert await told(how, order) == {"changed": is_changed}
        assert await served.request("GET", "/api/v1/devices") == {"devices": []}
    finally:
        await served.service.stopService()


def test_a_device_that_is_stopping() -> None:
    """It takes nothing new, but it is still there."""
    joined = Joined()
    agent = joined.agent(name="laptop")
    joined.wait_s(0.5)
    assert agent.tunnel is not None
    agent.tunnel.go_away(ErrorCode.NO_ERROR)
    joined.wait_s(0.5)
    (device,) = joined.devices.everyone()
    assert device_to_json(device)["state"] == "stopping"
