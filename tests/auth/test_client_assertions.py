"""private_key_jwt (threat 29)."""

from typing import Any

import pytest

from mcptunnel.auth.client_assertions import AssertionUse, verify_assertion
from mcptunnel.auth.jose import ALGORITHMS, JoseError
from tests.auth.signing import key_set, public_jwk, sign

CLIENT = "https://chatgpt.com/oauth/abc/client.json"
ISSUER = "https://relay.example"
TOKEN = f"{ISSUER}/token"
CLAIMS = {"iss": CLIENT, "sub": CLIENT, "aud": TOKEN, "iat": 1000, "exp": 1300, "jti": "j1"}


def _verified(claims: dict[str, Any], algorithm: str = "RS256", **options: Any) -> AssertionUse:
    given = {
        "client_id": CLIENT,
        "key_set": key_set(public_jwk(algorithm)),
        "algorithms": ALGORITHMS,
        "audiences": (TOKEN, ISSUER),
        "now_s": 1010.0,
    }
    return verify_assertion(sign(claims, algorithm), **{**given, **options})


@pytest.mark.parametrize("aud", [TOKEN, ISSUER, [TOKEN]])
def test_chatgpt_signs_for_our_token_endpoint_or_issuer(aud: object) -> None:
    """What comes back is to be remembered until nobody would accept the assertion any more."""
    assert _verified({**CLAIMS, "aud": aud}) == AssertionUse(CLIENT, "j1", 1360.0)


def test_iat_may_be_missing() -> None:
    """RFC 7523 does not ask for it; then the lifetime counts from now."""
    assert _verified({k: v for k, v in CLAIMS.items() if k != "iat"}).jti == "j1"


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "other"},
        {"sub": "other"},
        {"iss": None},
        {"aud": f"{ISSUER}/"},
        {"aud": f"{ISSUER}//token"},
        {"aud": f"{ISSUER}/mcp"},
        {"aud": [TOKEN, "https://other.example/token"]},
        {"aud": None},
        {"exp": 949},
        {"exp": 1601},
        {"exp": None},
        {"iat": 1100, "exp": 1690},
        {"nbf": 1100},
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 256},
        {"jti": 1},
    ],
)
def test_row_29_assertions_that_are_refused(change: dict[str, Any]) -> None:
    """Of others, for others, expired, for too long, without a jti."""
    with pytest.raises(JoseError):
        _verified({name: v for name, v in {**CLAIMS, **change}.items() if v is not None})


def test_row_29_the_key_is_the_clients_own() -> None:
    with pytest.raises(JoseError):
        _verified(CLAIMS, key_set=key_set(public_jwk("RS256", 1)))
    with pytest.raises(JoseError):
        _verified(CLAIMS, key_set={})
    with pytest.raises(JoseError):
        _verified(CLAIMS, algorithms=("ES256",))


def test_row_29_without_iat_the_lifetime_is_bounded_too() -> None:
    with pytest.raises(JoseError, match="too long"):
        _verified({**{k: v for k, v in CLAIMS.items() if k != "iat"}, "exp": 5000})
