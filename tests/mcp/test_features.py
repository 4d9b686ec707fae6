"""What servers can do, each and together."""

import json
from typing import Any

import pytest
from msgspec import Raw

from mcptunnel.mcp import features
from mcptunnel.mcp.features import MAX_ALL_INSTRUCTIONS_CHARS, MAX_INSTRUCTIONS_CHARS, Features
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, JsonRpcError
from mcptunnel.mcp.kinds import Kind


def read(capabilities: Any, **more: Any) -> Features:
    return features.read(Raw(json.dumps({"capabilities": capabilities, **more}).encode()))


def test_everything_that_a_server_can_tell() -> None:
    found = read(
        {
            "tools": {"listChanged": True},
            "resources": {"subscribe": True, "listChanged": False},
            "completions": {},
            "logging": {},
            "experimental": {"x": {}},
            "tasks": {},
        },
        instructions="Be careful.",
    )
    assert found == Features(
        frozenset({Kind.TOOL, Kind.RESOURCE, Kind.TEMPLATE}),
        frozenset({Kind.TOOL}),
        subscribe=True,
        completions=True,
        logging=True,
        instructions="Be careful.",
    )


def test_nothing_at_all() -> None:
    nothing = Features(frozenset(), completions=False, logging=False)
    assert read({}) == nothing
    assert read({"prompts": None}) == nothing
    assert read({"prompts": 1}).kinds == {Kind.PROMPT}


@pytest.mark.parametrize("result", [b"{}", b"[]", b"1", b'{"capabilities":[]}', b"{"])
def test_what_is_no_answer_is_the_servers_fault(result: bytes) -> None:
    with pytest.raises(JsonRpcError) as caught:
        features.read(Raw(result))
    assert caught.value.code == INTERNAL_ERROR


def test_together_they_can_what_one_of_them_can() -> None:
    every = [read({"tools": {}}), read({"prompts": {}}), read({"resources": {"subscribe": True}})]
    assert features.capabilities(every) == {
        "tools": {"listChanged": True},
        "prompts": {"listChanged": True},
        "resources": {"listChanged": True, "subscribe": True},
    }
    assert features.capabilities([]) == {"tools": {"listChanged": True}}
    assert features.capabilities([Features()]).keys() == {
        "tools", "prompts", "resources", "completions", "logging",
    }  # fmt: skip


def test_no_extension_is_offered() -> None:
    able = read({"extensions": {"a/b": {}}, "experimental": {}, "tasks": {"list": {}}})
    assert features.capabilities([able]) == {"tools": {"listChanged": True}}


def test_instructions_stand_under_headings() -> None:
    told = features.instructions("Ours.", [("files", "Theirs.\n"), ("mute", " "), ("db", "More.")])
    assert told == "Ours.\n\n## files\n\nTheirs.\n\n## db\n\nMore."


def test_instructions_are_bounded() -> None:
    one = read({}, instructions="x" * 10**6).instructions
    assert len(one) == MAX_INSTRUCTIONS_CHARS
    assert one.endswith("…")
    told = features.instructions("", [("a", one)] * 100)
    assert len(told) < MAX_ALL_INSTRUCTIONS_CHARS + 100
