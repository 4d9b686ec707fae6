"""Arguments that headers repeat: which, how they are written, and how they are checked."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import HEADER_MISMATCH, INVALID_PARAMS
from mcptunnel.mcp.param_headers import (
    MAX_DEPTH,
    MAX_SAFE_INTEGER,
    Annotation,
    BadAnnotation,
    annotations,
    header_fields,
    mismatch,
)

REGION = {"type": "string", "x-mcp-header": "Region"}
LIMIT = {"type": "integer", "x-mcp-header": "Limit"}
DRY = {"type": "boolean", "x-mcp-header": "Dry-Run"}
SCHEMA = {
    "type": "object",
    "properties": {
        "region": REGION,
        "dry": DRY,
        "options": {"type": "object", "properties": {"limit": LIMIT}},
        "query": {"type": "string"},
    },
}
ALL = (
    Annotation("mcp-param-region", ("region",), "string"),
    Annotation("mcp-param-dry-run", ("dry",), "boolean"),
    Annotation("mcp-param-limit", ("options", "limit"), "integer"),
)


def read(schema: object) -> tuple[Annotation, ...]:
    return annotations(jsonrpc.raw(schema))


def properties(**members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": members}


def fields(arguments: object) -> dict[str, str]:
    return dict(header_fields(ALL, jsonrpc.raw(arguments)))


def wrong(arguments: object, *headers: tuple[str, str]) -> str | None:
    error = mismatch(ALL, headers, jsonrpc.raw(arguments))
    if error is None:
        return None
    assert error.code == HEADER_MISMATCH
    return error.message


# Annotations.


def test_annotations_are_found_through_properties() -> None:
    assert read(SCHEMA) == ALL
    assert annotations(None) == ()
    assert read({"type": "object"}) == ()


@pytest.mark.parametrize("name", ["", "a b", "a:b", "é", "a\n", 5, None, ["x"]])
def test_a_name_must_be_a_token(name: object) -> None:
    with pytest.raises(BadAnnotation):
        read(properties(a={"type": "string", "x-mcp-header": name}))


@pytest.mark.parametrize("kind", ["number", "object", "array", "null", None, ["string", "null"]])
def test_only_three_types_may_be_annotated(kind: object) -> None:
    with pytest.raises(BadAnnotation):
        read(properties(a={"type": kind, "x-mcp-header": "A"}))


def test_names_are_unique_whatever_their_case() -> None:
    with pytest.raises(BadAnnotation):
        read(properties(a=REGION, b={"type": "string", "x-mcp-header": "REGION"}))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "x-mcp-header": "A"},
        properties(a={"type": "array", "items": REGION}),
        properties(a={"type": "object", "additionalProperties": REGION}),
        {**properties(), "allOf": [properties(a=REGION)]},
        {**properties(), "$defs": {"r": REGION}},
        {**properties(), "patternProperties": {".*": REGION}},
        {**properties(), "if": properties(a=REGION)},
        properties(a={"type": "object", "oneOf": [{"items": {"properties": {"b": REGION}}}]}),
    ],
)
def test_nothing_but_properties_leads_to_an_annotation(schema: dict[str, Any]) -> None:
    with pytest.raises(BadAnnotation):
        read(schema)


@pytest.mark.parametrize("key", ["default", "const", "examples", "enum"])
def test_data_is_no_schema(key: str) -> None:
    data = {"x-mcp-header": "A", "type": "string"}
    assert read(properties(a={"type": "object", key: [data] if key != "const" else data})) == ()


def test_a_property_may_be_called_so() -> None:
    assert read(properties(**{"x-mcp-header": {"type": "string"}})) == ()


def test_nesting_is_bounded() -> None:
    deep: dict[str, Any] = REGION
    for _ in range(MAX_DEPTH):
        deep = properties(a=deep)
    with pytest.raises(BadAnnotation):
        read(deep)
    deep = REGION
    for _ in range(MAX_DEPTH):
        deep = {"items": deep}
    with pytest.raises(BadAnnotation):
        read(deep)


@pytest.mark.parametrize(
    "text",
    [
        b'{"x-mcp-header"',
        b'["x-mcp-header"]',
        b'"x-mcp-header"',
        b"[" * 3000 + b'"x-mcp-header"' + b"]" * 3000,
    ],
)
def test_a_schema_that_is_none(text: bytes) -> None:
    """Is an error at worst."""
    with suppress(BadAnnotation):
        assert annotations(Raw(text)) == ()


# Writing.


def test_values_are_written() -> None:
    assert fields({"region": "eu", "dry": False, "options": {"limit": -5}, "query": "x"}) == {
        "mcp-param-region": "eu",
        "mcp-param-dry-run": "false",
        "mcp-param-limit": "-5",
    }


@pytest.mark.parametrize(
    "arguments", [{}, {"region": None, "dry": None, "options": None}, None, []]
)
def test_what_is_not_there_has_no_header(arguments: object) -> None:
    assert fields(arguments) == {}
    assert header_fields(ALL, None) == ()
    assert header_fields((), Raw(b"nonsense")) == ()


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("é", "=?base64?w6k=?="),
        (" a", "=?base64?IGE=?="),
        ("a ", "=?base64?YSA=?="),
        ("a\nb", "=?base64?YQpi?="),
        ("=?base64?x?=", "=?base64?PT9iYXNlNjQ/eD89?="),
        ("", ""),
        ("a b", "a b"),
    ],
)
def test_what_a_header_cannot_hold_is_encoded(value: str, written: str) -> None:
    assert fields({"region": value}) == {"mcp-param-region": written}
    assert wrong({"region": value}, ("mcp-param-region", written)) is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"region": 5},
        {"region": True},
        {"dry": "true"},
        {"dry": 1},
        {"options": {"limit": "5"}},
        {"options": {"limit": 5.5}},
        {"options": {"limit": True}},
        {"options": {"limit": MAX_SAFE_INTEGER + 1}},
        {"region": ["x"]},
    ],
)
def test_a_value_of_another_type_cannot_be_repeated(arguments: dict[str, Any]) -> None:
    assert fields(arguments) == {}
    error = mismatch(ALL, (), jsonrpc.raw(arguments))
    assert error is not None
    assert error.code == INVALID_PARAMS


# Checking.


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "region": st.none() | st.text(st.characters(codec="utf-8")),
            "dry": st.none() | st.booleans(),
            "options": st.fixed_dictionaries(
                {}, optional={"limit": st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)}
            ),
        },
    )
)
def test_what_we_write_we_accept(arguments: dict[str, Any]) -> None:
    written = header_fields(ALL, jsonrpc.raw(arguments))
    assert wrong(arguments, *written) is None


def test_a_missing_header() -> None:
    assert wrong({"region": "eu"}) == "The header mcp-param-region is missing"


def test_a_header_without_an_argument() -> None:
    for arguments in ({}, {"region": None}):
        assert "the argument is not" in str(wrong(arguments, ("mcp-param-region", "eu")))


@pytest.mark.parametrize("said", ["EU", "eu2", "", "=?base64?ZXUy?=", "=?BASE64?ZXU=?="])
def test_a_header_that_says_something_else(said: str) -> None:
    assert wrong({"region": "eu"}, ("mcp-param-region", said))


def test_malformed_base64() -> None:
    assert "base64" in str(wrong({"region": "eu"}, ("mcp-param-region", "=?base64?ZX?=")))


def test_a_header_twice() -> None:
    """Even if both agree: another reader may join them."""
    twice = ("mcp-param-region", "eu")
    assert "more than once" in str(wrong({"region": "eu"}, twice, twice))


def test_unknown_headers_are_passed_over() -> None:
    assert wrong({"region": "eu"}, ("mcp-param-region", "eu"), ("mcp-param-new", "x")) is None
    assert mismatch((), (("mcp-param-region", "x"),), None) is None


@pytest.mark.parametrize(
    ("said", "agrees"),
    [
        ("42", True),
        ("42.0", True),
        ("042", True),
        ("=?base64?NDI=?=", True),
        ("42.5", False),
        ("4e1", False),
        (" 42", False),
        ("", False),
    ],
)
def test_integers_are_compared_as_numbers(said: str, agrees: bool) -> None:
    for value in (42, 42.0):
        found = wrong({"options": {"limit": value}}, ("mcp-param-limit", said))
        assert (found is None) == agrees


@pytest.mark.parametrize(("said", "agrees"), [("true", True), ("True", False), ("1", False)])
def test_booleans_are_words(said: str, agrees: bool) -> None:
    assert (wrong({"dry": True}, ("mcp-param-dry-run", said)) is None) == agrees
