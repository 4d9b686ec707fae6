"""A list right after a connection is whole, and never waited for too long."""

from mcptunnel.config.relay import HubConfig
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.testing.joined import Joined
from mcptunnel.testing.local_server import MemoryServer

TIMEOUT_S = HubConfig().server_timeout_s


def starting() -> MemoryServer:
    server = MemoryServer("files", {"a": None})
    server.become(ServerState.STARTING)
    return server


def test_a_list_waits_for_a_server_that_starts() -> None:
    joined, server = Joined(), starting()
    joined.agent(server)
    answer = joined.client().request("tools/list")
    assert not answer.is_over
    joined.wait_s(1)
    server.become(ServerState.READY)
    joined.settle()
    assert [tool["name"] for tool in answer.value["tools"]] == ["restart", "status", "files__a"]


def test_it_does_not_wait_for_ever() -> None:
    joined = Joined()
    joined.agent(starting())
    answer = joined.client().request("tools/list")
    joined.wait_s(TIMEOUT_S - 1)
    assert not answer.is_over
    joined.wait_s(1)
    assert len(answer.value["tools"]) == 2


def test_its_time_is_not_prolonged_by_changes() -> None:
    joined, server = Joined(), starting()
    joined.agent(server)
    answer = joined.client().request("tools/list")
    for _ in range(5):
        joined.wait_s(TIMEOUT_S / 5)
        server.become(ServerState.STARTING)
        joined.settle()
    assert len(answer.value["tools"]) == 2


def test_a_server_that_keeps_failing_slows_down_lists_only_at_first() -> None:
    joined, server = Joined(), starting()
    joined.agent(server)
    joined.wait_s(3 * TIMEOUT_S)
    joined.epoch_step_s = -3600.0  # whoever sets the time of day does not begin it anew
    assert joined.client().request("tools/list").is_over
    server.become(ServerState.READY)
    server.holds_lists = True
    joined.settle()
    assert not joined.client().request("tools/list").is_over


def test_an_agent_that_has_not_announced_anything_is_waited_for() -> None:
    joined = Joined()
    joined.agent(delay_s=0.1)
    joined.wait_s(0.25)
    assert joined.devices.connected_count == 1
    answer = joined.client().request("tools/list")
    assert not answer.is_over
    joined.wait_s(0.2)
    assert answer.is_over


def test_nobody_waits_for_the_device_of_another() -> None:
    joined = Joined()
    joined.agent(starting(), user="bob")
    assert joined.client("alice").request("tools/list").is_over


def test_nobody_waits_for_a_device_that_is_offline() -> None:
    joined = Joined()
    joined.lose(joined.agent(starting()))
    assert joined.client().request("tools/list").is_over


def test_a_device_that_is_lost_ends_the_waiting() -> None:
    joined = Joined()
    agent = joined.agent(starting())
    answer = joined.client().request("tools/list")
    joined.lose(agent)
    assert answer.is_over


def test_a_client_that_gives_up_leaves_nothing_behind() -> None:
    joined, server = Joined(), starting()
    joined.agent(server)
    answer = joined.client().request("tools/list")
    answer.cancel()
    assert not any(joined.hub._settling._waiting.values())
    server.become(ServerState.READY)
    joined.wait_s(TIMEOUT_S)
    assert not answer.is_over
