"""JSON is compared by its value."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from mcptunnel.mcp.alike import MAX_BYTES, by_value, is_alike

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def turned(value: Any) -> Any:
    """Return the value with its members in the other order, at every depth."""
    if isinstance(value, dict):
        return {name: turned(value[name]) for name in reversed(value)}
    return [turned(one) for one in value] if isinstance(value, list) else value


@given(values)
def test_order_of_members_and_spaces_mean_nothing(value: Any) -> None:
    one = Raw(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())
    other = Raw(json.dumps(turned(value), indent=1).encode())
    assert is_alike(one, other)
    assert is_alike(one, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [(b"[1,2]", b"[2,1]"), (b'{"a":1}', b'{"a":"1"}'), (b"{}", b"[]"), (b'{"a":null}', b"{}")],
)
def test_what_differs_differs(one: bytes, other: bytes) -> None:
    assert not is_alike(Raw(one), Raw(other))


def test_what_is_no_json_or_long_is_compared_byte_for_byte() -> None:
    assert by_value(b"{no") == b"{no"
    assert not is_alike(Raw(b"{no"), Raw(b"{no "))
    long = b'"' + b"x" * MAX_BYTES + b'"'
    assert is_alike(Raw(long), Raw(long))
    assert not is_alike(Raw(long), Raw(long + b" "))
