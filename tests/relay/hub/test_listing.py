"""What is listed, under which names, and that names never change."""

from typing import Literal

import pytest
from msgspec import Raw

from mcptunnel.auth.keys import Scope
from mcptunnel.config.relay import HubConfig
from mcptunnel.mcp.catalogue import Item, exposed
from mcptunnel.mcp.kinds import Kind
from mcptunnel.relay.hub import listing as module
from mcptunnel.relay.hub import tables
from mcptunnel.relay.hub.catalogue import INTERVAL_S
from mcptunnel.relay.hub.listing import ITEMS_PER_TURN, STEP_BYTES
from mcptunnel.testing.joined import Joined
from mcptunnel.testing.local_server import MemoryServer
from tests.conftest import LoggedFailures


def server(name: str = "files", *tools: str, prefix: str | None = None) -> MemoryServer:
    offered = {tool: lambda _, tool=tool: f"{name} {tool}" for tool in tools or ("read",)}
    return MemoryServer(name, offered, prefix=prefix)


def test_our_own_tools_come_first_then_servers_and_tools_in_order() -> None:
    joined = Joined()
    joined.agent(server("b", "z", "a"), server("a", "m"))
    listed = joined.client().request("tools/list").value["tools"]
    assert [tool["name"] for tool in listed] == ["restart", "status", "a__m", "b__a", "b__z"]


def test_a_tool_keeps_all_its_members() -> None:
    joined = Joined()
    joined.agent(server())
    tool = joined.client().request("tools/list").value["tools"][-1]
    assert tool == {
        "name": "files__read",
        "description": "Tool read.",
        "inputSchema": {"type": "object"},
    }


def test_with_a_second_device_names_say_which() -> None:
    """And the names of before keep working, for the device that first bore them."""
    joined = Joined()
    joined.agent(server(), name="laptop")
    client = joined.client()
    assert client.tools() == ["files__read"]
    second = MemoryServer("files", {"read": lambda _: "the second"})
    joined.agent(second, name="tower")
    assert client.tools() == ["laptop__files__read", "tower__files__read"]
    assert client.call("files__read").text == "files read"
    assert client.call("laptop__files__read").text == "files read"
    assert client.call("tower__files__read").text == "the second"


def test_names_survive_the_relay() -> None:
    """What was bound once means the same device, also in a relay that started anew and knows both."""
    joined = Joined()
    joined.agent(server(), name="laptop", installation_id="a" * 32)
    alice = joined.access("alice", Scope.MCP).principal
    kept = list(joined.names[alice, "tool"].values())
    assert [row[0] for row in kept] == ["files__read"]
    later = Joined()
    later.hub.tables.restore(alice, "tool", kept)
    tower = MemoryServer("files", {"read": lambda _: "the tower's"})
    later.agent(tower, name="tower", installation_id="b" * 32)
    assert later.client().tools() == [later.names[alice, "tool"].popitem()[0]]
    assert "no longer known" in later.client().call("files__read").text
    later.agent(server(), name="laptop", installation_id="a" * 32)
    assert later.client().call("files__read").text == "files read"
    assert later.client().call("tower__files__read").text == "the tower's"


@pytest.mark.parametrize(
    ("setting", "one", "two"),
    [
        ("always", "laptop__files__read", "laptop__files__read"),
        ("never", "files__read", "files__read"),
        ("auto", "files__read", "laptop__files__read"),
    ],
)
def test_the_device_in_names_is_a_setting(
    setting: Literal["auto", "always", "never"], one: str, two: str
) -> None:
    joined = Joined(hub=HubConfig(device_prefix=setting))
    joined.agent(server(), name="laptop")
    assert joined.client().tools()[0] == one
    joined.agent(server("other"), name="tower")
    assert joined.client().tools()[0] == two


def test_without_the_device_two_equal_servers_still_have_two_names() -> None:
    joined = Joined(hub=HubConfig(device_prefix="never"))
    joined.agent(server(), name="laptop")
    joined.agent(MemoryServer("files", {"read": lambda _: "the second"}), name="tower")
    first, second = joined.client().tools()
    assert first == "files__read"
    assert second.startswith("files__read_")
    assert joined.client().call(second).text == "the second"


def test_a_prefix_of_the_agents_choice() -> None:
    joined = Joined()
    joined.agent(server("a", "x", prefix="short"), server("b", "y", prefix=""))
    assert joined.client().tools() == ["short__x", "y"]


def test_a_tool_cannot_take_the_place_of_ours() -> None:
    joined = Joined()
    joined.agent(server("a", "status", "restart", prefix=""))
    names = joined.client().tools()
    assert len(names) == 2
    assert not {"status", "restart"} & set(names)
    assert "connected" in joined.client().call("status").text


def test_the_tools_of_an_offline_device_stay_listed_for_a_while() -> None:
    joined = Joined(hub=HubConfig(offline_grace_s=60))
    agent = joined.agent(server())
    client = joined.client()
    assert client.tools()
    joined.lose(agent)
    assert client.tools() == ["files__read"]
    joined.wait_s(59)
    assert client.tools() == ["files__read"]
    joined.wait_s(2)
    assert client.tools() == []
    assert "offline" in client.call("files__read").text
    joined.connect(agent)
    assert client.tools() == ["files__read"]
    assert client.call("files__read").text == "files read"


