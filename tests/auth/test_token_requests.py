"""Requests to the token endpoint, read."""

import pytest

from mcptunnel.auth import tokens
from mcptunnel.auth.clients import Client, GrantType
from mcptunnel.auth.codes import CodeExchange
from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.parameters import Parameters
from mcptunnel.auth.refreshing import RefreshRequest
from mcptunnel.auth.token_requests import (
    CodeRequest,
    DeviceCodeRequest,
    DeviceRequest,
    RefreshTokenRequest,
    TokenRequest,
    read_device_request,
    read_token_request,
)
from mcptunnel.auth.tokens import TokenKind
from tests.auth.requests import R, client

_AGENT = client(
    grant_types=frozenset({GrantType.DEVICE_CODE}), scopes=frozenset({"agent", "offline_access"})
)


def _text(kind: TokenKind) -> str:
    return tokens.mint(kind, bytes(32))


def _read(known: Client | None = None, **values: str) -> TokenRequest:
    return read_token_request(Parameters(values), known or client())


def test_a_code_with_what_came_with_it() -> None:
    code = _text(TokenKind.CODE)
    read = _read(
        grant_type="authorization_code",
        code=code,
        redirect_uri="u",
        code_verifier="v",
        resource="r",
    )
    presented = CodeExchange(client_id="c", redirect_uri="u", verifier="v", resource="r")
    assert read == CodeRequest(tokens.hash_token(code), presented)


def test_a_refresh_normally_has_no_scope() -> None:
    token = _text(TokenKind.REFRESH)
    read = _read(grant_type="refresh_token", refresh_token=token)
    assert read == RefreshTokenRequest(tokens.hash_token(token), RefreshRequest(None, None))


def test_a_poll() -> None:
    code = _text(TokenKind.DEVICE_CODE)
    read = _read(_AGENT, grant_type=GrantType.DEVICE_CODE.value, device_code=code)
    assert read == DeviceCodeRequest(tokens.hash_token(code))


def test_a_token_of_another_kind_is_no_token() -> None:
    """The store is not even asked."""
    read = _read(grant_type="refresh_token", refresh_token=_text(TokenKind.ACCESS))
    assert isinstance(read, RefreshTokenRequest)
    assert read.token_hash is None


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({}, ErrorCode.INVALID_REQUEST),
        ({"grant_type": "password"}, ErrorCode.UNSUPPORTED_GRANT_TYPE),
        ({"grant_type": "client_credentials"}, ErrorCode.UNSUPPORTED_GRANT_TYPE),
        ({"grant_type": "authorization_code"}, ErrorCode.INVALID_REQUEST),
        ({"grant_type": "refresh_token"}, ErrorCode.INVALID_REQUEST),
        (
            {"grant_type": GrantType.DEVICE_CODE.value, "device_code": "x"},
            ErrorCode.UNAUTHORIZED_CLIENT,
        ),
    ],
)
def test_requests_that_are_refused(values: dict[str, str], code: ErrorCode) -> None:
    with pytest.raises(OAuthError) as caught:
        read_token_request(Parameters(values), client())
    assert caught.value.code is code


def test_a_device_grant_is_begun_by_the_agent_alone() -> None:
    """Row 20 and RFC 8628, 5.4."""
    asked = Parameters({"resource": f"{R}/tunnel", "scope": "agent offline_access mcp"})
    read = read_device_request(asked, _AGENT, issuer=R, origin_wide=False)
    assert read == DeviceRequest(f"{R}/tunnel", ("agent", "offline_access"))
    with pytest.raises(OAuthError) as caught:
        read_device_request(asked, client(), issuer=R, origin_wide=True)
    assert caught.value.code is ErrorCode.UNAUTHORIZED_CLIENT
    nothing = client(grant_types=_AGENT.grant_types, scopes=frozenset())
    with pytest.raises(OAuthError) as caught:
        read_device_request(asked, nothing, issuer=R, origin_wide=True)
    assert caught.value.code is ErrorCode.INVALID_SCOPE
