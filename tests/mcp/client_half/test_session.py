"""Ids of sessions."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.mcp.client_half.session import new_session_id


@given(st.binary(min_size=16, max_size=64))
def test_an_id_is_visible_ascii_whatever_the_bytes(random_bytes: bytes) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{22,}", new_session_id(random_bytes))


@given(st.binary(min_size=24, max_size=24), st.binary(min_size=24, max_size=24))
def test_no_chance_is_lost(one: bytes, other: bytes) -> None:
    assert (new_session_id(one) == new_session_id(other)) is (one == other)


def test_too_little_chance_is_refused() -> None:
    with pytest.raises(ValueError, match="16"):
        new_session_id(b"x" * 15)
