"""Keys in a client's metadata."""

from typing import Any

import pytest

from mcptunnel.auth.client_keys import ClientKeys, read_client_keys
from mcptunnel.auth.errors import ErrorCode, OAuthError
from tests.auth.signing import key_set, public_jwk

_URI = "https://chatgpt.com/oauth/jwks.json"


def test_chatgpt_names_where_its_keys_are() -> None:
    metadata = {"jwks_uri": _URI, "token_endpoint_auth_signing_alg": "RS256"}
    assert read_client_keys(metadata) == ClientKeys(jwks_uri=_URI, algorithm="RS256")


def test_keys_may_be_in_the_metadata() -> None:
    keys = key_set(public_jwk("ES256"))
    assert read_client_keys({"jwks": keys}).jwks == keys


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"jwks_uri": _URI, "jwks": key_set({"kty": "EC"})},
        {"jwks_uri": "http://chatgpt.com/jwks"},
        {"jwks_uri": "https://169.254.169.254/jwks"},
        {"jwks_uri": ["https://a.example/jwks"]},
        {"jwks": []},
        {"jwks": {"keys": []}},
        {"jwks": {"keys": [{"kty": "EC"}] * 17}},
        {"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}},
        {"jwks": {"keys": [{"kty": "EC", "d": "AAAA"}]}},
        {"jwks_uri": _URI, "token_endpoint_auth_signing_alg": "HS256"},
        {"jwks_uri": _URI, "token_endpoint_auth_signing_alg": "none"},
        {"jwks_uri": _URI, "token_endpoint_auth_signing_alg": ["RS256"]},
    ],
)
def test_rows_10_and_29_keys_that_cannot_be_used(metadata: dict[str, Any]) -> None:
    """Public keys of asymmetric algorithms, from one place that may be fetched."""
    with pytest.raises(OAuthError) as caught:
        read_client_keys(metadata)
    assert caught.value.code is ErrorCode.INVALID_CLIENT_METADATA
