"""Modern requests for legacy servers, and their answers for modern clients."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import JsonRpcError, Members
from mcptunnel.mcp.server_half.translate import (
    CACHEABLE,
    meta_of,
    own_keys_removed,
    to_modern_error,
    to_modern_result,
)

SERVER = Raw(b'{"name":"files"}')
SERVER_KEY = "io.modelcontextprotocol/serverInfo"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def loaded(value: Raw) -> Any:
    return json.loads(bytes(value))


def test_the_protocols_own_keys_are_removed_and_nothing_else() -> None:
    about = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/anything": 1,
        "progressToken": "t",
        "traceparent": "00-1",
        "vendor.example/x": [1],
    }
    kept = own_keys_removed(meta_of({"_meta": jsonrpc.raw(about)}))
    assert {key: loaded(value) for key, value in kept.items()} == {
        "progressToken": "t",
        "traceparent": "00-1",
        "vendor.example/x": [1],
    }


@pytest.mark.parametrize("params", [{}, {"_meta": Raw(b"{}")}, {"_meta": Raw(b"null")}])
def test_no_meta_is_an_empty_one(params: Members) -> None:
    assert meta_of(params) == {}


def test_a_meta_that_is_no_object_is_refused() -> None:
    with pytest.raises(JsonRpcError) as caught:
        meta_of({"_meta": Raw(b"5")})
    assert caught.value.code == jsonrpc.INVALID_PARAMS


@pytest.mark.parametrize("method", sorted(CACHEABLE))
def test_cacheable_results_get_what_is_demanded_of_them(method: str) -> None:
    assert loaded(to_modern_result(method, Raw(b"{}"), SERVER)) == {
        "resultType": "complete",
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": {SERVER_KEY: {"name": "files"}},
    }


def test_other_results_are_not_given_a_life_time() -> None:
    assert loaded(to_modern_result("tools/call", Raw(b"{}"), None)) == {"resultType": "complete"}


@pytest.mark.parametrize("method", ["tools/call", "tools/list"])
def test_what_a_server_said_itself_stays(method: str) -> None:
    said = Raw(
        b'{ "resultType":"vendor","ttlMs":5, "cacheScope":"public",'
        b'"_meta":{"io.modelcontextprotocol/serverInfo":1}}'
    )
    assert to_modern_result(method, said, SERVER) is said


def test_other_keys_of_a_results_meta_stay() -> None:
    result = to_modern_result("tools/call", Raw(b'{"_meta":{"v/x":1.50},"content":[]}'), SERVER)
    assert b'"v/x":1.50' in bytes(result)
    assert loaded(result)["_meta"] == {"v/x": 1.5, SERVER_KEY: {"name": "files"}}


def test_a_results_meta_that_is_null_counts_as_absent() -> None:
    result = to_modern_result("tools/call", Raw(b'{"_meta":null}'), SERVER)
    assert loaded(result)["_meta"] == {SERVER_KEY: {"name": "files"}}


@pytest.mark.parametrize(
    "text",
    [
        b'{"content":[1.0,  1e2],"big":12345678901234567890123}',
        b'{ \t"content" : [ ] }',
        b"{ }",
        b'{"\\u0063ontent":"\\u00e9"}',
    ],
)
def test_members_stay_byte_for_byte(text: bytes) -> None:
    """Numbers keep their digits, strings their escapes: only something in front is new."""
    result = bytes(to_modern_result("tools/call", Raw(text), SERVER))
    assert result.endswith(text[1:])
    json.loads(result)


@given(st.dictionaries(st.text(), json_values), st.sampled_from(["tools/call", "tools/list"]))
def test_any_object_keeps_its_members(known: dict[str, Any], method: str) -> None:
    made = loaded(to_modern_result(method, jsonrpc.raw(known), None))
    assert {name: made[name] for name in known} == known


@pytest.mark.parametrize("text", [b"null", b"[]", b"5", b'"x"'])
def test_a_result_that_is_no_object_is_an_error(text: bytes) -> None:
    with pytest.raises(JsonRpcError) as caught:
        to_modern_result("tools/call", Raw(text), SERVER)
    assert caught.value.code == jsonrpc.INTERNAL_ERROR


def test_an_unknown_resource_has_its_modern_code() -> None:
    error = to_modern_error(
        "resources/read", Raw(b'{"code":-32002,"message":"m","data":{"uri":"u"}}')
    )
    assert loaded(error) == {"code": -32602, "message": "m", "data": {"uri": "u"}}


@pytest.mark.parametrize(
    "text",
    [b'{"code":-32603,"message":"-32002"}', b'{"code":-320021}', b'"-32002"', b'{"code":1}'],
)
def test_other_errors_stay(text: bytes) -> None:
    error = Raw(text)
    assert to_modern_error("tools/call", error) is error


@pytest.mark.parametrize("code", [-32020, -32021, -32022, -32042, -32099])
def test_a_code_that_has_a_meaning_now_is_not_the_servers(code: int) -> None:
    """A legacy server could mean anything by it (2026-07-28, basic/index, "Error Codes")."""
    error = Raw(b'{"code":%d,"message":"m","data":{"x":1}}' % code)
    told = {"code": -32603, "message": "m", "data": {"x": 1}}
    assert loaded(to_modern_error("tools/call", error)) == told
    for outside in (-32019, -32100):
        error = Raw(b'{"code":%d,"message":"m"}' % outside)
        assert to_modern_error("tools/call", error) is error


def test_a_method_that_the_server_does_not_know_is_not_found() -> None:
    """Servers of the Python SDK 1.x complain of its parameters."""
    error = Raw(b'{"code":-32602,"message":"Invalid request parameters","data":""}')
    assert loaded(to_modern_error("unknown/method", error)) == {
        "code": -32601,
        "message": "Method not found: unknown/method",
        "data": "",
    }
    assert to_modern_error("tools/call", error) is error
