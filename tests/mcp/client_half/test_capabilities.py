"""Capabilities between the eras."""

import json
from typing import Any

import pytest
from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half.capabilities import to_legacy_server, to_modern_client


def modern(declared: object, version: str = "2025-11-25") -> Any:
    return json.loads(bytes(to_modern_client(jsonrpc.raw(declared), version)))


@pytest.mark.parametrize(
    ("version", "declared", "carried"),
    [
        ("2025-11-25", {}, {}),
        ("2025-11-25", {"elicitation": {}}, {"elicitation": {"form": {}}}),
        ("2025-11-25", {"elicitation": {"form": {}}}, {"elicitation": {"form": {}}}),
        ("2025-11-25", {"elicitation": {"url": {"x": 1}}}, {"elicitation": {"url": {}}}),
        (
            "2025-11-25",
            {"elicitation": {"form": {}, "url": {}, "x": {}}},
            {"elicitation": {"form": {}, "url": {}}},
        ),
        ("2025-06-18", {"elicitation": {"url": {}}}, {"elicitation": {"form": {}}}),
        ("2025-03-26", {"elicitation": {}}, {}),
        ("2025-11-25", {"sampling": {}}, {"sampling": {}}),
        ("2025-11-25", {"sampling": {"tools": {}, "y": 1}}, {"sampling": {"tools": {}}}),
        ("2025-06-18", {"sampling": {"tools": {}}}, {"sampling": {}}),
        ("2025-03-26", {"roots": {"listChanged": True}}, {"roots": {}}),
        ("2025-11-25", {"tasks": {}, "experimental": {}, "extensions": {}}, {}),
        (
            "2025-06-18",
            {"extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["a/b"]}, "x/y": {}}},
            {"extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["a/b"]}}},
        ),
    ],
)
def test_what_a_client_declared(
    version: str, declared: dict[str, Any], carried: dict[str, Any]
) -> None:
    """Only what can be carried to it; no mode named means forms."""
    assert modern(declared, version) == carried


@pytest.mark.parametrize("declared", [None, [], "x", {"elicitation": 5, "sampling": None}])
def test_nonsense_does_no_harm(declared: object) -> None:
    assert set(modern(declared)) <= {"elicitation", "sampling"}
    assert to_modern_client(None, "2025-11-25") == Raw(b"{}")


def test_what_a_server_said() -> None:
    said = {
        "tools": {"listChanged": True, "new": True},
        "resources": {"subscribe": True, "listChanged": False},
        "prompts": {},
        "logging": {"x": 1},
        "completions": {},
        "extensions": {"io.modelcontextprotocol/tasks": {}},
        "experimental": {},
    }
    assert json.loads(bytes(to_legacy_server(jsonrpc.raw(said)))) == {
        "completions": {},
        "logging": {},
        "prompts": {},
        "resources": {"subscribe": True},
        "tools": {"listChanged": True},
    }
    assert bytes(to_legacy_server(None)) == b"{}"
    assert bytes(to_legacy_server(Raw(b"5"))) == b"{}"
