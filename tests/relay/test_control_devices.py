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
    assert told == {
        "name": "laptop",
        "issuer": "local",
        "user": "alice",
        "state": "connected",
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
async def test_the_socket_tells_of_all_devices(tmp_path: Path, running_reactor: Any) -> None:
    joined = Joined()
    joined.agent(name="laptop")
    joined.wait_s(0.5)
    served = Served(tmp_path / "control.sock", running_reactor)
    served.service = ControlSocket(
        served.path,
        Commanded(served.keys, idle, joined.devices.everyone),
        running_reactor,
        running_reactor,
    )
    served.service.startService()
    try:
        answer = await served.request("GET", "/api/v1/devices")
        assert [each["name"] for each in answer["devices"]] == ["laptop"]
        assert await served.refused("POST", "/api/v1/devices", {}) == 405
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
