"""The tools of the servers: fetched when they may have changed, to the end, and never waited for in vain."""

import inspect
import itertools
from dataclasses import replace
from typing import Any

import pytest

from mcptunnel.config.relay import HubConfig, LimitsConfig
from mcptunnel.config.tunnel import TunnelConfig
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.kinds import Kind
from mcptunnel.model import Principal
from mcptunnel.relay.devices import Device
from mcptunnel.relay.hub import fetching
from mcptunnel.relay.hub.budget import BOUNDS
from mcptunnel.relay.hub.catalogue import INTERVAL_S, RETRY_S, STARTS_PER_TURN
from mcptunnel.relay.hub.fetching import MAX_PAGES
from mcptunnel.relay.remote_server import RemoteServer
from mcptunnel.testing.joined import Joined
from mcptunnel.testing.local_server import MemoryServer, Tool
from mcptunnel.wire.settings import Limits
from tests.conftest import LoggedFailures

TIMEOUT_S = HubConfig().server_timeout_s


def remote(joined: Joined, name: str = "files") -> RemoteServer:
    (device,) = joined.devices.everyone()
    return device.servers[name]


def lists(server: MemoryServer) -> int:
    return sum(request.method == "tools/list" for request in server.requests)


def tools(*names: str) -> dict[str, Tool]:
    return dict.fromkeys(names)


def test_all_pages_are_followed() -> None:
    joined, server = Joined(), MemoryServer("files", tools("a", "b", "c"), page_size=1)
    joined.agent(server)
    assert joined.client().tools() == ["files__a", "files__b", "files__c"]
    assert lists(server) == 3
    assert remote(joined).known[Kind.TOOL].fresh
    assert remote(joined).note == ""


def test_they_are_fetched_once_for_every_revision() -> None:
    joined, server = Joined(), MemoryServer("files", tools("a"))
    agent = joined.agent(server)
    agent.announcer.announce()
    joined.settle()
    assert lists(server) == 1
    server.offer(tools("b"))
    joined.wait_s(INTERVAL_S)
    assert lists(server) == 2
    assert joined.client().tools() == ["files__b"]


def test_a_server_that_is_not_ready_is_not_asked() -> None:
    joined, server = Joined(), MemoryServer("files", tools("a"))
    server.become(ServerState.STARTING)
    joined.agent(server)
    assert not server.requests
    server.become(ServerState.READY)
    joined.settle()
    assert lists(server) == 1


def test_an_endless_list_is_cut_off() -> None:
    joined = Joined()
    server = MemoryServer("files", tools(*(f"t{n:03}" for n in range(MAX_PAGES + 50))), page_size=1)
    joined.agent(server)
    assert len(remote(joined).tools) == lists(server) == MAX_PAGES
    assert "tools goes on and on" in joined.client().call("status").text


