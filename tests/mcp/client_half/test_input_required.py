"""Requests for input, read from a result."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half.input_required import MAX_QUESTIONS, legacy_params, read
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, JsonRpcError

ROOTS = {"method": "roots/list"}


@given(st.text())
def test_a_state_is_kept_byte_for_byte(state: str) -> None:
    encoded = jsonrpc.raw(state.encode("utf-8", "replace").decode())
    result = jsonrpc.raw({"requestState": encoded})
    assert read("tools/call", result).state == encoded


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"inputRequests": {}},
        {"inputRequests": None},
        {"inputRequests": [ROOTS]},
        {"inputRequests": {"a": 5}},
        {"inputRequests": {"a": {}}},
        {"inputRequests": {"a": {"method": 5}}},
        {"inputRequests": {"a": {"method": "tools/call"}}},
        {"inputRequests": {"a": {"method": "roots/list", "params": []}}},
        {"inputRequests": {"a": ROOTS}, "requestState": 5},
        {"inputRequests": {str(n): ROOTS for n in range(MAX_QUESTIONS + 1)}},
    ],
)
def test_what_breaks_the_rules_is_the_servers_fault(result: dict[str, Any]) -> None:
    with pytest.raises(JsonRpcError, match="cannot be used") as caught:
        read("tools/call", jsonrpc.raw(result))
    assert caught.value.code == INTERNAL_ERROR


@pytest.mark.parametrize("method", ["tools/list", "server/discover", "completion/complete"])
def test_only_three_methods_may_ask(method: str) -> None:
    with pytest.raises(JsonRpcError):
        read(method, jsonrpc.raw({"inputRequests": {"a": ROOTS}}))


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25"])
def test_params_are_not_changed_in_place(version: str) -> None:
    params = {"mode": "form", "message": "m"}
    asked = {"inputRequests": {"a": {"method": "elicitation/create", "params": params}}}
    (question,) = read("prompts/get", jsonrpc.raw(asked)).questions
    made = legacy_params(question, version, "e")
    assert set(made) == ({"message"} if version == "2025-06-18" else {"mode", "message"})
    assert set(question.params) == {"mode", "message"}
