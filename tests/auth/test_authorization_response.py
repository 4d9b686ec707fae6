"""Redirects back to clients."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from mcptunnel.auth.authorization_request import MAX_STATE_CHARS
from mcptunnel.auth.authorization_response import code_location, denied_location, error_location
from mcptunnel.auth.errors import ErrorCode, OAuthError
from tests.auth.requests import WEB, R, request


def _query(location: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(location).query, strict_parsing=True)


def test_row_9_claude_code_insists_on_iss_in_success() -> None:
    """`iss` once, and the state as it came."""
    location = code_location(R, request(), "mcpt_ac_x")
    assert location.startswith(f"{WEB}?")
    assert _query(location) == [("code", "mcpt_ac_x"), ("iss", R), ("state", "s t&a")]


def test_row_9_claude_code_insists_on_iss_in_errors() -> None:
    query = dict(_query(denied_location(R, request())))
    assert query == {
        "error": "access_denied",
        "error_description": "The person did not agree",
        "iss": R,
        "state": "s t&a",
    }


@pytest.mark.parametrize("state", [None, "x" * (MAX_STATE_CHARS + 1)])
def test_no_state_or_an_endless_one_is_not_given_back(state: str | None) -> None:
    error = OAuthError(ErrorCode.INVALID_REQUEST, "No")
    assert [name for name, _ in _query(error_location(R, WEB, state, error))] == [
        "error",
        "error_description",
        "iss",
    ]
