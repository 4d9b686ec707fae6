"""`status` and `restart`, as the model sees them."""

import pytest

from mcptunnel.config.relay import HubConfig
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.relay.hub.meta_tools import MAX_STATUS_SERVERS, META_TOOLS, MetaTool, text_result
from mcptunnel.testing.joined import Joined
from mcptunnel.testing.local_server import MemoryServer


@pytest.mark.parametrize("tool", META_TOOLS)
def test_a_definition_says_what_a_client_needs(tool: MetaTool) -> None:
    definition = jsonrpc.decode(tool.definition)
    assert definition["name"] == tool.name
    assert definition["inputSchema"]["type"] == "object"
    assert isinstance(definition["annotations"]["readOnlyHint"], bool)


def test_status_without_a_device_says_how_to_start_one() -> None:
    result = Joined().client().call("status").value
    assert result["structuredContent"] == {"devices": []}
    assert "twistd -n mcptunnel-agent" in result["content"][0]["text"]


def test_status_tells_of_devices_and_servers() -> None:
    joined = Joined()
    files, web = MemoryServer("files", {"a": None}), MemoryServer("web")
    web.become(ServerState.FAILED, "no such program")
    joined.agent(files, web, name="laptop", delay_s=0.05)
    joined.wait_s(0.5)
    joined.lose(joined.agent(name="tower"))
    joined.wait_s(20)
    answer = joined.client().call("status")
    assert answer.text.splitlines() == [
        "laptop: connected, round trip 100 ms",
        "  files (memory): ready, 1 tools",
        "  web (memory): failed, 0 tools - no such program",
        "tower: offline, last seen 2027-01-15T08:00:00+00:00",
    ]
    joined.wait_s(1)
    laptop, tower = joined.client().call("status").value["structuredContent"]["devices"]
    assert laptop["connected"]
    assert laptop["roundTripMs"] == pytest.approx(100, abs=1)
    assert laptop["connectedSince"] == "2027-01-15T08:00:00+00:00"
    assert laptop["lastSeen"] == "2027-01-15T08:00:21+00:00"
    assert laptop["servers"][0] == {
        "name": "files",
        "kind": "memory",
        "state": "ready",
        "detail": "",
        "era": "modern",
        "protocolVersion": "2026-07-28",
        "restarts": 0,
        "tools": 1,
    }
    assert not tower["connected"]
    assert "connectedSince" not in tower


def test_status_tells_of_a_device_that_is_expected_back() -> None:
    """Calls to it wait, so it counts as connected."""
    joined = Joined()
    joined.cut(joined.agent())
    joined.wait_s(5)
    answer = joined.client().call("status")
    seen = "2027-01-15T08:00:00+00:00"
    assert answer.text == f"laptop: expected back, last seen {seen}; calls wait for it"
    (laptop,) = answer.value["structuredContent"]["devices"]
    assert (laptop["connected"], laptop["resuming"], laptop["lastSeen"]) == (True, True, seen)


def test_status_says_nothing_twice_and_what_is_not_known_now() -> None:
    joined = Joined()
    files, web = MemoryServer("files", {"a": None}), MemoryServer("web")
    web.become(ServerState.STARTING, "is starting")
    joined.lose(joined.agent(files, web, name="laptop"))
    _, *servers = joined.client().call("status").text.splitlines()
    assert servers == [
        "  files (memory): ready (when last seen), 1 tools",
        "  web (memory): starting (when last seen), 0 tools",
    ]


def test_status_tells_only_of_ones_own_devices() -> None:
    joined = Joined()
    joined.agent(user="bob", name="secret")
    assert "secret" not in joined.client("alice").call("status").text


def test_status_describes_a_bounded_number_of_servers() -> None:
    """And says how many there are besides."""
    joined = Joined()
    for name, count in (("laptop", MAX_STATUS_SERVERS - 1), ("tower", 3), ("phone", 0)):
        joined.agent(*(MemoryServer(f"s{n}") for n in range(count)), name=name)
    answer = joined.client().call("status")
    laptop, tower, phone = answer.value["structuredContent"]["devices"]
    assert len(laptop["servers"]) == MAX_STATUS_SERVERS - 1
    assert (len(tower["servers"]), tower["serversNotShown"]) == (1, 2)
    assert "serversNotShown" not in laptop
    assert "serversNotShown" not in phone
    assert "  and 2 more servers" in answer.text.splitlines()


def test_a_text_may_carry_meta() -> None:
    assert jsonrpc.decode(text_result("a", is_error=True, meta={"x/y": 1})) == {
        "resultType": "complete",
        "content": [{"type": "text", "text": "a"}],
        "isError": True,
        "_meta": {"x/y": 1},
    }
    assert "_meta" not in jsonrpc.decode(text_result("a", is_error=False))


def test_status_tells_the_time_of_day_and_the_grace_goes_by_it() -> None:
    """What is stored and shown is the time of day; what is waited for goes by the other clock."""
    joined = Joined(hub=HubConfig(offline_grace_s=60))
    joined.epoch_step_s = 86_400.0
    agent = joined.agent(MemoryServer("files", {"a": None}))
    client = joined.client()
    (laptop,) = client.call("status").value["structuredContent"]["devices"]
    assert laptop["connectedSince"] == laptop["lastSeen"] == "2027-01-16T08:00:00+00:00"
    joined.epoch_step_s = 0.0
    joined.cut(agent)
    (device,) = joined.devices.everyone()
    assert device.last_seen_s == joined.clock.seconds()
    joined.lose(agent)
    assert [seen_s for _, seen_s in joined.remembered] == [
        joined.clock.seconds() + 86_400.0,
        joined.clock.seconds(),
    ]
    assert "files__a" in client.tools()
    joined.epoch_step_s = 61.0
    assert "files__a" not in client.tools()
