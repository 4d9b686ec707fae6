"""Nobody's tools fill the relay: what does not fit is left out, and offline devices give way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from mcptunnel.mcp.announcement import ServerStatus
from mcptunnel.mcp.catalogue import Item
from mcptunnel.mcp.features import Features
from mcptunnel.mcp.kinds import Kind
from mcptunnel.model import Principal
from mcptunnel.relay.devices import Device
from mcptunnel.relay.hub import budget
from mcptunnel.relay.hub.budget import BOUNDS, Bounds, keep, keep_features
from mcptunnel.relay.remote_server import Known, RemoteServer
from tests.relay.test_devices import Bench

SIZE_BYTES = 20


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BOUNDS, Kind.TOOL, Bounds(10, 10 * SIZE_BYTES, 10, 10 * SIZE_BYTES))


def tools(count: int, size_bytes: int = SIZE_BYTES) -> tuple[Item, ...]:
    return tuple(Item(f"t{n}", Raw(b"x" * size_bytes)) for n in range(count))


def device(*servers: RemoteServer, seen_s: float = 0.0, connected: bool = True) -> Device:
    made = Device(Principal("local", "alice"), "i", "d", 0.0, seen_s)
    made.servers = {str(number): server for number, server in enumerate(servers)}
    if connected:
        made.tunnel = Bench().tunnel()
    return made


def server(*known: Item) -> RemoteServer:
    made = RemoteServer(ServerStatus("s", "x", "ready", 1))
    made.known[Kind.TOOL] = Known(known, sum(tool.size_bytes for tool in known))
    return made


def test_what_fits_is_kept_whole() -> None:
    one = server()
    assert keep([device(one, server(*tools(4)))], one, Kind.TOOL, tools(6)) == 0
    assert one.tools == tools(6)
    assert one.known[Kind.TOOL].size_bytes == 6 * SIZE_BYTES


def test_the_last_ones_are_left_out() -> None:
    one, full = server(), server(*tools(10))
    assert keep([device(one, server(*tools(7)))], one, Kind.TOOL, tools(6)) == 3
    assert one.tools == tools(3)
    assert keep([device(one, full)], one, Kind.TOOL, tools(6)) == 6
    assert one.tools == ()
    assert full.tools == tools(10)


def test_bytes_count_as_well() -> None:
    one = server()
    assert keep([device(one, server(*tools(1)))], one, Kind.TOOL, tools(5, 3 * SIZE_BYTES)) == 2
    assert one.known[Kind.TOOL].size_bytes == 9 * SIZE_BYTES


def test_its_own_old_tools_take_no_room() -> None:
    one = server(*tools(8))
    assert keep([device(one)], one, Kind.TOOL, tools(10)) == 0


def test_equal_tools_stay_the_same_object() -> None:
    """By that the list knows that nothing changed."""
    one = server(*tools(3))
    known = one.tools
    keep([device(one)], one, Kind.TOOL, tools(3))
    assert one.tools is known


def test_offline_devices_make_room_those_away_the_longest_first() -> None:
    one, old, new = server(), server(*tools(4)), server(*tools(4))
    devices = [
        device(new, seen_s=2.0, connected=False),
        device(one),
        device(old, seen_s=1.0, connected=False),
    ]
    assert keep(devices, one, Kind.TOOL, tools(6)) == 0
    assert (len(old.tools), len(new.tools)) == (0, 4)
    assert old.known[Kind.TOOL].size_bytes == 0
    assert keep(devices, one, Kind.TOOL, tools(11)) == 1
    assert len(new.tools) == 0


@given(st.lists(st.lists(st.integers(1, 3 * SIZE_BYTES), max_size=15), min_size=1, max_size=6))
def test_whatever_comes_the_bounds_hold(lists: list[list[int]]) -> None:
    servers = [server() for _ in lists]
    devices = [device(*servers)]
    for one, sizes in zip(servers, lists, strict=True):
        given_tools = tuple(Item(f"t{n}", Raw(b"x" * size)) for n, size in enumerate(sizes))
        left_out = keep(devices, one, Kind.TOOL, given_tools)
        assert one.tools == given_tools[: len(given_tools) - left_out]
    assert sum(len(one.tools) for one in servers) <= 10
    assert sum(one.known[Kind.TOOL].size_bytes for one in servers) <= 10 * SIZE_BYTES


def test_instructions_are_kept_as_long_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server can do is kept in any case; a server's own old words take no room."""
    monkeypatch.setattr(budget, "MAX_INSTRUCTIONS_CHARS", 10)
    one, other = server(), server()
    devices = [device(one), device(other, connected=False)]
    for target, told in ((one, "x" * 6), (one, "y" * 6), (other, "z" * 6), (other, "z" * 4)):
        keep_features(devices, target, Features(instructions=told))
        assert target.features is not None
        assert target.features.instructions == ("" if told == "z" * 6 else told)