def test_a_list_that_goes_on_behind_the_last_that_has_room_is_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also if the bound is at the end of a page, so that nothing is known of what follows."""
    monkeypatch.setitem(BOUNDS, Kind.TOOL, replace(BOUNDS[Kind.TOOL], server_items=4))
    joined = Joined()
    server = MemoryServer("files", tools(*(f"t{n}" for n in range(5))), page_size=2)
    joined.agent(server)
    assert (len(remote(joined).tools), lists(server)) == (4, 2)
    assert "tools goes on and on" in joined.client().call("status").text
    server.offer(tools("a", "b", "c", "d"))
    joined.wait_s(5)
    assert "goes on" not in joined.client().call("status").text


def test_too_many_tools_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """And told: nobody must wonder where the others are."""
    monkeypatch.setitem(BOUNDS, Kind.TOOL, replace(BOUNDS[Kind.TOOL], server_items=5))
    joined = Joined()
    server = MemoryServer("files", tools(*(f"t{n}" for n in range(20))), page_size=4)
    joined.agent(server)
    assert len(remote(joined).tools) == 5
    assert lists(server) == 2
    assert "3 tools are left out" in joined.client().call("status").text


def test_a_user_has_a_bounded_number_of_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BOUNDS, Kind.TOOL, replace(BOUNDS[Kind.TOOL], user_items=5))
    joined = Joined()
    first = MemoryServer("first", tools("a", "b", "c"))
    second = MemoryServer("second", tools("a", "b", "c"))
    joined.agent(first, second)
    assert len(joined.client().tools()) == 5
    assert "1 tools are left out" in joined.client().call("status").text
    assert len(joined.client("bob").tools()) == 0
    joined.agent(MemoryServer("his", tools("a", "b", "c")), user="bob")
    assert len(joined.client("bob").tools()) == 3


def test_of_two_tools_of_one_name_the_first_is_listed() -> None:
    """Nobody could call the second."""
    joined, server = Joined(), MemoryServer("files", tools("a"))
    server.holds_lists = True
    joined.agent(server)
    listed = [{"name": "a", "title": "1"}, {"name": "b"}, {"name": "a", "title": "2"}]
    server.calls[0].answer({"resultType": "complete", "tools": listed})
    joined.settle()
    shown = joined.client().request("tools/list").value["tools"]
    assert [(tool["name"], tool.get("title")) for tool in shown[2:]] == [
        ("files__a", "1"),
        ("files__b", None),
    ]
    assert "1 tools are left out" in remote(joined).note


def test_pages_that_go_in_a_circle_are_followed_once() -> None:
    joined, server = Joined(), MemoryServer("files", tools("a"))
    server.holds_lists = True
    joined.agent(server)
    for cursor in ("one", "two", "one"):
        server.calls[-1].answer(
            {"resultType": "complete", "tools": [{"name": cursor}], "nextCursor": cursor}
        )
        joined.settle()
    assert lists(server) == 3
    assert joined.client().tools() == ["files__one", "files__two"]


def test_a_flood_of_changes_costs_one_question_a_second() -> None:
    """While an answer is awaited nobody asks again, and after that not at once."""
    joined, server = Joined(), MemoryServer("files", tools("a"))
    server.holds_lists = True
    joined.agent(server)
    for _ in range(10):
        server.offer(tools("a"))
        joined.settle()
    assert len(server.calls) == 1
    server.calls[0].answer(server.page())
    server.holds_lists = False
    joined.settle()
    assert lists(server) == 1
    for _ in range(25):
        joined.wait_s(0.1)
        server.offer(tools("b"))
        joined.settle()
    assert lists(server) == 3
    joined.wait_s(INTERVAL_S)
    assert joined.client().tools() == ["files__b"]


def test_tools_that_did_not_change_are_not_listed_anew() -> None:
    joined, server = Joined(), MemoryServer("files", tools("a"))
    joined.agent(server)
    known = remote(joined).tools
    server.offer(tools("a"))
    joined.wait_s(INTERVAL_S)
    assert lists(server) == 2
    assert remote(joined).tools is known


def test_a_server_that_is_gone_is_asked_no_more() -> None:
    joined, server = Joined(), MemoryServer("files", tools("a"))
    server.holds_lists = True
    agent = joined.agent(server)
    gone = remote(joined)
    del agent.servers["files"]
    agent.announcer.announce()
    joined.settle()
    assert server.calls[0].cancelled
    (device,) = joined.devices.everyone()
    assert not joined.hub.catalogue.is_asking(device, gone, Kind.TOOL)
    joined.wait_s(2 * RETRY_S)
    assert lists(server) == 1


def test_many_servers_are_not_all_asked_in_one_turn() -> None:
    joined = Joined()
    servers = [MemoryServer(f"s{n}", tools("a")) for n in range(3 * STARTS_PER_TURN)]
    agent = joined.agent()
    opened: list[int] = []

    def count_opened() -> None:
        opened.append(len(agent.opened))
        if len(opened) < 20:
            joined.clock.callLater(0, count_opened)

    agent.servers.update({server.status.name: server for server in servers})
    agent.announcer.announce()
    joined.clock.callLater(0, count_opened)
    joined.settle()
    steps = [after - before for before, after in itertools.pairwise(opened)]
    assert max(steps) == STARTS_PER_TURN
    assert opened[-1] == 2 * len(servers)  # what they can do, and their tools
    assert len(joined.client().tools()) == len(servers)


def test_fetches_that_all_fail_at_once_do_not_nest() -> None:
    """Each one failing inside the one before went as deep as there are servers."""
    joined = Joined()
    devices = joined.devices
    agent = joined.agent()
    (device,) = devices.everyone()
    assert device.tunnel is not None
    device.tunnel.session._exchanges._peer_limits = Limits(max_streams=0)
    depths: list[int] = []
    changed = joined.hub.changed

    def noted(principal: Principal) -> None:
        depths.append(len(inspect.stack(0)))
        changed(principal)

    joined.hub.catalogue._changed = noted
    for n in range(200):
        agent.servers[f"s{n}"] = MemoryServer(f"s{n}", tools("a"))
    agent.announcer.announce()
    joined.settle()
    assert all("both sides accept" in server.note for server in device.servers.values())
    assert max(depths) - min(depths) < 10


def test_what_a_server_says_is_told_in_bounds() -> None:
    joined, server = Joined(), MemoryServer("files", tools("a"))
    server.holds_lists = True
    joined.agent(server)
    server.calls[0].error(jsonrpc.INTERNAL_ERROR, "A\x1b[31m\r\nFORGED " + "x" * 100_000)
    joined.settle()
    note = remote(joined).note
    assert note.isprintable()
    assert len(note) < 600
    assert len(joined.client().call("status").text) < 1000


def test_a_list_that_is_too_large_is_refused() -> None:
    joined = Joined(limits=LimitsConfig(max_result_bytes=2048))
    joined.agent(MemoryServer("files", tools(*(f"t{n}" for n in range(40))), page_size=10))
    assert "more than 2048 bytes" in remote(joined).note
    assert joined.client().tools() == []


def test_a_broken_server_costs_its_own_tools_and_is_asked_again() -> None:
    joined = Joined()
    broken, fine = MemoryServer("broken", tools("a")), MemoryServer("fine", tools("b"))
    broken.holds_lists = True
    joined.agent(broken, fine)
    broken.calls[0].error(jsonrpc.INTERNAL_ERROR, "out of order")
    joined.settle()
    assert joined.client().tools() == ["fine__b"]
    assert "out of order" in remote(joined, "broken").note
    assert "out of order" in joined.client().call("status").text
    broken.holds_lists = False
    joined.wait_s(RETRY_S)
    assert joined.client().tools() == ["broken__a", "fine__b"]
    assert remote(joined, "broken").note == ""
    assert lists(fine) == 1


def test_a_server_that_has_changed_since_is_not_asked_again() -> None:
    joined, server = Joined(), MemoryServer("files", tools("a"))
    server.holds_lists = True
    joined.agent(server)
    server.calls[0].error(jsonrpc.INTERNAL_ERROR, "out of order")
    joined.settle()
    server.holds_lists = False
    server.offer(tools("b"))
    joined.wait_s(2 * RETRY_S)
    assert lists(server) == 2
    assert joined.client().tools() == ["files__b"]


def test_an_agent_that_takes_no_more_streams_is_asked_again() -> None:
    joined = Joined(tunnel=TunnelConfig(max_streams=1))
    server, busy = MemoryServer("files", tools("a")), MemoryServer("busy", {"b": None})
    joined.agent(busy)
    joined.client().call("busy__b")
    agent = joined.agent(server, busy)
    assert agent.lost is None
    notes = [remote.note for d in joined.devices.everyone() for remote in d.servers.values()]
    assert any("all that both sides accept" in note for note in notes)
    joined.wait_s(RETRY_S)
    assert len(joined.client().tools()) == 3


@pytest.mark.parametrize(
    "answer",
    [
        {"resultType": "complete", "tools": "none"},
        {"resultType": "complete"},
    ],
)
def test_what_is_no_list_is_told(answer: dict[str, Any]) -> None:
    joined, server = Joined(), MemoryServer("files", tools("a"))
    server.holds_lists = True
    joined.agent(server)
    server.calls[0].answer(answer)
    joined.settle()
    assert "malformed" in remote(joined).note


def test_a_server_that_crashes_meanwhile_is_asked_again() -> None:
    joined, server = Joined(), MemoryServer("files", tools("a"))
    server.holds_lists = True
    joined.agent(server)
    server.calls[0].fail("The server 'files' crashed.")
    joined.settle()
    assert "crashed" in remote(joined).note
    server.holds_lists = False
    joined.wait_s(RETRY_S)
    assert joined.client().tools() == ["files__a"]


def test_a_server_that_does_not_answer_is_given_up_and_told() -> None:
    joined, server = Joined(), MemoryServer("files", tools("a"))
    server.holds_lists = True
    joined.agent(server)
    joined.wait_s(TIMEOUT_S)
    assert remote(joined).note == "its tools could not be listed: no answer within 10 s"
    assert server.calls[0].cancelled == "no longer wanted"


def test_all_pages_together_have_the_time_of_one_list() -> None:
    joined, server = Joined(), MemoryServer("files", tools("a", "b"), page_size=1)
    server.holds_lists = True
    joined.agent(server)
    joined.wait_s(TIMEOUT_S - 1)
    server.calls[0].answer(server.page())
    joined.settle()
    assert lists(server) == 2
    joined.wait_s(1)
    assert server.calls[1].cancelled


def test_known_tools_stay_while_new_ones_cannot_be_had() -> None:
    joined, server = Joined(), MemoryServer("files", tools("a"))
    joined.agent(server)
    server.holds_lists = True
    server.offer(tools("b"))
    joined.wait_s(INTERVAL_S)
    server.calls[0].error(jsonrpc.INTERNAL_ERROR, "out of order")
    joined.settle()
    assert joined.client().tools() == ["files__a"]


def test_a_lost_device_is_not_asked_again_until_it_is_back() -> None:
    joined, server = Joined(), MemoryServer("files", tools("a"))
    server.holds_lists = True
    agent = joined.agent(server)
    joined.lose(agent)
    joined.wait_s(2 * RETRY_S)
    assert lists(server) == 1
    server.holds_lists = False
    joined.connect(agent)
    assert joined.client().tools() == ["files__a"]
    joined.wait_s(2 * RETRY_S)
    assert lists(server) == 2


def test_nothing_is_asked_before_the_device_has_announced_itself() -> None:
    """What is known from before may be another program by now."""
    joined, server = Joined(), MemoryServer("files", tools("a"))
    agent = joined.agent(server)
    joined.lose(agent)
    remote(joined).known[Kind.TOOL].fresh = False
    agent.servers.clear()
    joined.connect(agent)
    assert lists(server) == 1
    assert joined.client().tools() == []


def test_stopping_gives_up_what_is_under_way() -> None:
    joined = Joined()
    slow, broken = MemoryServer("slow", tools("a")), MemoryServer("broken", tools("b"))
    slow.holds_lists = broken.holds_lists = True
    joined.agent(slow, broken)
    broken.calls[0].error(jsonrpc.INTERNAL_ERROR, "no")
    joined.settle()
    joined.hub.catalogue.stop()
    joined.settle()
    assert slow.calls[0].cancelled
    joined.wait_s(2 * RETRY_S)
    assert lists(broken) == 1


def test_a_mistake_of_ours_is_logged_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, logged_failures: LoggedFailures
) -> None:
    def fail(*_values: object) -> None:
        raise ZeroDivisionError

    joined = Joined()
    monkeypatch.setattr(fetching, "parse_page", fail)
    joined.agent(MemoryServer("files", tools("a")))
    assert remote(joined).known[Kind.TOOL].fresh
    assert joined.client().tools() == []
    assert logged_failures.take(ZeroDivisionError)


def test_a_device_without_a_tunnel_is_a_failed_fetch() -> None:
    """It may go between two pages."""
    joined, server = Joined(), MemoryServer("files", tools("a", "b"), page_size=1)
    server.holds_lists = True
    agent = joined.agent(server)
    device: Device = joined.devices.everyone()[0]
    server.calls[0].answer(server.page())
    joined.lose(agent)
    assert not device.is_connected
    assert remote(joined).note
