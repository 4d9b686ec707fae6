"""States of parked calls: for whom they open, and for what."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import JsonRpcError
from mcptunnel.mcp.server_half.request_state import Parked, RequestStates, bare, digest
from mcptunnel.mcp.service import Asker
from tests.mcp.server_half.talk import new_states

ASKER = Asker("local|ken", "key-1")
PARKED = Parked("name", 7, 1)
DIGEST = digest("tools/call", {"name": Raw(b'"read"')})


def test_a_state_opens_for_its_own_asker_and_request() -> None:
    states = new_states()
    sealed = states.seal(PARKED, ASKER, DIGEST, 100.0)
    assert states.open(sealed, ASKER, DIGEST, 699.0) == PARKED
    assert "name" not in sealed


@pytest.mark.parametrize(
    ("asker", "about", "now_s"),
    [
        (Asker("local|eve", "key-1"), DIGEST, 0.0),
        (Asker("local|ken", "key-2"), DIGEST, 0.0),
        (Asker("local|kenkey-1", ""), DIGEST, 0.0),
        (ASKER, digest("prompts/get", {"name": Raw(b'"read"')}), 0.0),
        (ASKER, digest("tools/call", {"name": Raw(b'"write"')}), 0.0),
        (ASKER, DIGEST, 3600.0),
    ],
)
def test_it_opens_for_nobody_and_nothing_else_and_not_for_ever(
    asker: Asker, about: bytes, now_s: float
) -> None:
    states = new_states()
    sealed = states.seal(PARKED, ASKER, DIGEST, 0.0)
    with pytest.raises(JsonRpcError, match="requestState is not valid") as caught:
        states.open(sealed, asker, about, now_s)
    assert caught.value.code == -32602
    assert caught.value.data == {"outcome": "unknown"}


@pytest.mark.parametrize("text", [None, "", "x", "é", "A" * 200])
def test_what_was_never_sealed_does_not_open(text: str | None) -> None:
    with pytest.raises(JsonRpcError):
        new_states().open(text, ASKER, DIGEST, 0.0)


def test_a_changed_state_does_not_open() -> None:
    states = new_states()
    sealed = states.seal(PARKED, ASKER, DIGEST, 0.0)
    for at in range(len(sealed)):
        changed = sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :]
        if at == len(sealed) - 1:  # its last bits may be nothing but filling
            continue
        with pytest.raises(JsonRpcError):
            states.open(changed, ASKER, DIGEST, 0.0)


def test_a_state_of_another_program_does_not_open() -> None:
    other = RequestStates.of(b"o" * 32, lambda size: b"n" * size)
    sealed = other.seal(PARKED, ASKER, DIGEST, 0.0)
    with pytest.raises(JsonRpcError):
        new_states().open(sealed, ASKER, DIGEST, 0.0)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
params = st.dictionaries(st.sampled_from(["name", "arguments", "uri", "x"]), json_values)


@given(params, params)
def test_requests_are_the_same_exactly_if_their_params_are(
    one: dict[str, Any], two: dict[str, Any]
) -> None:
    """However their members are ordered and spaced."""
    first = digest("tools/call", {name: jsonrpc.raw(value) for name, value in one.items()})
    second = digest(
        "tools/call",
        {
            name: Raw(json.dumps(two[name], indent=1, sort_keys=True).encode())
            for name in reversed(list(two))
        },
    )
    assert (first == second) == (json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True))


def test_what_belongs_to_one_round_makes_no_difference() -> None:
    asked = {"name": Raw(b'"read"')}
    again = {
        **asked,
        "_meta": Raw(b"{}"),
        "requestState": Raw(b'"s"'),
        "inputResponses": Raw(b"{}"),
    }
    assert digest("tools/call", asked) == digest("tools/call", again)
    assert bare(again) == {**asked, "_meta": Raw(b"{}")}
    assert bare(asked) is asked


def test_what_cannot_be_read_or_is_large_is_compared_by_its_bytes() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    assert digest("m", {"a": Raw(deep)}) == digest("m", {"a": Raw(deep)})
    large = json.dumps({"b": "x" * 70_000, "a": 1})
    spaced = large.replace(", ", ",")
    assert digest("m", {"a": Raw(large.encode())}) != digest("m", {"a": Raw(spaced.encode())})
