"""The list of the demo server's tools."""

import pytest

from mcptunnel.testing.demo_tools import TOOLS, ToolError, check_arguments


def test_tools_are_in_alphabetical_order() -> None:
    """A list in a fixed order is what clients cache best."""
    assert list(TOOLS) == sorted(TOOLS)


def test_every_field_of_every_schema_is_checked() -> None:
    """No schema says more than `check_arguments` understands."""
    understood = {"type", "minimum", "maximum"}
    for entry in TOOLS.values():
        for rule in entry.listed["inputSchema"]["properties"].values():
            assert set(rule) <= understood


def test_unknown_arguments_are_let_through() -> None:
    """JSON Schema allows them unless it says otherwise."""
    assert check_arguments({"properties": {}}, {"more": True}) == {"more": True}


def test_a_wrong_argument_is_named() -> None:
    """The sentence is for a model that corrects itself."""
    schema = TOOLS["sleep"].listed["inputSchema"]
    with pytest.raises(ToolError, match=r"^seconds must be of type number\.$"):
        check_arguments(schema, {"seconds": "1"})
