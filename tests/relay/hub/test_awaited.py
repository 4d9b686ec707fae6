"""Which of two servers with the same is listed as it is does not depend on which answers first."""

from typing import Any

import pytest

from mcptunnel.config.relay import HubConfig
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.kinds import Kind
from mcptunnel.model import Principal
from mcptunnel.relay.hub.awaited import SHARE
from mcptunnel.testing.joined import Joined
from mcptunnel.testing.local_server import MemoryServer
from tests.relay.hub.servers import with_resources

ALICE = Principal("local", "alice")
URI = "shelf:book"
LIST_S = HubConfig().server_timeout_s
WAIT_S = SHARE * LIST_S


@pytest.fixture
def joined() -> Joined:
    return Joined()


def owners(answer: Any) -> list[str]:
    """Return whose the listed resources are, the one whose URI passes as it is first."""
    listed = [one["uri"] for one in answer.value["resources"]]
    assert sum(uri == URI for uri in listed) == bool(listed)
    listed.sort(key=lambda uri: uri != URI)
    return ["bare" if uri == URI else uri.split(":")[0] for uri in listed]


def slow(name: str) -> MemoryServer:
    """Return a server whose list of resources waits for the test."""
    server = with_resources(name, URI)
    server.answers["resources/list"] = None
    return server


def answer(server: MemoryServer) -> None:
    """Let a slow server answer."""
    (call,) = [one for one in server.calls if one.request.method == "resources/list"]
    call.answer({"resultType": "complete", "resources": [{"uri": URI, "name": "book"}]})


def read(joined: Joined, uri: str) -> str:
    """Return who says what is in a resource."""
    (content,) = joined.client().request("resources/read", {"uri": uri}).value["contents"]
    text: str = content["text"]
    return text


def test_the_first_in_the_list_has_the_uri_though_it_answers_last(joined: Joined) -> None:
    first, second = slow("a"), with_resources("b", URI)
    joined.agent(first, second)
    listed = joined.client().request("resources/list")
    joined.wait_s(WAIT_S / 2)
    assert not listed.is_over
    answer(first)
    joined.settle()
    assert owners(listed) == ["bare", "mcptunnel+b"]
    assert read(joined, URI) == f"a {URI}"
    joined.wait_s(100)
    assert not joined.hub._awaited._timers


def test_a_server_that_starts_is_waited_for(joined: Joined) -> None:
    first, second = with_resources("a", URI), with_resources("b", URI)
    first.become(ServerState.STARTING)
    joined.agent(first, second)
    listed = joined.client().request("resources/list")
    joined.wait_s(1)
    first.become(ServerState.READY)
    joined.settle()
    assert owners(listed) == ["bare", "mcptunnel+b"]
    assert read(joined, URI) == f"a {URI}"


@pytest.mark.parametrize("state", [ServerState.READY, ServerState.STARTING])
def test_a_slow_server_costs_nobody_a_place_in_the_list(joined: Joined, state: ServerState) -> None:
    """What waited in vain is in the list that waited, too, and keeps its URI."""
    first, second = slow("a"), with_resources("b", URI)
    first.become(state)
    joined.agent(first, second)
    listed = joined.client().request("resources/list")
    joined.wait_s(WAIT_S - 0.1)
    assert not joined.hub.tables.of(ALICE).uris
    joined.wait_s(LIST_S)
    assert owners(listed) == ["bare"]
    assert read(joined, URI) == f"b {URI}"


def test_a_server_that_fails_is_waited_for_no_longer(joined: Joined) -> None:
    first, second = with_resources("a", URI), with_resources("b", URI)
    first.become(ServerState.STARTING)
    joined.agent(first, second)
    listed = joined.client().request("resources/list")
    first.become(ServerState.FAILED)
    joined.settle()
    assert owners(listed) == ["bare"]


def test_nobody_waits_twice_for_the_same_server(joined: Joined) -> None:
    """One that keeps failing delays nothing but at first."""
    first, second = with_resources("a", URI), with_resources("b", URI)
    first.become(ServerState.STARTING)
    joined.agent(first, second)
    joined.client().request("resources/list")
    joined.wait_s(WAIT_S + 1)
    third = with_resources("c", "other:c")
    joined.agent(third, name="tower")
    joined.wait_s(0.1)
    assert "other:c" in joined.hub.listings[Kind.RESOURCE].names(ALICE)


def test_names_that_say_whose_they_are_wait_for_nobody(joined: Joined) -> None:
    """Only bare ones do, as URIs are, and names without a prefix."""
    first = MemoryServer("a", {"t": None})
    first.become(ServerState.STARTING)
    second, bare = MemoryServer("b", {"t": None}), MemoryServer("c", {"t": None}, prefix="")
    joined.agent(first, second, bare)
    joined.settle()
    tools = joined.hub.listings[Kind.TOOL]
    assert tools.names(ALICE) == {"b__t"}
    joined.wait_s(WAIT_S + 0.1)
    assert tools.names(ALICE) == {"b__t", "t"}


def test_a_relay_that_stops_waits_for_nobody(joined: Joined) -> None:
    joined.agent(slow("a"), with_resources("b", URI))
    joined.client().request("resources/list")
    joined.settle()
    assert joined.hub._awaited._timers
    joined.hub.stop()
    assert not joined.hub._awaited._timers


def test_a_device_that_has_just_come_has_its_turn_before_a_later_one(joined: Joined) -> None:
    """Devices are in the order in which they were first known, whichever says first what it has."""
    joined.client().request("resources/list")
    joined.agent(with_resources("a", URI), delay_s=0.5)
    joined.wait_s(1.1)
    assert joined.devices.connected_count == 1
    joined.agent(with_resources("b", URI), name="tower")
    joined.wait_s(0.1)
    assert joined.hub.listings[Kind.RESOURCE].names(ALICE) == set()
    joined.wait_s(5)
    target = joined.hub.tables.of(ALICE).uris.resolve(URI)
    assert target is not None
    assert target.server == "a"
