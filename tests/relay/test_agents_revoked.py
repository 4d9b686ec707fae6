"""Agents of devices that were revoked: cut off, refused, and let in again with something newer."""

import pytest

from mcptunnel.relay.access import Revoked
from mcptunnel.relay.devices import Device
from mcptunnel.testing.joined import Joined
from mcptunnel.testing.local_server import MemoryServer
from mcptunnel.wire.constants import ErrorCode

INSTALLATION = "installation-0001"


def revoke(joined: Joined, device: Device) -> None:
    device.revoked_s = joined.epoch_s()
    gone = Revoked(principal=device.principal, device_id=device.installation_id)
    joined.in_use.end(gone)
    joined.settle()


def test_revoking_a_device_closes_its_link_and_no_other() -> None:
    """Not that of another one with the same key, nor that of another user's with the same id."""
    joined = Joined()
    revoked = joined.agent(installation_id=INSTALLATION)
    other = joined.agent(installation_id="installation-other")
    others = [other, joined.agent(user="bob", installation_id=INSTALLATION)]
    device = joined.devices.everyone()[0]
    revoke(joined, device)
    (notice,) = revoked.notices
    assert notice.code is ErrorCode.DEVICE_REVOKED
    assert "this device was revoked; sign in again" in notice.text
    assert not device.is_connected
    assert [other.lost for other in others] == [None, None]


def test_revoking_a_device_ends_a_session_that_waits_for_its_next_link() -> None:
    joined = Joined()
    agent = joined.agent(MemoryServer("files", {"read": None}))
    calling = joined.client().call("files__read")
    joined.cut(agent)
    (device,) = joined.devices.everyone()
    revoke(joined, device)
    assert device.tunnel is None
    assert "this device was revoked" in calling.text
    joined.connect(agent)
    assert agent.notices[0].code is ErrorCode.DEVICE_REVOKED


@pytest.mark.parametrize("later_s", [-10.0, 0.0, 0.1])
def test_a_revoked_device_comes_in_with_what_is_newer_alone(later_s: float) -> None:
    """Whichever key or grant it is: it counts when it was made."""
    joined = Joined()
    joined.agent(installation_id=INSTALLATION, key_id="k1")
    joined.wait_s(5)
    (device,) = joined.devices.everyone()
    revoke(joined, device)
    joined.wait_s(5)
    granted_s = joined.epoch_s() - 5 + later_s
    again = joined.agent(installation_id=INSTALLATION, key_id="k2", created_s=granted_s)
    if later_s > 0:
        assert (device.is_connected, device.is_revoked, device.grant_id) == (True, False, "k2")
        assert again.notices == []
    else:
        assert (device.is_connected, device.is_revoked) == (False, True)
        assert again.notices[0].code is ErrorCode.DEVICE_REVOKED


def test_a_relay_without_sign_in_lets_a_revoked_device_in_no_more() -> None:
    """What everybody has is older than anything."""
    joined = Joined()
    joined.agent(installation_id=INSTALLATION, created_s=0.0)
    (device,) = joined.devices.everyone()
    revoke(joined, device)
    again = joined.agent(installation_id=INSTALLATION, created_s=0.0)
    assert again.notices[0].code is ErrorCode.DEVICE_REVOKED