def test_a_tool_that_is_gone_is_not_listed_but_still_leads_to_its_server() -> None:
    joined, one = Joined(), server()
    joined.agent(one)
    client = joined.client()
    client.tools()
    one.offer({"other": None})
    joined.wait_s(INTERVAL_S)
    assert client.tools() == ["files__other"]
    error = client.call("files__read").failure
    assert error is not None
    assert "Unknown tool: read" in error.message


def test_names_of_another_user_mean_nothing() -> None:
    joined = Joined()
    joined.agent(server(), user="alice")
    joined.client("alice").tools()
    failure = joined.client("bob").call("files__read").failure
    assert failure is not None
    assert failure.message == "Unknown tool: files__read"


def test_many_tools_are_named_over_several_turns_and_waited_for() -> None:
    joined = Joined()
    names = [f"t{n:03}" for n in range(2 * ITEMS_PER_TURN + 50)]
    joined.agent(server("files", *names))
    one, other = joined.agent(server("a"), name="tower"), joined.client()
    listing, alice = joined.hub.listings[Kind.TOOL], other.access.principal
    assert one.lost is None
    joined.devices.everyone()[0].name = "renamed"  # all of its tools are named anew
    joined.hub.changed(alice)
    settled: list[bool] = []

    def look() -> None:
        settled.append(joined.hub._settling.is_settled(alice, Kind.TOOL))
        if not listing.is_current(alice):
            joined.clock.callLater(0, look)

    look()
    joined.settle()
    assert settled == [False, False, False, True]
    assert len(other.tools()) == len(names) + 1
    assert other.tools()[0] == "renamed__files__t000"


def test_long_definitions_take_more_turns_than_short_ones() -> None:
    """Of a list of 2 MiB no more is made in one turn than of many small things."""
    joined, one = Joined(), MemoryServer("files", {})
    long = {"description": "x" * ITEMS_PER_TURN * STEP_BYTES}
    offered = ({"name": f"p{number}", **long} for number in range(9))
    one.offer_list("prompts/list", "prompts", *offered)
    joined.agent(one)
    client = joined.client()
    assert len(client.listed(Kind.PROMPT)) == 9
    listing, alice = joined.hub.listings[Kind.PROMPT], client.access.principal
    joined.devices.everyone()[0].name = "renamed"
    joined.hub.changed(alice)
    turns = 0

    def look() -> None:
        nonlocal turns
        turns += 1
        if not listing.is_current(alice):
            joined.clock.callLater(0, look)

    look()
    joined.settle()
    assert turns >= 9


def test_only_what_changed_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def noted(tool: Item, name: str) -> Raw:
        made.append(name)
        return exposed(tool, name)

    monkeypatch.setattr(module, "exposed", noted)
    joined, one = Joined(), server("a", "x")
    joined.agent(one, server("b", "y"))
    assert made == ["a__x", "b__y"]
    one.offer({"x": None, "z": None})
    joined.wait_s(INTERVAL_S)
    assert made[2:] == ["a__x", "a__z"]
    for _ in range(10):
        joined.client().tools()
        joined.client().call("a__x")
    assert len(made) == 4


def test_a_change_while_the_list_is_made_is_not_lost() -> None:
    joined, one = Joined(), server("a", *(f"t{n}" for n in range(3 * ITEMS_PER_TURN)))
    joined.agent(one)
    (device,) = joined.devices.everyone()
    device.name = "x"
    joined.hub.listings[Kind.TOOL]._device_prefix = "always"
    joined.hub.changed(device.principal)
    joined.clock.callLater(0, setattr, device, "name", "y")
    joined.clock.callLater(0, joined.hub.changed, device.principal)
    joined.settle()
    assert {name[:3] for name in joined.client().tools()} == {"y__"}


def test_names_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old ones are forgotten, of places that are gone first; none that is listed now."""
    monkeypatch.setattr(tables, "MAX_NAMES", 20)
    joined, one = Joined(), server("a", "stays")
    joined.agent(one, server("b", "kept"))
    client = joined.client()
    for round_number in range(10):
        one.offer({f"r{round_number}t{n}": None for n in range(5)})
        joined.wait_s(INTERVAL_S)
    assert len(joined.hub.tables.of(client.access.principal).tools) <= 20
    assert client.tools() == [*(f"a__r9t{n}" for n in range(5)), "b__kept"]
    assert client.call("b__kept").text == "b kept"
    assert client.call("a__stays").failure is not None


def test_a_mistake_of_ours_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, logged_failures: LoggedFailures
) -> None:
    def boom(*_values: object) -> Raw:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "exposed", boom)
    joined = Joined()
    joined.agent(server())
    assert joined.client().tools() == []
    assert logged_failures.take(ZeroDivisionError)
