"""Errors that clients are told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth.errors import MAX_DESCRIPTION_CHARS, ErrorCode, OAuthError, describable


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.INVALID_GRANT, 400),
        (ErrorCode.INVALID_CLIENT, 401),
        (ErrorCode.INVALID_TOKEN, 401),
        (ErrorCode.INSUFFICIENT_SCOPE, 403),
    ],
)
def test_claude_registers_anew_on_401_invalid_client_and_signs_in_on_400_invalid_grant(
    code: ErrorCode, status: int
) -> None:
    """The status of an error is part of the protocol."""
    error = OAuthError(code, "A sentence")
    assert error.status == status
    assert json.loads(json.dumps(error.body())) == {
        "error": code.value,
        "error_description": "A sentence",
    }


@given(st.text())
def test_a_description_has_only_the_characters_of_rfc_6749(text: str) -> None:
    """RFC 6749, 5.2: no quote, backslash, control or other characters, so it is safe in a header too."""
    shown = describable(text)
    assert len(shown) <= MAX_DESCRIPTION_CHARS
    assert all(" " <= char <= "~" and char not in '"\\' for char in shown)
