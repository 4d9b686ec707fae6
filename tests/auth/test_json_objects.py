"""JSON from strangers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth.json_objects import NotAnObjectError, parse_object, text_list, text_member


def _parsed(raw: bytes) -> dict[str, object] | None:
    try:
        return parse_object(raw, max_bytes=1000)
    except NotAnObjectError:
        return None


@given(st.binary())
def test_any_bytes_are_an_object_or_refused(raw: bytes) -> None:
    assert isinstance(_parsed(raw), dict | None)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"1",
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":NaN}',
        b'{"a":"\xff"}',
        b"[" * 999,
        b'{"a":"' + b"x" * 1000 + b'"}',
    ],
)
def test_what_is_refused(raw: bytes) -> None:
    """No object, a member twice, no JSON, no UTF-8, too deep, too large."""
    assert _parsed(raw) is None


def test_members_of_another_type_are_ignored() -> None:
    members = _parsed(b'{"a":"x","b":["x"],"c":[1],"d":""}')
    assert members is not None
    assert [text_member(members, name, 1) for name in "abd?"] == ["x", None, None, None]
    assert text_member({"a": "xy"}, "a", 1) is None
    assert [text_list(members, name) for name in "abc?"] == [None, ["x"], None, None]
