"""Prompts: listed and got under names that never change, beside the tools'."""

from typing import Any

import pytest

from mcptunnel.config.relay import HubConfig
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS
from mcptunnel.mcp.kinds import Kind
from mcptunnel.relay.hub.catalogue import INTERVAL_S
from mcptunnel.testing.joined import Answer, Joined, MemoryClient
from tests.relay.hub.servers import with_prompts
from tests.relay.hub.test_resource_call import says


def get(client: MemoryClient, name: str) -> Answer:
    return client.request("prompts/get", {"name": name, "arguments": {"a": "b"}})


def text(answer: Answer) -> str:
    said: str = answer.value["messages"][0]["content"]["text"]
    return said


def test_prompts_are_listed_and_got_by_prefixed_names() -> None:
    joined = Joined()
    joined.agent(with_prompts("b", "z", "a"), with_prompts("a", "m"))
    client = joined.client()
    assert client.listed(Kind.PROMPT) == ["a__m", "b__a", "b__z"]
    assert text(get(client, "b__z")) == "b z"


def test_the_server_sees_its_own_name_and_the_arguments() -> None:
    joined, server = Joined(), with_prompts()
    joined.agent(server)
    get(joined.client(), "files__review")
    request = server.requests[-1]
    assert {k: bytes(v) for k, v in request.params.items() if k != "_meta"} == {
        "name": b'"review"',
        "arguments": b'{"a":"b"}',
    }


def test_a_tool_and_a_prompt_may_have_one_name() -> None:
    joined = Joined()
    joined.agent(with_prompts("files", "review", review=lambda _: "the tool"))
    client = joined.client()
    assert (client.tools(), client.listed(Kind.PROMPT)) == (["files__review"], ["files__review"])
    assert client.call("files__review").text == "the tool"
    assert text(get(client, "files__review")) == "files review"


def test_a_prompt_may_be_called_like_a_tool_of_ours() -> None:
    joined = Joined()
    joined.agent(with_prompts("files", "status", prefix=""))
    assert joined.client().listed(Kind.PROMPT) == ["status"]


def test_it_can_be_got_by_who_never_asked_for_the_list() -> None:
    joined = Joined()
    joined.agent(with_prompts())
    assert text(get(joined.client(), "files__review")) == "files review"


@pytest.mark.parametrize("params", [{}, {"name": 1}, {"name": "nothing"}, {"name": "review"}])
def test_an_unknown_prompt(params: dict[str, Any]) -> None:
    joined = Joined()
    joined.agent(with_prompts())
    failure = joined.client().request("prompts/get", params).failure
    assert failure is not None
    assert failure.code == INVALID_PARAMS


def test_names_outlive_second_devices_new_names_and_the_relay() -> None:
    joined = Joined()
    laptop = joined.agent(with_prompts(), name="laptop", installation_id="a" * 32)
    client = joined.client()
    assert client.listed(Kind.PROMPT) == ["files__review"]
    tower = joined.agent(with_prompts(), name="tower")
    assert client.listed(Kind.PROMPT) == ["laptop__files__review", "tower__files__review"]
    joined.devices.everyone()[0].name = "renamed"
    joined.hub.changed(client.access.principal)
    joined.settle()
    assert client.listed(Kind.PROMPT) == ["renamed__files__review", "tower__files__review"]
    joined.lose(tower)
    for name in ("files__review", "laptop__files__review", "renamed__files__review"):
        assert text(get(client, name)) == "files review"

    kept = list(joined.names[client.access.principal, "prompt"].values())
    assert laptop.lost is None
    later = Joined()
    later.hub.tables.restore(client.access.principal, "prompt", kept)
    later.agent(with_prompts("files", "review"), name="other", installation_id="c" * 32)
    failure = get(later.client(), "files__review").failure
    assert failure is not None
    assert "no longer known" in failure.message
    later.agent(with_prompts(), name="laptop", installation_id="a" * 32)
    assert text(get(later.client(), "files__review")) == "files review"


def test_a_device_that_is_away_is_listed_for_a_while_and_said_to_be_away() -> None:
    joined = Joined(hub=HubConfig(offline_grace_s=60))
    agent, client = joined.agent(with_prompts()), joined.client()
    assert client.listed(Kind.PROMPT) == ["files__review"]
    joined.lose(agent)
    joined.wait_s(59)
    assert client.listed(Kind.PROMPT) == ["files__review"]
    failure = get(client, "files__review").failure
    assert failure is not None
    assert (failure.code, failure.data) == (INTERNAL_ERROR, {"outcome": "not_delivered"})
    assert "'laptop' is offline" in failure.message
    joined.wait_s(2)
    assert client.listed(Kind.PROMPT) == []
    joined.connect(agent)
    assert client.listed(Kind.PROMPT) == ["files__review"]


def test_a_prompt_that_is_asked_for_while_its_server_starts() -> None:
    joined, server = Joined(), with_prompts()
    server.become(ServerState.STARTING)
    joined.agent(server)
    answer = get(joined.client(), "files__review")
    assert not answer.is_over
    server.become(ServerState.READY)
    joined.wait_s(INTERVAL_S)
    assert text(answer) == "files review"


def test_a_link_in_a_prompt_leads_to_its_server() -> None:
    joined, server, other = Joined(), with_prompts("a", "p"), with_prompts("b", "p")
    link = {"type": "resource_link", "uri": "x:1", "name": "n"}
    for one in (server, other):
        one.answers["prompts/get"] = lambda _: {"messages": [{"role": "user", "content": link}]}
        one.answers["resources/read"] = says(one.status.name)
    joined.agent(server, other)
    client = joined.client()
    for name in ("a", "b"):
        uri = get(client, f"{name}__p").value["messages"][0]["content"]["uri"]
        (content,) = client.request("resources/read", {"uri": uri}).value["contents"]
        assert content == {"uri": uri, "text": name}
