"""Lists of tools: nothing is lost or changed on the way but what must be."""

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from mcptunnel.mcp import catalogue, jsonrpc
from mcptunnel.mcp.catalogue import Item
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, JsonRpcError
from mcptunnel.mcp.kinds import MAX_NAME_CHARS, Kind

keywords = st.sampled_from(
    ["properties", "items", "anyOf", "$defs", "x-mcp-header", "default", "const", "type", "not"]
)
schemas = st.recursive(
    st.sampled_from(["x-mcp-header", 1, 1.5, True, None, "string"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keywords, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def tool(text: str) -> Item:
    (read,) = catalogue.parse_page(Kind.TOOL, Raw(f'{{"tools":[{text}]}}'.encode()), 1).items
    return read


def stripped(schema: object) -> Any:
    given = tool(json.dumps({"name": "t", "inputSchema": schema}))
    return json.loads(bytes(catalogue.exposed(given, "t")))["inputSchema"]


def test_a_page_gives_tools_cursor_and_count() -> None:
    page = catalogue.parse_page(
        Kind.TOOL, Raw(b'{"tools":[{"name":"a"},{"name":"b","x":1}],"nextCursor":"n"}'), 9
    )
    assert [t.name for t in page.items] == ["a", "b"]
    assert (page.next_cursor, page.dropped) == ("n", 0)


@pytest.mark.parametrize(
    ("cursor", "read"),
    [
        (b"", None),
        (b',"nextCursor":""', ""),
        (b',"nextCursor":null', None),
        (b',"nextCursor":5', None),
    ],
)
def test_the_empty_cursor_is_a_cursor(cursor: bytes, read: str | None) -> None:
    assert (
        catalogue.parse_page(Kind.TOOL, Raw(b'{"tools":[]' + cursor + b"}"), 9).next_cursor == read
    )


@pytest.mark.parametrize(
    "bad", [b"{}", b'{"name":""}', b'{"name":1}', b'{"name":null}', b"[]", b"1", b"null"]
)
def test_a_tool_without_a_usable_name_costs_only_itself(bad: bytes) -> None:
    page = catalogue.parse_page(
        Kind.TOOL, Raw(b'{"tools":[{"name":"a"},' + bad + b',{"name":"b"}]}'), 9
    )
    assert [t.name for t in page.items] == ["a", "b"]
    assert page.dropped == 1


def test_a_name_that_is_too_long_is_unusable() -> None:
    names = ["n" * MAX_NAME_CHARS, "n" * (MAX_NAME_CHARS + 1)]
    page = catalogue.parse_page(
        Kind.TOOL, jsonrpc.raw({"tools": [{"name": name} for name in names]}), 9
    )
    assert [t.name for t in page.items] == names[:1]
    assert page.dropped == 1


def test_only_so_many_tools_are_read() -> None:
    page = catalogue.parse_page(
        Kind.TOOL, Raw(b'{"tools":[{"name":"a"},{"name":"b"},{"name":"c"}]}'), 2
    )
    assert [t.name for t in page.items] == ["a", "b"]
    assert page.dropped == 1


def test_a_tool_does_not_keep_its_page() -> None:
    """Else one tool of a large page would hold all of it."""
    text = b'{"tools":[{"name":"a"}],"x":"' + bytes(b"y" * 100_000) + b'"}'
    before = sys.getrefcount(text)
    (tool,) = catalogue.parse_page(Kind.TOOL, Raw(text), 9).items
    assert sys.getrefcount(text) == before
    assert tool.size_bytes == len(b'{"name":"a"}')


@pytest.mark.parametrize("result", [b"[]", b"{}", b'{"tools":{}}', b'{"tools":null}', b"1", b""])
def test_what_is_no_list_of_tools_is_the_servers_error(result: bytes) -> None:
    with pytest.raises(JsonRpcError) as caught:
        catalogue.parse_page(Kind.TOOL, Raw(result), 9)
    assert caught.value.code == INTERNAL_ERROR


def test_only_the_name_is_replaced() -> None:
    text = '{"title":"T","name":"a","inputSchema":{"type" : "object","n":1.0e2},"x":"\\u00e9","_meta":{"k":1}}'
    assert bytes(catalogue.exposed(tool(text), "s__a")).decode() == text.replace('"a"', '"s__a"')


def test_the_annotation_is_taken_out_and_the_rest_stays_byte_for_byte() -> None:
    text = (
        '{"name":"a","inputSchema":{"type":"object","properties":{'
        '"region":{"type":"string","x-mcp-header":"Region","n":1.0e2},'
        '"deep":{"type":"object","properties":{"x":{"x-mcp-header":"X"}}},"other":{"n":1.0e2 }}}}'
    )
    expected = text.replace(',"x-mcp-header":"Region"', "").replace('"x-mcp-header":"X"', "")
    assert bytes(catalogue.exposed(tool(text), "a")).decode() == expected


def test_a_schema_too_long_to_be_taken_apart_allows_any_arguments() -> None:
    """Only if there is something to take out; one that has no annotation stays, however long it is."""
    annotated = {"properties": {"p": {"x-mcp-header": "P"}}, "title": ""}
    room = catalogue.MAX_ANNOTATED_BYTES - len(json.dumps(annotated))
    assert stripped({**annotated, "title": "x" * room})["title"] == "x" * room
    assert stripped({**annotated, "title": "x" * (room + 1)}) == {"type": "object"}
    plain = {"title": "x" * catalogue.MAX_ANNOTATED_BYTES}
    assert stripped(plain) == plain


def test_data_and_properties_of_that_name_are_no_annotations() -> None:
    schema = {
        "properties": {"x-mcp-header": {"type": "string", "default": {"x-mcp-header": 1}}},
        "const": {"x-mcp-header": "kept"},
        "description": "about x-mcp-header",
    }
    assert stripped(schema) == schema


@pytest.mark.parametrize("key", ["items", "not", "additionalProperties", "if"])
def test_annotations_are_found_behind_every_kind_of_keyword(key: str) -> None:
    note = {"x-mcp-header": "A", "type": "string"}
    bare = {"type": "string"}
    assert stripped({key: note}) == {key: bare}
    assert stripped({"anyOf": [note, True, note]}) == {"anyOf": [bare, True, bare]}
    assert stripped({"$defs": {"x-mcp-header": note}}) == {"$defs": {"x-mcp-header": bare}}


def reference(schema: object) -> object:
    """Strip a decoded schema, the plain way."""
    if not isinstance(schema, dict):
        return schema
    out: dict[str, object] = {}
    for key, value in schema.items():
        if key == "x-mcp-header":
            continue
        if key in {"items", "not"}:
            out[key] = reference(value)
        elif key in {"properties", "$defs", "anyOf"} and isinstance(value, dict):
            out[key] = {name: reference(inner) for name, inner in value.items()}
        elif key in {"properties", "$defs", "anyOf"} and isinstance(value, list):
            out[key] = [reference(inner) for inner in value]
        else:
            out[key] = value
    return out


@given(schemas)
def test_any_schema_is_stripped_as_the_plain_way_does(schema: object) -> None:
    assert stripped(schema) == reference(schema)


def test_a_schema_of_absurd_depth_is_passed_as_it_is() -> None:
    deep = '{"items":' * 500 + '{"x-mcp-header":"A"}' + "}" * 500
    assert (
        deep in bytes(catalogue.exposed(tool(f'{{"name":"a","inputSchema":{deep}}}'), "a")).decode()
    )


def test_the_result_has_what_the_modern_era_demands() -> None:
    given = catalogue.exposed(tool('{"name":"a"}'), "s__a")
    result = jsonrpc.decode(
        catalogue.list_result(Kind.TOOL, [given], 5000, Raw(b'{"name":"r","version":"1"}'))
    )
    assert result == {
        "tools": [{"name": "s__a"}],
        "resultType": "complete",
        "ttlMs": 5000,
        "cacheScope": "private",
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "r", "version": "1"}},
    }
    more = jsonrpc.decode(catalogue.list_result(Kind.TEMPLATE, [], 0, Raw(b"{}"), "next"))
    assert (more["resourceTemplates"], more["nextCursor"]) == ([], "next")


@pytest.mark.parametrize(
    ("kind", "page", "name"),
    [
        (Kind.PROMPT, '{"prompts":[{"name":"a","x":1}]}', "a"),
        (Kind.RESOURCE, '{"resources":[{"uri":"x:1","name":"n"}]}', "x:1"),
        (Kind.TEMPLATE, '{"resourceTemplates":[{"uriTemplate":"x:{n}"}]}', "x:{n}"),
    ],
)
def test_every_kind_has_what_identifies_it(kind: Kind, page: str, name: str) -> None:
    (item,) = catalogue.parse_page(kind, Raw(page.encode()), 9).items
    assert item.name == name
    assert catalogue.renamed(kind, item, name) is item.definition
    other = jsonrpc.decode(catalogue.renamed(kind, item, "other"))
    assert "other" in other.values()
    assert name not in other.values()
    assert len(other) == len(jsonrpc.decode(item.definition))


@pytest.mark.parametrize(
    ("ttl", "read"),
    [("5000", 5000), ("-1", 0), ("null", 0), ('"x"', 0), ("1.5", 0), ("9" * 15, 86_400_000)],
)
def test_how_long_a_page_holds(ttl: str, read: int) -> None:
    page = catalogue.parse_page(Kind.TOOL, Raw(f'{{"tools":[],"ttlMs":{ttl}}}'.encode()), 9)
    assert page.ttl_ms == read
