"""Where an address of a single server leads."""

import pytest

from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.relay.bearers import BEARER, MAX_BORNE_NAMES
from mcptunnel.relay.devices import Device
from mcptunnel.relay.places import (
    Address,
    NoSuchServer,
    NotNow,
    device_address,
    find,
    server_address,
)
from mcptunnel.testing.joined import Joined
from mcptunnel.testing.local_server import MemoryServer

ALICE = Principal(LOCAL_ISSUER, "alice")


@pytest.mark.parametrize(
    ("path", "address"),
    [
        (["web", "mcp"], Address("web")),
        (["", "mcp"], None),
        (["web"], None),
        (["web", "mcp", ""], None),
        (["web", "sse"], None),
        ([], None),
    ],
)
def test_addresses_of_servers(path: list[str], address: Address | None) -> None:
    assert server_address(path) == address


@pytest.mark.parametrize(
    ("path", "address"),
    [
        (["lap top", "servers", "web", "mcp"], Address("web", "lap top")),
        (["", "servers", "web", "mcp"], None),
        (["laptop", "servers", "", "mcp"], None),
        (["laptop", "server", "web", "mcp"], None),
        (["laptop", "servers", "web"], None),
        (["laptop"], None),
    ],
)
def test_addresses_of_devices(path: list[str], address: Address | None) -> None:
    assert device_address(path) == address


def found(joined: Joined, server: str, device: str | None = None) -> str:
    return find(joined.devices, ALICE, Address(server, device)).name


def test_the_short_form_is_the_first_bearer() -> None:
    """A second device with the name is reached by its long form, and never takes the short one over."""
    joined = Joined()
    laptop = joined.agent(MemoryServer("web"), name="laptop")
    joined.agent(MemoryServer("web"), name="tower")
    assert found(joined, "web") == "laptop"
    assert found(joined, "web", "tower") == "tower"
    joined.lose(laptop)
    with pytest.raises(NotNow, match="'laptop' is not connected"):
        found(joined, "web")
    assert found(joined, "web", "tower") == "tower"
    joined.connect(laptop)
    assert found(joined, "web") == "laptop"


def test_a_device_that_was_forgotten_leaves_its_names() -> None:
    joined = Joined()
    joined.lose(joined.agent(MemoryServer("web"), name="laptop"))
    tower = joined.agent(MemoryServer("web"), name="tower")
    joined.devices._make_room(joined.devices._of(ALICE), 1)
    assert found(joined, "web") == "tower"
    joined.agent(MemoryServer("web"), name="third")
    joined.lose(tower)
    with pytest.raises(NotNow, match="'tower' is not connected"):
        found(joined, "web")


def after_a_restart(earlier: Joined) -> Joined:
    """Return another relay that knows what the store of the first has."""
    later = Joined()
    later.bearers.restore(ALICE, earlier.names[ALICE, BEARER].values())
    later.devices.restore(
        Device(ALICE, device.installation_id, device.name, 0.0, 0.0)
        for device in earlier.devices.of(ALICE)
    )
    return later


def test_the_first_bearer_is_the_same_after_a_restart() -> None:
    """Whoever comes first then: a client must not be led to another machine."""
    joined = Joined()
    joined.agent(MemoryServer("web"), name="laptop", installation_id="installation-0001")
    joined.agent(MemoryServer("web"), name="tower", installation_id="installation-0002")
    later = after_a_restart(joined)
    later.agent(MemoryServer("web"), name="tower", installation_id="installation-0002")
    with pytest.raises(NotNow, match="'laptop' is not connected"):
        found(later, "web")
    later.agent(MemoryServer("web"), name="laptop", installation_id="installation-0001")
    assert found(later, "web") == "laptop"


def test_who_took_the_place_of_a_forgotten_device_keeps_it_after_a_restart() -> None:
    joined = Joined()
    joined.lose(joined.agent(MemoryServer("web"), installation_id="installation-0001"))
    joined.agent(MemoryServer("web"), name="tower", installation_id="installation-0002")
    joined.devices._make_room(joined.devices._of(ALICE), 1)
    assert found(joined, "web") == "tower"
    later = after_a_restart(joined)
    later.agent(MemoryServer("web"), name="laptop", installation_id="installation-0001")
    with pytest.raises(NotNow, match="'tower' is not connected"):
        found(later, "web")


def test_what_there_is_not() -> None:
    joined = Joined()
    joined.agent(MemoryServer("web"))
    with pytest.raises(NoSuchServer, match="No device has a server 'other'"):
        found(joined, "other")
    with pytest.raises(NoSuchServer, match="'laptop' has no server 'other'"):
        found(joined, "other", "laptop")
    with pytest.raises(NoSuchServer, match="no device 'tower'"):
        found(joined, "web", "tower")


def test_other_peoples_servers_are_not_there() -> None:
    joined = Joined()
    joined.agent(MemoryServer("web"), user="bob")
    for device in (None, "laptop"):
        with pytest.raises(NoSuchServer):
            found(joined, "web", device)


def test_a_device_that_was_not_heard_of_yet_may_have_the_server() -> None:
    """As after a new start of the relay: 404 would tell a client that its session is gone."""
    joined = Joined()
    joined.devices.restore([Device(ALICE, "installation-0009", "tower", 0.0, 0.0)])
    with pytest.raises(NotNow, match="'tower' may have"):
        found(joined, "web")
    with pytest.raises(NotNow, match="not connected"):
        found(joined, "web", "tower")


def test_a_device_that_told_nothing_yet() -> None:
    joined = Joined()
    joined.agent(MemoryServer("web"))
    joined.devices.of(ALICE)[0].announced = False
    with pytest.raises(NotNow, match="not told its servers"):
        found(joined, "web")


def test_a_name_that_two_devices_bore_means_the_one_that_is_there() -> None:
    joined = Joined()
    joined.lose(joined.agent(MemoryServer("web"), name="laptop"))
    joined.agent(MemoryServer("web"), name="laptop")
    assert find(joined.devices, ALICE, Address("web", "laptop")).is_connected


def test_the_names_of_one_user_are_bounded() -> None:
    joined = Joined()
    servers = [MemoryServer(f"s{number}") for number in range(200)]
    for round_number in range(MAX_BORNE_NAMES // 200 + 2):
        for number, server in enumerate(servers):
            server._name = f"s{round_number}-{number}"
        agent = joined.agent(*servers, installation_id="installation-0001")
        joined.lose(agent)
    assert len(joined.names[ALICE, BEARER]) == MAX_BORNE_NAMES


def test_a_device_that_was_revoked_says_so() -> None:
    joined = Joined()
    joined.lose(joined.agent(MemoryServer("web"), name="laptop"))
    joined.devices.of(ALICE)[0].revoked_s = 1.0
    with pytest.raises(NotNow, match="'laptop' was revoked"):
        found(joined, "web")
