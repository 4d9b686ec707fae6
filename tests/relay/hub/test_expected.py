"""Devices of which nothing is known are expected for a while, and no longer."""

import pytest

from mcptunnel.config.relay import HubConfig
from mcptunnel.model import Principal
from mcptunnel.relay.devices import Device
from mcptunnel.relay.hub.expected import Expected, is_strange
from mcptunnel.testing.joined import Joined
from tests.relay.hub.servers import with_resources

ALICE = Principal("local", "alice")
GRACE_S = 60.0


def remembered(joined: Joined, *names: str) -> None:
    joined.devices.restore(Device(ALICE, f"installation-{name}", name, 0.0, 0.0) for name in names)


def test_a_remembered_device_is_expected_from_the_start_on() -> None:
    """However long ago it was seen, and whatever the time of day is said to be."""
    joined = Joined()
    expected = Expected(joined.hub.parts, GRACE_S)
    remembered(joined, "one")
    (device,) = joined.devices.of(ALICE)
    assert is_strange(device)
    joined.wait_s(20)
    joined.epoch_step_s = 1e6
    assert expected.may_come(device)
    assert expected.wait_s(ALICE) == pytest.approx(40)
    assert not expected.knows_all(ALICE)
    joined.wait_s(40)
    assert not expected.may_come(device)
    assert expected.wait_s(ALICE) is None
    assert expected.knows_all(ALICE)


def test_what_is_known_of_a_device_is_not_waited_for() -> None:
    """Of one that is there, and of one that was and has gone: its servers are known."""
    joined = Joined(hub=HubConfig(offline_grace_s=GRACE_S))
    expected = Expected(joined.hub.parts, GRACE_S)
    agent = joined.agent(with_resources("shelf", "file:///a"))
    joined.wait_s(1)
    (device,) = joined.devices.of(ALICE)
    assert not is_strange(device)
    joined.lose(agent)
    joined.wait_s(1)
    assert not device.is_connected
    assert not is_strange(device)
    assert expected.wait_s(ALICE) is None


def test_nobody_expects_a_strangers_device() -> None:
    joined = Joined()
    expected = Expected(joined.hub.parts, GRACE_S)
    remembered(joined, "one")
    assert expected.wait_s(Principal("local", "bob")) is None
    assert expected.knows_all(Principal("local", "bob"))


def test_nobody_expects_a_device_that_was_revoked() -> None:
    joined = Joined()
    expected = Expected(joined.hub.parts, GRACE_S)
    remembered(joined, "one")
    (device,) = joined.devices.of(ALICE)
    device.revoked_s = 1.0
    assert expected.wait_s(ALICE) is None
