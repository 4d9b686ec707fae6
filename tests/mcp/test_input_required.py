"""Results that ask for input: shown by whom, never for more than was declared, and bound to a request."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from mcptunnel.mcp import input_required, jsonrpc
from mcptunnel.mcp.input_required import MAX_REQUESTS, asking, digest, pack, state_of, unpack
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, JsonRpcError, Members

ALL = Raw(b'{"elicitation":{},"sampling":{},"roots":{}}')
values = st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=3)


def result(requests: Any) -> Members:
    return {"inputRequests": jsonrpc.raw(requests)}


def test_a_question_to_a_person_says_which_server_asks() -> None:
    asked = {"method": "elicitation/create", "params": {"message": "Name?", "requestedSchema": {}}}
    roots = {"method": "roots/list", "x": 1}
    given = result({"k 1": asked, "k2": roots})
    asking(given, "files", ALL)
    once = bytes(given["inputRequests"])
    assert json.loads(once) == {
        "k 1": {
            "method": "elicitation/create",
            "params": {"message": "[files] Name?", "requestedSchema": {}},
        },
        "k2": roots,
    }
    asking(given, "files", ALL)
    assert bytes(given["inputRequests"]) == once


def test_no_more_is_asked_at_once_than_the_bound() -> None:
    """One thing more is the server's fault, and none of them is looked at."""
    roots = {"method": "roots/list"}
    asking(result({str(number): roots for number in range(MAX_REQUESTS)}), "files", ALL)
    with pytest.raises(JsonRpcError, match="'files' asks for more than 64 things at once"):
        asking(result({str(number): 1 for number in range(MAX_REQUESTS + 1)}), "files", ALL)


def test_a_state_alone_asks_nothing() -> None:
    given: Members = {"requestState": jsonrpc.raw("s")}
    asking(given, "files", Raw(b"{}"))
    assert given == {"requestState": jsonrpc.raw("s")}


@pytest.mark.parametrize("given", [{}, result({})])
def test_a_server_must_ask_something_or_give_a_state(given: Members) -> None:
    with pytest.raises(JsonRpcError, match="'files' asks for input, but for nothing"):
        asking(given, "files", ALL)


@pytest.mark.parametrize(
    "requests",
    [
        {"a": {"method": "elicitation/create"}},
        {"a": {"method": "tools/call"}},
        {"a": {}},
        {"a": 1},
        [],
        1,
    ],
)
def test_what_a_client_did_not_declare_is_not_asked(requests: Any) -> None:
    with pytest.raises(JsonRpcError) as caught:
        asking(result(requests), "files", Raw(b'{"roots":{}}'))
    assert caught.value.code == INTERNAL_ERROR
    assert "'files'" in caught.value.message


@given(st.text(), st.text(), st.none() | st.text())
def test_a_place_and_a_state_come_back(device: str, server: str, state: str | None) -> None:
    assert unpack(pack(device, server, state)) == (device, server, state)


@given(values, values)
def test_a_digest_is_of_the_request_alone(params: dict[str, Any], other: dict[str, Any]) -> None:
    """Whatever order its members have, and whatever a retry adds; any change is another digest."""
    one = {name: jsonrpc.raw(value) for name, value in params.items()}
    two = {name: jsonrpc.raw(value) for name, value in other.items()}
    retry = {
        "inputResponses": Raw(b"{}"),
        **dict(reversed(one.items())),
        "requestState": Raw(b'"x"'),
        "_meta": Raw(b"{}"),
    }
    if not one.keys() & {"_meta", "inputResponses", "requestState"}:
        assert digest("m", one) == digest("m", retry)
    assert digest("m", one) != digest("n", one)
    assert (digest("m", one) == digest("m", two)) == (params == other)


def test_the_state_of_a_retry() -> None:
    assert state_of({}) is None
    assert state_of({"requestState": Raw(b'""')}) == ""
    with pytest.raises(JsonRpcError) as caught:
        state_of({"requestState": Raw(b"1")})
    assert caught.value.code == INVALID_PARAMS


def test_only_three_methods_may_ask() -> None:
    assert {"tools/call", "prompts/get", "resources/read"} == input_required.METHODS
