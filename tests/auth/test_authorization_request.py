"""Authorization requests, read."""

import pytest

from mcptunnel.auth.authorization_request import (
    MAX_STATE_CHARS,
    AuthorizationRequest,
    read_authorization_request,
)
from mcptunnel.auth.clients import GrantType
from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.parameters import Parameters
from tests.auth.requests import WEB, R, client, parameters, request


def _read(**changes: str | None) -> AuthorizationRequest:
    return read_authorization_request(
        parameters(**changes), client(), WEB, issuer=R, origin_wide=True
    )


def test_what_every_client_sends() -> None:
    assert _read() == request()


def test_parameters_that_we_do_not_know_are_ignored() -> None:
    assert _read(nonce="n", access_type="offline", audience="x", display="page") == request()


def test_prompt_login_hint_and_max_age() -> None:
    read = _read(prompt="consent login", login_hint="alice\u202e@x", max_age="60")
    assert read.prompt == {"consent", "login"}
    assert read.login_hint == "alice@x"
    assert read.max_age_s == 60.0


def test_claudes_scope() -> None:
    assert _read(scope=" offline_access").scopes == ("mcp", "offline_access")


def test_clients_of_2025_03_26_name_no_resource() -> None:
    assert _read(resource=None).resource == R


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"response_type": None}, ErrorCode.INVALID_REQUEST),
        ({"response_type": "token"}, ErrorCode.UNSUPPORTED_RESPONSE_TYPE),
        ({"response_type": "code id_token"}, ErrorCode.UNSUPPORTED_RESPONSE_TYPE),
        ({"response_mode": "fragment"}, ErrorCode.INVALID_REQUEST),
        ({"request": "ey"}, ErrorCode.REQUEST_NOT_SUPPORTED),
        ({"request_uri": "https://a.example/r"}, ErrorCode.REQUEST_URI_NOT_SUPPORTED),
        ({"code_challenge": None}, ErrorCode.INVALID_REQUEST),
        ({"code_challenge_method": None}, ErrorCode.INVALID_REQUEST),
        ({"code_challenge_method": "plain"}, ErrorCode.INVALID_REQUEST),
        ({"resource": "https://other.example/mcp"}, ErrorCode.INVALID_TARGET),
        ({"resource": f"{R}/mcp#x"}, ErrorCode.INVALID_TARGET),
        ({"prompt": "none login"}, ErrorCode.INVALID_REQUEST),
        ({"max_age": "-1"}, ErrorCode.INVALID_REQUEST),
        ({"max_age": "soon"}, ErrorCode.INVALID_REQUEST),
        ({"state": "x" * (MAX_STATE_CHARS + 1)}, ErrorCode.INVALID_REQUEST),
    ],
)
def test_what_is_refused(changes: dict[str, str | None], code: ErrorCode) -> None:
    with pytest.raises(OAuthError) as caught:
        _read(**changes)
    assert caught.value.code is code


def test_a_repeated_parameter_is_refused_also_an_unknown_one() -> None:
    twice = Parameters(parameters().values, frozenset({"x"}))
    with pytest.raises(OAuthError, match="repeated"):
        read_authorization_request(twice, client(), WEB, issuer=R, origin_wide=True)


def test_a_client_for_devices_alone_gets_no_codes() -> None:
    agent = client(grant_types=frozenset({GrantType.DEVICE_CODE}))
    with pytest.raises(OAuthError) as caught:
        read_authorization_request(parameters(), agent, WEB, issuer=R, origin_wide=True)
    assert caught.value.code is ErrorCode.UNAUTHORIZED_CLIENT


def test_a_client_without_scopes_gets_none() -> None:
    with pytest.raises(OAuthError) as caught:
        read_authorization_request(
            parameters(), client(scopes=frozenset()), WEB, issuer=R, origin_wide=True
        )
    assert caught.value.code is ErrorCode.INVALID_SCOPE


def test_state_and_challenge_do_not_show_in_a_repr() -> None:
    """Row 30."""
    assert "s t&a" not in repr(request())
    assert request().challenge not in repr(request())
