"""A legacy client's greeting."""

import json
from typing import Any

import pytest
from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half.initialize import MAX_KEPT_BYTES, answer, open_session
from mcptunnel.mcp.client_half.session import McpSession
from mcptunnel.mcp.jsonrpc import JsonRpcError, Request
from mcptunnel.model import Principal

US = Raw(b'{"name":"mcptunnel","version":"1"}')
TOOLS = Raw(b'{"tools":{"listChanged":true}}')
ALICE = Principal("local", "alice")


def greeting(**params: Any) -> Request:
    return Request("i", "initialize", {name: jsonrpc.raw(value) for name, value in params.items()})


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
    version, result = answer(
        greeting(protocolVersion=requested),
        server_info=US,
        capabilities=TOOLS,
        instructions="Be kind.",
    )
    assert version == agreed
    assert json.loads(bytes(result)) == {
        "protocolVersion": agreed,
        "capabilities": {"tools": {"listChanged": True}},
        "serverInfo": {"name": "mcptunnel", "version": "1"},
        "instructions": "Be kind.",
    }


def test_no_instructions_are_left_out() -> None:
    _, result = answer(
        greeting(protocolVersion="2025-11-25"),
        server_info=US,
        capabilities=TOOLS,
        instructions=None,
    )
    assert b"instructions" not in bytes(result)


@pytest.mark.parametrize(
    "params", [{}, {"protocolVersion": 1}, {"protocolVersion": None}, {"protocolVersion": ["x"]}]
)
def test_a_greeting_without_a_version_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(JsonRpcError) as caught:
        answer(greeting(**params), server_info=US, capabilities=TOOLS, instructions=None)
    assert (caught.value.code, caught.value.request_id) == (jsonrpc.INVALID_PARAMS, "i")


def opened(**params: Any) -> McpSession:
    return open_session(
        greeting(**params), session_id="s", principal=ALICE, client="c", version="2025-11-25"
    )


def test_a_session_keeps_what_the_client_said() -> None:
    session = opened(clientInfo={"name": "cursor"}, capabilities={"roots": {}})
    assert (session.id, session.principal, session.client) == ("s", ALICE, "c")
    assert session.version == "2025-11-25"
    assert bytes(session.client_info or b"") == b'{"name":"cursor"}'
    assert bytes(session.capabilities) == b'{"roots":{}}'


@pytest.mark.parametrize("params", [{}, {"clientInfo": 1, "capabilities": None}])
def test_a_client_that_says_nothing_useful_still_gets_a_session(params: dict[str, Any]) -> None:
    session = opened(**params)
    assert (session.client_info, bytes(session.capabilities)) == (None, b"{}")


@pytest.mark.parametrize("size", [MAX_KEPT_BYTES, MAX_KEPT_BYTES + 1])
def test_a_session_keeps_no_more_than_little(size: int) -> None:
    """A client cannot fill memory with what it says about itself."""
    long = {"name": "x" * (size - len('{"name":""}'))}
    session = opened(clientInfo=long, capabilities=long)
    kept = size <= MAX_KEPT_BYTES
    assert (session.client_info is not None) == kept
    assert (bytes(session.capabilities) != b"{}") == kept
