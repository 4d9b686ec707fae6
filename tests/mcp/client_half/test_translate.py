"""A legacy client's requests for modern servers, and their answers for that client."""

import json
from dataclasses import replace
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
from mcptunnel.mcp.service import Asker
from mcptunnel.mcp.versions import Era

SESSION = McpSession(
    "s",
    Asker("local|alice", "c"),
    "2025-06-18",
    Raw(b'{"sampling":{}}'),
    Raw(b'{"name":"cursor"}'),
)
OURS = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {"sampling": {}},
    "io.modelcontextprotocol/clientInfo": {"name": "cursor"},
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def legacy(method: str, result: Raw, version: str = "2025-11-25") -> Raw:
    """Return what a legacy client gets."""
    made = to_legacy_result(method, result, version)
    assert made is not None
    return made


def loaded(value: Raw) -> Any:
    return json.loads(bytes(value))


def call(method: str = "tools/call", **params: Any) -> Request:
    return Request(1, method, {name: jsonrpc.raw(value) for name, value in params.items()})


@pytest.mark.parametrize("params", [{}, {"_meta": None}, {"_meta": {}}])
def test_a_request_is_given_what_makes_it_modern(params: dict[str, Any]) -> None:
    """Capabilities are the session's."""
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
        "io.modelcontextprotocol/clientCapabilities": {"roots": {}},
        "io.modelcontextprotocol/logLevel": "debug",
    }
    modern = to_modern(call(_meta=about), SESSION)
    assert loaded(modern.params["_meta"]) == {**OURS, "progressToken": 7, "v/x": 1}


def test_a_level_is_the_sessions() -> None:
    modern = to_modern(call(), replace(SESSION, log_level="info"))
    assert meta.read(modern.params).log_level == "info"


@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read"])
def test_retries_are_not_a_legacy_clients(method: str) -> None:
    modern = to_modern(call(method, inputResponses={}, requestState="x", name="t"), SESSION)
    assert set(modern.params) == {"name", "_meta"}


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
        bytes(legacy("tools/list", result))
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
    assert loaded(legacy(method, modern)) == known


@given(st.dictionaries(st.text().filter(lambda key: key != meta.PROGRESS_TOKEN), json_values))
def test_there_and_back_a_request_is_what_it_was(about: dict[str, Any]) -> None:
    """Legacy client, modern tunnel, legacy server: but for the protocol's own keys and the token."""
    line = OpenCalls().open(1, to_modern(call(name="a", _meta=about), SESSION), Era.LEGACY)
    back = jsonrpc.parse(line)
    assert isinstance(back, Request)
    kept = {key: value for key, value in about.items() if not key.startswith(meta.CORE_PREFIX)}
    assert loaded(back.params.get("_meta", Raw(b"{}"))) == kept
    assert loaded(back.params["name"]) == "a"


@pytest.mark.parametrize("kind", ["task", 5, None])
def test_an_answer_that_no_legacy_client_understands_is_an_error(kind: object) -> None:
    with pytest.raises(JsonRpcError) as caught:
        legacy("tools/call", jsonrpc.raw({"resultType": kind}))
    assert caught.value.code == jsonrpc.INTERNAL_ERROR


def test_a_request_for_input_is_no_result() -> None:
    assert (
        to_legacy_result("tools/call", Raw(b'{"resultType":"input_required"}'), "2025-11-25")
        is None
    )


@pytest.mark.parametrize("text", [b"null", b"[]", b"5"])
def test_a_result_that_is_no_object_is_an_error(text: bytes) -> None:
    with pytest.raises(JsonRpcError) as caught:
        legacy("tools/call", Raw(text))
    assert caught.value.code == jsonrpc.INTERNAL_ERROR


@pytest.mark.parametrize("schema", [{"type": "array"}, {}, True, {"type": ["object"]}, None])
def test_output_schemas_that_break_a_strict_client_are_left_out(schema: object) -> None:
    """One such tool would cost the client the whole list."""
    good = {"name": "b", "outputSchema": {"type": "object"}}
    result = jsonrpc.raw({"tools": [{"name": "a", "outputSchema": schema}, good]})
    assert loaded(legacy("tools/list", result)) == {"tools": [{"name": "a"}, good]}


def test_a_list_of_tools_that_is_none_is_left_to_the_client() -> None:
    assert loaded(legacy("tools/list", Raw(b'{"tools":5}'))) == {"tools": 5}
    assert loaded(legacy("tools/list", Raw(b"{}"))) == {}


@pytest.mark.parametrize(
    ("value", "kept"), [({"a": 1}, True), ({}, True), ([1], False), ("x", False), (None, False)]
)
def test_structured_content_that_is_no_object_is_left_out(value: object, kept: bool) -> None:
    result = jsonrpc.raw({"content": [], "structuredContent": value})
    made = loaded(legacy("tools/call", result))
    assert made == ({"content": [], "structuredContent": value} if kept else {"content": []})


@pytest.mark.parametrize("code", [-32020, -32021, -32022])
def test_errors_that_blame_our_own_request_are_internal_ones(code: int) -> None:
    error = jsonrpc.raw({"code": code, "message": "m", "data": {"a": 1}})
    assert loaded(to_legacy_error("tools/call", error)) == {
        "code": -32603,
        "message": "m",
        "data": {"a": 1},
    }


@pytest.mark.parametrize("text", [b'{"code":-32602}', b'"x"', b'{"message":"-32020"}'])
def test_other_errors_stay(text: bytes) -> None:
    error = Raw(text)
    assert to_legacy_error("tools/call", error) is error


def test_an_unknown_resource_has_a_code_of_its_own() -> None:
    error = Raw(b'{"code":-32602,"message":"m"}')
    assert loaded(to_legacy_error("resources/read", error)) == {"code": -32002, "message": "m"}
    assert to_legacy_error("tools/call", error) is error


LINK = {"type": "resource_link", "uri": "file:///x", "name": "x"}


@pytest.mark.parametrize(("version", "kept"), [("2025-03-26", False), ("2025-06-18", True)])
def test_links_are_written_out_before_there_were_any(version: str, kept: bool) -> None:
    """Other parts stay, and what only looks like a link, too."""
    other = {"type": "text", "text": "a resource_link"}
    made = loaded(legacy("tools/call", jsonrpc.raw({"content": [other, LINK]}), version))
    written = {"type": "text", "text": "x: file:///x"}
    assert made == {"content": [other, LINK if kept else written]}


def test_content_that_is_none_is_left_to_the_client() -> None:
    result = jsonrpc.raw({"content": "resource_link"})
    assert loaded(legacy("tools/call", result, "2025-03-26")) == {"content": "resource_link"}
