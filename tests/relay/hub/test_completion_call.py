"""Completions: asked of the server whose prompt or template it is."""

from typing import Any

import pytest

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS
from mcptunnel.mcp.kinds import Kind
from mcptunnel.testing.joined import Joined
from mcptunnel.testing.local_server import MemoryServer
from tests.relay.hub.servers import with_prompts, with_resources


def completing(server: MemoryServer) -> MemoryServer:
    name = server.status.name
    server.answers["completion/complete"] = lambda params: {
        "resultType": "complete",
        "completion": {"values": [name, params["ref"].get("name") or params["ref"]["uri"]]},
    }
    return server


def test_for_prompts_by_their_own_name() -> None:
    joined = Joined()
    joined.agent(completing(with_prompts("a", "p")), completing(with_prompts("b", "p")))
    ref = {"type": "ref/prompt", "name": "b__p", "title": "kept"}
    params = {"ref": ref, "argument": {"name": "x", "value": "y"}, "context": {}}
    result = joined.client().request("completion/complete", params).value
    assert result["completion"]["values"] == ["b", "p"]


def test_for_templates_by_their_own_uri() -> None:
    joined = Joined()
    servers = [with_resources(name, templates=("x:{n}",)) for name in "ab"]
    joined.agent(*map(completing, servers))
    client = joined.client()
    for name, uri in zip("ab", client.listed(Kind.TEMPLATE), strict=True):
        ref = {"type": "ref/resource", "uri": uri}
        result = client.request("completion/complete", {"ref": ref}).value
        assert result["completion"]["values"] == [name, "x:{n}"]


@pytest.mark.parametrize(
    "ref",
    [
        None,
        1,
        {},
        {"type": "ref/prompt"},
        {"type": "ref/prompt", "name": "none"},
        {"type": "ref/resource", "name": "a__p"},
        {"type": "ref/tool", "name": "a__p"},
    ],
)
def test_what_nobody_has_is_an_error(ref: Any) -> None:
    joined = Joined()
    joined.agent(completing(with_prompts("a", "p")))
    failure = joined.client().request("completion/complete", {"ref": ref}).failure
    assert failure is not None
    assert failure.code == INVALID_PARAMS


def test_a_completion_cannot_ask_for_input() -> None:
    joined, server = Joined(), with_prompts("a", "p")
    server.answers["completion/complete"] = lambda _: {"resultType": "input_required"}
    joined.agent(server)
    params = {"ref": {"type": "ref/prompt", "name": "a__p"}}
    failure = joined.client().request("completion/complete", params).failure
    assert failure is not None
    assert failure.code == INTERNAL_ERROR
    assert jsonrpc.decode(server.requests[-1].params["ref"])["name"] == "p"
