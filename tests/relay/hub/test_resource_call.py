"""Resources: read from the server whose they are, listed or not."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from mcptunnel.config.relay import HubConfig
from mcptunnel.mcp.jsonrpc import INVALID_PARAMS
from mcptunnel.mcp.kinds import Kind
from mcptunnel.relay.hub.catalogue import INTERVAL_S
from mcptunnel.testing.joined import Answer, Joined, MemoryClient
from mcptunnel.testing.local_server import MemoryServer
from tests.relay.hub.servers import with_resources


def read(client: MemoryClient, uri: str) -> Answer:
    return client.request("resources/read", {"uri": uri})


def text(answer: Answer) -> str:
    (content,) = answer.value["contents"]
    said: str = content["text"]
    return said


def says(text: str) -> Callable[[Any], dict[str, Any]]:
    """Return what answers every read with a text."""
    return lambda params: {"contents": [{"uri": params["uri"], "text": text}]}


def test_uris_pass_as_they_are() -> None:
    joined = Joined()
    joined.agent(with_resources("b", "x:2", "x:1"), with_resources("a", "file:///z"))
    client = joined.client()
    assert client.listed(Kind.RESOURCE) == ["file:///z", "x:1", "x:2"]
    assert text(read(client, "x:2")) == "b x:2"


def test_of_two_servers_with_one_uri_both_can_be_read() -> None:
    """And so by each the client's own words come back in `contents`."""
    joined = Joined()
    joined.agent(with_resources("a", "x:1"), with_resources("b", "x:1"))
    client = joined.client()
    first, second = client.listed(Kind.RESOURCE)
    assert first == "x:1"
    assert second.startswith("mcptunnel+b:")
    for uri, said in ((first, "a x:1"), (second, "b x:1")):
        answer = read(client, uri)
        assert text(answer) == said
        assert answer.value["contents"][0]["uri"] == uri


def test_templates_as_well_and_what_is_made_of_them() -> None:
    joined = Joined()
    template = "file:///{+path}"
    joined.agent(with_resources("a", templates=(template,)), name="laptop")
    joined.agent(with_resources("b", templates=(template,)), name="tower")
    client = joined.client()
    first, second = client.listed(Kind.TEMPLATE)
    assert first == template
    assert text(read(client, "file:///q/r")) == "a file:///q/r"
    made = second.replace("{+path}", "q/r")
    assert text(read(client, made)) == "b file:///q/r"


def test_the_template_that_fits_best_counts() -> None:
    joined = Joined()
    joined.agent(
        with_resources("a", templates=("x:{+any}",)), with_resources("b", templates=("x:b/{n}",))
    )
    client = joined.client()
    assert text(read(client, "x:b/1")) == "b x:b/1"
    assert text(read(client, "x:c/1")) == "a x:c/1"


def test_the_only_server_with_resources_is_asked_for_what_nobody_lists() -> None:
    joined = Joined()
    joined.agent(with_resources("a"), MemoryServer("plain", {"t": None}))
    assert text(read(joined.client(), "ui://page")) == "a ui://page"


@pytest.mark.parametrize(
    "params", [{}, {"uri": 1}, {"uri": "nobody:1"}, {"uri": "mcptunnel+a:x/y"}]
)
def test_an_unknown_resource(params: dict[str, Any]) -> None:
    joined = Joined()
    joined.agent(with_resources("a", "x:1"), with_resources("b", "x:2"))
    failure = joined.client().request("resources/read", params).failure
    assert failure is not None
    assert failure.code == INVALID_PARAMS


def test_uris_of_another_user_mean_nothing() -> None:
    joined = Joined()
    joined.agent(with_resources("a", "x:1"), user="alice")
    assert text(read(joined.client("alice"), "x:1")) == "a x:1"
    assert read(joined.client("bob"), "x:1").failure is not None


def _public(said: dict[str, Any], _: Any) -> dict[str, Any]:
    return {**said, "cacheScope": "public"}


def test_what_is_read_is_for_its_user_alone() -> None:
    """Two users have one URL and one URI: a cache in between must not give one the other's."""
    joined = Joined()
    for user in ("alice", "bob"):
        server = with_resources("notes", "file:///todo")
        content = {"uri": "file:///todo", "text": user}
        said = {"resultType": "complete", "contents": [content], "ttlMs": 60_000}
        server.answers["resources/read"] = partial(_public, said)
        joined.agent(server, user=user)
    for user in ("alice", "bob"):
        answer = read(joined.client(user), "file:///todo")
        assert text(answer) == user
        assert (answer.value["cacheScope"], answer.value["ttlMs"]) == ("private", 60_000)


