"""What servers are told of a client: what can be carried to it, and nothing else."""

import json
from typing import Any

import pytest
from msgspec import Raw

from mcptunnel.mcp.client_capabilities import ALL, may_be_asked, restricted


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({}, {}),
        ({"elicitation": {}}, {"elicitation": {}}),
        (
            {"elicitation": {"form": {}, "url": {}, "x": {}}, "roots": {"listChanged": True}},
            {"elicitation": {"form": {}, "url": {}}, "roots": {}},
        ),
        ({"sampling": {"tools": {}, "context": {}}}, {"sampling": {"tools": {}}}),
        ({"extensions": {"io.modelcontextprotocol/tasks": {}}, "experimental": {}}, {}),
        (
            {"extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["a/b"]}, "x/y": {}}},
            {"extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["a/b"]}}},
        ),
        ({"elicitation": 1}, {}),
        ({"extensions": 1}, {}),
        ({"sampling": {"x": "y" * 2000}}, {"sampling": {}}),
    ],
)
def test_what_is_told(declared: Any, told: Any) -> None:
    assert json.loads(bytes(restricted(Raw(json.dumps(declared).encode())))) == told


def test_all_is_all_that_is_told() -> None:
    assert restricted(ALL) == ALL


def test_a_client_that_declares_nothing_costs_nothing() -> None:
    nothing = Raw(b"{}")
    assert restricted(nothing) is nothing


@pytest.mark.parametrize(
    ("method", "may"),
    [
        ("elicitation/create", True),
        ("roots/list", True),
        ("sampling/createMessage", False),
        ("tools/call", False),
    ],
)
def test_what_may_be_asked(method: str, may: bool) -> None:
    assert may_be_asked(Raw(b'{"elicitation":{},"roots":{}}'), method) is may
