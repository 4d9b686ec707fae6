"""Ids of sessions."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.mcp.client_half.session import name_of, new_session_id


@given(st.binary(min_size=16, max_size=64))
def test_an_id_is_visible_ascii_whatever_the_bytes(random_bytes: bytes) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{22,}", new_session_id(random_bytes))


@given(st.binary(min_size=24, max_size=24), st.binary(min_size=24, max_size=24))
def test_no_chance_is_lost(one: bytes, other: bytes) -> None:
    assert (new_session_id(one) == new_session_id(other)) is (one == other)


def test_too_little_chance_is_refused() -> None:
    with pytest.raises(ValueError, match="16"):
        new_session_id(b"x" * 15)


def test_the_name_of_a_session_is_the_same_in_every_process_and_not_its_id() -> None:
    """Servers know it by that, also after we have started anew: this value must never change."""
    session_id = new_session_id(b"x" * 32)
    assert name_of(session_id) == "b89ba1762c3049d40e0092a1"
    assert name_of("other") != name_of(session_id)
    assert name_of("\udcff")


@given(st.text(max_size=200))
def test_a_name_is_short_whatever_the_id(session_id: str) -> None:
    assert re.fullmatch("[0-9a-f]{24}", name_of(session_id))
