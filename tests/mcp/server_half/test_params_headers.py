"""Arguments that a server wants to see in the head of a call."""

from typing import Any

import pytest
from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.server_half.params_headers import (
    InvalidMarks,
    marks_of,
    params_headers,
    without_invalid_marks,
)


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def marked(name: object = "Region", kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"type": kind, "x-mcp-header": name, **more}


def test_marks_are_found_where_arguments_are() -> None:
    inner = schema(zone=marked("Zone"), plain={"type": "string"})
    found = marks_of(schema(region=marked(), place=inner, count=marked("N", "integer")))
    assert found == (("region", ("region",)), ("zone", ("place", "zone")), ("n", ("count",)))
    assert marks_of(schema(plain={"type": "string"})) == ()


@pytest.mark.parametrize("value", [None, 5, [], "x", {"properties": 5}])
def test_what_is_no_schema_has_no_marks(value: object) -> None:
    assert marks_of(value) == ()


@pytest.mark.parametrize(
    "broken",
    [
        schema(a=marked("")),
        schema(a=marked("a b")),
        schema(a=marked("a:b")),
        schema(a=marked(5)),
        schema(a=marked("x", "number")),
        schema(a=marked("x", "object")),
        schema(a={"x-mcp-header": "x"}),
        schema(a=marked("Same"), b=marked("same")),
        schema(a={"type": "array", "items": marked()}),
        schema(a={"anyOf": [marked()]}),
        {"allOf": [schema(a=marked())]},
        {"$defs": {"a": marked()}},
        marked(),
    ],
)
def test_marks_that_break_the_rules_are_told(broken: dict[str, Any]) -> None:
    with pytest.raises(InvalidMarks):
        marks_of(broken)


def test_an_argument_may_be_called_like_the_mark_and_examples_are_no_schemas() -> None:
    named = {"x-mcp-header": {"type": "string"}}
    assert marks_of({"properties": named}) == ()
    assert marks_of(schema(a={"type": "object", "default": {"x-mcp-header": 1}})) == ()


def test_a_schema_without_end_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"items": deep}
    with pytest.raises(InvalidMarks):
        marks_of(deep)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("eu", "eu"),
        ("", ""),
        (" é", "=?base64?IMOp?="),
        (7, "7"),
        (-(2**53) + 1, "-9007199254740991"),
        (True, "true"),
        (False, "false"),
        (None, None),
        (2**53, None),
        (1.5, None),
        ([1], None),
    ],
)
def test_a_value_is_said_as_headers_can(value: object, said: str | None) -> None:
    """What the schema forbids is left out: the server will say so."""
    marks = marks_of(schema(a=marked()))
    fields = params_headers(marks, jsonrpc.raw({"a": value}))
    assert fields == (() if said is None else (("mcp-param-region", said),))


def test_absent_arguments_have_no_headers() -> None:
    marks = (("zone", ("place", "zone")),)
    assert params_headers(marks, None) == ()
    assert params_headers((), jsonrpc.raw({"place": 1})) == ()
    for arguments in (b"{}", b'{"place":5}', b'{"place":null}', b'{"place":{}}', b"[]"):
        assert params_headers(marks, Raw(arguments)) == ()
    assert params_headers(marks, jsonrpc.raw({"place": {"zone": "z"}})) == (
        ("mcp-param-zone", "z"),
    )


def test_a_list_loses_tools_with_invalid_marks_and_tells_the_others() -> None:
    tools = [
        {"name": "good", "inputSchema": schema(a=marked())},
        {"name": "bad", "inputSchema": schema(a=marked("a b"))},
        {"name": "plain", "inputSchema": schema()},
        {"name": "bare"},
    ]
    encoded = jsonrpc.raw({"tools": tools, "nextCursor": "x", "ttlMs": 5})
    result, marks, dropped = without_invalid_marks(encoded)
    listed = jsonrpc.decode(result)
    assert [tool["name"] for tool in listed["tools"]] == ["good", "plain", "bare"]
    assert (listed["nextCursor"], listed["ttlMs"]) == ("x", 5)
    assert (marks, dropped) == ({"good": (("region", ("a",)),)}, ["bad"])


@pytest.mark.parametrize(
    "value",
    [
        {"tools": [{"name": "plain", "inputSchema": schema()}]},
        {"tools": [{"name": "good", "inputSchema": schema(a=marked())}]},
        {"tools": ["x-mcp-header"]},
        {"tools": "x-mcp-header"},
    ],
)
def test_other_lists_stay_byte_for_byte(value: object) -> None:
    encoded = jsonrpc.raw(value)
    assert without_invalid_marks(encoded)[0] is encoded
