"""A legacy client's requests for modern servers, and their answers for that client."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from mcptunnel.mcp import jsonrpc, meta
from mcptunnel.mcp.client_half.session import McpSession
from mcptunnel.mcp.client_half.translate import to_legacy_error, to_legacy_result, to_modern
from mcptunnel.mcp.jsonrpc import JsonRpcError, Request
from mcptunnel.mcp.server_half import translate as server_half
from mcptunnel.mcp.server_half.calls import OpenCalls
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Principal

SESSION = McpSession(
    "s",
    Principal("local", "alice"),
    "c",
    "2025-06-18",
    Raw(b'{"sampling":{}}'),
    Raw(b'{"name":"cursor"}'),
)
OURS = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "cursor"},
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def loaded(value: Raw) -> Any:
    return json.loads(bytes(value))


def call(method: str = "tools/call", **params: Any) -> Request:
    return Request(1, method, {name: jsonrpc.raw(value) for name, value in params.items()})


@pytest.mark.parametrize("params", [{}, {"_meta": None}, {"_meta": {}}])
def test_a_request_is_given_what_makes_it_modern(params: dict[str, Any]) -> None:
    """Capabilities that cannot be carried are not claimed, whatever the session has."""
    modern = to_modern(call(name="a", **params), SESSION)
    assert (modern.id, modern.method) == (1, "tools/call")
    assert loaded(modern.params["_meta"]) == OURS
    assert loaded(modern.params["name"]) == "a"
    assert meta.read(modern.params).protocol_version == "2026-07-28"


def test_a_client_cannot_speak_for_the_protocol() -> None:
    """Its own keys stay; those of the protocol are ours."""
    about = {
        "progressToken": 7,
        "v/x": 1,
        "io.modelcontextprotocol/clientCapabilities": {"sampling": {}},
        "io.modelcontextprotocol/logLevel": "debug",
    }
    modern = to_modern(call(_meta=about), SESSION)
    assert loaded(modern.params["_meta"]) == {**OURS, "progressToken": 7, "v/x": 1}


def test_legacy_tasks_are_not_passed_on() -> None:
    """A member of that name of another method is not ours to take."""
    assert "task" not in to_modern(call(task={"ttl": 1}), SESSION).params
    assert "task" in to_modern(call("vendor/method", task=1), SESSION).params


def test_the_clients_request_is_not_changed() -> None:
    request = call(task={}, _meta={"a": 1})
    to_modern(request, SESSION)
    assert set(request.params) == {"task", "_meta"}
    assert loaded(request.params["_meta"]) == {"a": 1}


def test_a_meta_that_is_no_object_is_refused() -> None:
    with pytest.raises(JsonRpcError) as caught:
        to_modern(call(_meta=[]), SESSION)
    assert caught.value.code == jsonrpc.INVALID_PARAMS


def test_a_result_loses_what_only_modern_ones_have() -> None:
    result = Raw(
        b'{"resultType":"complete","ttlMs":5,"cacheScope":"private","_meta":{"v/x":1},'
        b'"tools":[{"name":"a","x": 1.50}],"nextCursor":""}'
    )
    assert (
        bytes(to_legacy_result("tools/list", result))
        == b'{"_meta":{"v/x":1},"tools":[{"name":"a","x": 1.50}],"nextCursor":""}'
    )


@given(
    st.dictionaries(st.text(), json_values).filter(
        lambda known: not {"resultType", "ttlMs", "cacheScope", "_meta"} & set(known)
    ),
    st.sampled_from(["prompts/list", "resources/read", "vendor/method"]),
)
def test_there_and_back_a_result_is_what_it_was(known: dict[str, Any], method: str) -> None:
    """Legacy server, modern tunnel, legacy client."""
    result = jsonrpc.raw(known)
    modern = server_half.to_modern_result(method, result, None)
    assert loaded(to_legacy_result(method, modern)) == known


@given(st.dictionaries(st.text().filter(lambda key: key != meta.PROGRESS_TOKEN), json_values))
def test_there_and_back_a_request_is_what_it_was(about: dict[str, Any]) -> None:
    """Legacy client, modern tunnel, legacy server: but for the protocol's own keys and the token."""
    line = OpenCalls().open(1, to_modern(call(name="a", _meta=about), SESSION), Era.LEGACY)
    back = jsonrpc.parse(line)
    assert isinstance(back, Request)
    kept = {key: value for key, value in about.items() if not key.startswith(meta.CORE_PREFIX)}
    assert loaded(back.params.get("_meta", Raw(b"{}"))) == kept
    assert loaded(back.params["name"]) == "a"


@pytest.mark.parametrize("kind", ["input_required", "task", 5, None])
def test_an_answer_that_no_legacy_client_understands_is_an_error(kind: object) -> None:
    with pytest.raises(JsonRpcError) as caught:
        to_legacy_result("tools/call", jsonrpc.raw({"resultType": kind}))
    assert caught.value.code == jsonrpc.INTERNAL_ERROR


@pytest.mark.parametrize("text", [b"null", b"[]", b"5"])
def test_a_result_that_is_no_object_is_an_error(text: bytes) -> None:
    with pytest.raises(JsonRpcError) as caught:
        to_legacy_result("tools/call", Raw(text))
    assert caught.value.code == jsonrpc.INTERNAL_ERROR


@pytest.mark.parametrize("schema", [{"type": "array"}, {}, True, {"type": ["object"]}, None])
def test_output_schemas_that_break_a_strict_client_are_left_out(schema: object) -> None:
    """One such tool would cost the client the whole list."""
    good = {"name": "b", "outputSchema": {"type": "object"}}
    result = jsonrpc.raw({"tools": [{"name": "a", "outputSchema": schema}, good]})
    assert loaded(to_legacy_result("tools/list", result)) == {"tools": [{"name": "a"}, good]}


def test_a_list_of_tools_that_is_none_is_left_to_the_client() -> None:
    assert loaded(to_legacy_result("tools/list", Raw(b'{"tools":5}'))) == {"tools": 5}
    assert loaded(to_legacy_result("tools/list", Raw(b"{}"))) == {}


@pytest.mark.parametrize(
    ("value", "kept"), [({"a": 1}, True), ({}, True), ([1], False), ("x", False), (None, False)]
)
def test_structured_content_that_is_no_object_is_left_out(value: object, kept: bool) -> None:
    result = jsonrpc.raw({"content": [], "structuredContent": value})
    made = loaded(to_legacy_result("tools/call", result))
    assert made == ({"content": [], "structuredContent": value} if kept else {"content": []})


@pytest.mark.parametrize("code", [-32020, -32021, -32022])
def test_errors_that_blame_our_own_request_are_internal_ones(code: int) -> None:
    error = jsonrpc.raw({"code": code, "message": "m", "data": {"a": 1}})
    assert loaded(to_legacy_error(error)) == {"code": -32603, "message": "m", "data": {"a": 1}}


@pytest.mark.parametrize("text", [b'{"code":-32602}', b'"x"', b'{"message":"-32020"}'])
def test_other_errors_stay(text: bytes) -> None:
    error = Raw(text)
    assert to_legacy_error(error) is error
