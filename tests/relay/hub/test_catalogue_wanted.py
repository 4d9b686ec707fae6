"""Prompts, resources and templates: asked for when somebody wants them, and bounded."""

from dataclasses import replace

import pytest

from mcptunnel.config.relay import HubConfig
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.kinds import LISTED, Kind
from mcptunnel.relay.hub.budget import BOUNDS
from mcptunnel.relay.hub.catalogue import INTERVAL_S, LEAST_KEPT_S
from mcptunnel.testing.joined import Joined
from mcptunnel.testing.local_server import MemoryServer
from tests.relay.hub.servers import asked, with_resources

TIMEOUT_S = HubConfig().server_timeout_s
LISTS = ("prompts/list", "resources/list", "resources/templates/list")


def full(name: str = "files") -> MemoryServer:
    server = with_resources(name, "x:1", templates=("x:{n}",))
    server.offer_list("prompts/list", "prompts", {"name": "p"})
    return server


def counts(server: MemoryServer) -> list[int]:
    return [asked(server, method) for method in LISTS]


def test_nobody_is_asked_for_what_nobody_wants() -> None:
    """A device with twenty servers costs two questions for each, not five."""
    joined = Joined()
    servers = [full(f"s{n}") for n in range(20)]
    joined.agent(*servers)
    assert sum(len(server.requests) for server in servers) == 40
    joined.client().listed(Kind.PROMPT)
    assert [counts(server) for server in servers] == [[1, 0, 0]] * 20


def test_what_was_asked_for_once_is_kept_fresh() -> None:
    joined, server = Joined(), full()
    joined.agent(server)
    client = joined.client()
    for _ in range(3):
        client.listed(Kind.RESOURCE)
    assert counts(server) == [0, 1, 0]
    server.offer_list("resources/list", "resources", {"uri": "x:2"})
    joined.wait_s(INTERVAL_S)
    assert counts(server) == [0, 2, 0]
    assert client.listed(Kind.RESOURCE) == ["x:2"]
    assert counts(server) == [0, 2, 0]
    later = full("later")
    joined.agent(later, name="tower")
    assert counts(later) == [0, 1, 0]


def test_a_server_is_not_asked_for_what_it_does_not_have() -> None:
    joined, server = Joined(), MemoryServer("files", {"a": None})
    joined.agent(server)
    for kind in Kind:
        joined.client().listed(kind)
    assert counts(server) == [0, 0, 0]


def test_a_server_that_cannot_say_what_it_has_is_asked() -> None:
    """What it does not know then is no fault."""
    joined, server = Joined(), with_resources("files", "x:1")
    server.answers["server/discover"] = None
    joined.agent(server)
    server.calls[0].error(jsonrpc.INTERNAL_ERROR, "no")
    joined.settle()
    client = joined.client()
    assert client.listed(Kind.RESOURCE) == ["x:1"]
    assert client.listed(Kind.PROMPT) == []
    assert "prompts" not in client.call("status").text


def test_a_slow_server_costs_its_own_list_alone() -> None:
    joined, slow, fine = Joined(), full("slow"), full("fine")
    slow.answers["prompts/list"] = None
    joined.agent(slow, fine)
    answer = joined.client().request("prompts/list")
    assert not answer.is_over
    assert joined.client().listed(Kind.RESOURCE) == ["x:1", "mcptunnel+slow:z6oldnes/x:1"]
    joined.wait_s(TIMEOUT_S)
    assert [prompt["name"] for prompt in answer.value["prompts"]] == ["fine__p"]
    assert "its prompts could not be listed: no answer" in joined.client().call("status").text


@pytest.mark.parametrize("kind", [Kind.PROMPT, Kind.RESOURCE, Kind.TEMPLATE])
def test_every_list_is_bounded(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BOUNDS, kind, replace(BOUNDS[kind], server_items=3, user_items=5))
    how = LISTED[kind]
    joined, servers = Joined(), [MemoryServer("a"), MemoryServer("b")]
    for server in servers:
        items = ({how.key: f"{server.status.name}:{n}"} for n in range(9))
        server.offer_list(how.method, how.member, *items)
    joined.agent(*servers)
    assert len(joined.client().listed(kind)) == 5
    assert "are left out" in joined.client().call("status").text


@pytest.mark.parametrize(("ttl_ms", "kept_s"), [(60_000, 60), (1, LEAST_KEPT_S), (0, LEAST_KEPT_S)])
def test_a_list_is_believed_as_long_as_its_server_says(ttl_ms: int, kept_s: float) -> None:
    """If it does not tell of changes; it is asked again when somebody wants the list, not before."""
    joined, server = Joined(), MemoryServer("files")
    server.offer_list("prompts/list", "prompts", {"name": "a"}, ttlMs=ttl_ms)
    server.about = {"capabilities": {"prompts": {}}}
    joined.agent(server)
    client = joined.client()
    client.listed(Kind.PROMPT)
    joined.wait_s(kept_s - 1)
    client.listed(Kind.PROMPT)
    assert counts(server)[0] == 1
    joined.wait_s(1)
    assert counts(server)[0] == 1
    client.listed(Kind.PROMPT)
    assert counts(server)[0] == 2


def test_a_change_that_a_server_tells_of_is_looked_at() -> None:
    joined, server = Joined(), full()
    joined.agent(server)
    client = joined.client()
    assert client.listed(Kind.PROMPT) == ["files__p"]
    server.answers["prompts/list"] = lambda _: {"prompts": [{"name": "q"}]}
    (device,) = joined.devices.everyone()
    joined.wait_s(INTERVAL_S)
    joined.hub.server_changed(device, device.servers["files"], Kind.PROMPT)
    joined.settle()
    assert client.listed(Kind.PROMPT) == ["files__q"]
    assert asked(server, "tools/list") == 1
