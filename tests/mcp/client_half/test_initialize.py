"""A legacy client's greeting."""

import json
from typing import Any

import pytest
from msgspec import Raw

from mcptunnel.mcp import jsonrpc, meta
from mcptunnel.mcp.client_half.initialize import MAX_KEPT_BYTES, answer, discover, open_session
from mcptunnel.mcp.client_half.session import McpSession
from mcptunnel.mcp.jsonrpc import JsonRpcError, Request
from mcptunnel.mcp.service import Asker

ALICE = Asker("local|alice", "c")
DISCOVERED = {
    "resultType": "complete",
    "supportedVersions": ["2026-07-28"],
    "capabilities": {"tools": {"listChanged": True}},
    "instructions": "Be kind.",
    "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "mcptunnel", "version": "1"}},
}


def greeting(**params: Any) -> Request:
    return Request("i", "initialize", {name: jsonrpc.raw(value) for name, value in params.items()})


def opened(**params: Any) -> McpSession:
    request = greeting(**{"protocolVersion": "2025-11-25", **params})
    return open_session(request, session_id="s", asker=ALICE)


def answered(discovered: object, version: str = "2025-11-25") -> Any:
    return json.loads(bytes(answer(opened(protocolVersion=version), jsonrpc.raw(discovered))))


@pytest.mark.parametrize(
    ("requested", "agreed"),
    [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1.0", "2025-11-25"),
        ("", "2025-11-25"),
    ],
)
def test_a_known_version_is_kept_and_any_other_becomes_our_latest(
    requested: str, agreed: str
) -> None:
    assert answered(DISCOVERED, requested) == {
        "protocolVersion": agreed,
        "capabilities": {"tools": {"listChanged": True}},
        "serverInfo": {"name": "mcptunnel", "version": "1"},
        "instructions": "Be kind.",
    }


@pytest.mark.parametrize("instructions", [{}, {"instructions": None}, {"instructions": 5}])
def test_no_instructions_are_left_out(instructions: dict[str, Any]) -> None:
    result = answered({"capabilities": {}, **instructions})
    assert "instructions" not in result
    assert result["serverInfo"] == {"name": "unnamed", "version": "0"}


@pytest.mark.parametrize("discovered", [None, [], "x", {"_meta": 1}])
def test_a_malformed_description_is_the_servers_fault(discovered: object) -> None:
    with pytest.raises(JsonRpcError) as caught:
        answered(discovered)
    assert caught.value.code == jsonrpc.INTERNAL_ERROR


@pytest.mark.parametrize(
    "params", [{}, {"protocolVersion": 1}, {"protocolVersion": None}, {"protocolVersion": ["x"]}]
)
def test_a_greeting_without_a_version_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(JsonRpcError) as caught:
        open_session(greeting(**params), session_id="s", asker=ALICE)
    assert (caught.value.code, caught.value.request_id) == (jsonrpc.INVALID_PARAMS, "i")


def test_the_question_to_the_service() -> None:
    session = opened(clientInfo={"name": "cursor"}, capabilities={"roots": {}})
    request = discover(greeting(), session)
    about = meta.read(request.params)
    assert (request.id, request.method) == ("i", "server/discover")
    assert about.protocol_version == "2026-07-28"
    assert bytes(about.client_capabilities or b"") == b'{"roots":{}}'


def test_a_session_keeps_what_the_client_said() -> None:
    session = opened(clientInfo={"name": "cursor"}, capabilities={"roots": {"listChanged": True}})
    assert (session.id, session.asker, session.version) == ("s", ALICE, "2025-11-25")
    assert bytes(session.client_info or b"") == b'{"name":"cursor"}'
    assert bytes(session.capabilities) == b'{"roots":{}}'
    assert (session.log_level, session.subscriptions) == (None, ())


@pytest.mark.parametrize("params", [{}, {"clientInfo": 1, "capabilities": None}])
def test_what_is_no_object_is_not_kept(params: dict[str, Any]) -> None:
    session = opened(**params)
    assert session.client_info is None
    assert session.capabilities == Raw(b"{}")


@pytest.mark.parametrize("size", [MAX_KEPT_BYTES, MAX_KEPT_BYTES + 1])
def test_a_session_keeps_no_more_than_little(size: int) -> None:
    """A client cannot fill memory with what it says about itself."""
    long = {"roots": {}, "x": "x" * (size - len('{"roots":{},"x":""}'))}
    session = opened(clientInfo=long, capabilities=long)
    kept = size <= MAX_KEPT_BYTES
    assert (session.client_info is not None) == kept
    assert (bytes(session.capabilities) != b"{}") == kept