def test_links_in_results_lead_to_their_server() -> None:
    """Also where two servers mean two things by one URI."""
    joined = Joined()
    servers = [with_resources("a", "x:listed"), with_resources("b", "y:listed")]
    for server in servers:
        server.offer({"t": None})
    joined.agent(*servers)
    client = joined.client()
    uris = []
    for name, server in zip("ab", servers, strict=True):
        answer = client.call(f"{name}__t")
        link = {"type": "resource_link", "uri": "z:1", "name": "n"}
        embedded = {"type": "resource", "resource": {"uri": "x:listed", "text": "t"}}
        server.calls[0].answer({"content": [link, embedded], "resultType": "complete"})
        joined.settle()
        found, inside = answer.value["content"]
        uris.append((found["uri"], inside["resource"]["uri"]))
    assert uris[0] == ("z:1", "x:listed")
    assert text(read(client, uris[0][0])) == "a z:1"
    assert text(read(client, uris[1][0])) == "b z:1"
    assert text(read(client, uris[1][1])) == "b x:listed"


def test_a_page_of_an_app_is_mapped_in_its_tool_and_found() -> None:
    """The same server on two devices: each tool has the page of its own device."""
    joined = Joined()
    for device in ("laptop", "tower"):
        server = with_resources("charts")
        listed = {"name": "draw", "_meta": {"ui": {"resourceUri": "ui://charts/main"}, "v": 1}}
        server.answers["resources/read"] = says(device)
        server.holds_lists = True
        joined.agent(server, name=device)
        server.calls[0].answer({"resultType": "complete", "tools": [listed]})
        joined.settle()
    client = joined.client()
    tools = client.request("tools/list").value["tools"][2:]
    pages = {tool["name"]: tool["_meta"]["ui"]["resourceUri"] for tool in tools}
    assert pages["laptop__charts__draw"] == "ui://charts/main"
    assert pages["tower__charts__draw"].startswith("ui://mcptunnel-charts-")
    for name, page in pages.items():
        assert text(read(client, page)) == name.partition("__")[0]


def test_contested_uris_outlive_the_relay() -> None:
    joined = Joined()
    joined.agent(with_resources("a", "x:1"), name="laptop", installation_id="a" * 32)
    joined.agent(with_resources("a", "x:1"), name="tower", installation_id="b" * 32)
    client = joined.client()
    first, second = client.listed(Kind.RESOURCE)
    later = Joined()
    rows = joined.names[client.access.principal, "uri"].values()
    later.hub.tables.restore(client.access.principal, "uri", rows)
    later.agent(with_resources("a", "x:1"), name="tower", installation_id="b" * 32)
    assert later.client().listed(Kind.RESOURCE) == [second]
    failure = read(later.client(), first).failure
    assert failure is not None
    assert "no longer known" in failure.message


def test_an_offline_device_is_listed_for_a_while_and_said_to_be_away() -> None:
    joined = Joined(hub=HubConfig(offline_grace_s=60))
    agent, client = joined.agent(with_resources("a", "x:1")), joined.client()
    assert client.listed(Kind.RESOURCE) == ["x:1"]
    joined.lose(agent)
    assert client.listed(Kind.RESOURCE) == ["x:1"]
    failure = read(client, "x:1").failure
    assert failure is not None
    assert failure.data == {"outcome": "not_delivered"}
    joined.wait_s(61)
    assert client.listed(Kind.RESOURCE) == []
    failure = read(client, "x:1").failure
    assert failure is not None
    assert "offline" in failure.message


def test_a_resource_that_is_gone_is_said_to_be_so_by_its_server() -> None:
    joined, server = Joined(), with_resources("a", "x:1")
    joined.agent(server)
    client = joined.client()
    assert client.listed(Kind.RESOURCE) == ["x:1"]
    server.offer_list("resources/list", "resources")
    server.answers["resources/read"] = None
    joined.wait_s(INTERVAL_S)
    assert client.listed(Kind.RESOURCE) == []
    answer = read(client, "x:1")
    server.calls[-1].error(-32002, "gone")
    joined.settle()
    assert answer.failure is not None
    assert (answer.failure.code, answer.failure.message) == (INVALID_PARAMS, "gone")
