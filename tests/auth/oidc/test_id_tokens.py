"""ID tokens: what is believed of them (threat 28)."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

import pytest

from mcptunnel.auth.oidc.errors import SignInError
from mcptunnel.auth.oidc.id_tokens import merge_userinfo, verify_id_token
from tests.auth.oidc.op import CLIENT, NOW_S, OP, attempt, provider
from tests.auth.signing import key_set, public_jwk, sign

_CLAIMS = {
    "iss": OP,
    "sub": "alice",
    "aud": CLIENT,
    "exp": NOW_S + 300,
    "iat": NOW_S,
    "nonce": attempt().nonce,
}


def _verified(
    claims: Mapping[str, Any],
    *,
    algorithm: str = "ES256",
    issuer: str = OP,
    access_token: str | None = "at",
    again: bool = False,
    now_s: float = NOW_S + 5,
    number: int = 0,
) -> Mapping[str, Any]:
    present = {name: value for name, value in claims.items() if value is not None}
    return verify_id_token(
        sign(present, algorithm, number),
        provider=provider(issuer),
        key_set=key_set(public_jwk(algorithm)),
        client_id=CLIENT,
        attempt=attempt(again=again),
        access_token=access_token,
        now_s=now_s,
    )


def _at_hash(access_token: str) -> str:
    half = hashlib.sha256(access_token.encode()).digest()[:16]
    return urlsafe_b64encode(half).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_good_token(algorithm: str) -> None:
    assert _verified(_CLAIMS, algorithm=algorithm)["sub"] == "alice"


@pytest.mark.parametrize(
    "change",
    [
        {"aud": [CLIENT]},
        {"aud": [CLIENT, "other"], "azp": CLIENT},
        {"azp": CLIENT},
        {"exp": NOW_S - 50},
        {"iat": NOW_S + 60},
        {"at_hash": _at_hash("at")},
    ],
)
def test_what_is_good_as_well(change: dict[str, Any]) -> None:
    """A list of audiences, skewed clocks, the right at_hash."""
    assert _verified({**_CLAIMS, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://evil.example"},
        {"iss": f"{OP}/"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 1},
        {"sub": "x" * 256},
        {"aud": "other"},
        {"aud": [CLIENT, "other"]},
        {"aud": [CLIENT, "other"], "azp": "other"},
        {"aud": None},
        {"azp": "other"},
        {"exp": NOW_S - 60},
        {"exp": None},
        {"iat": None},
        {"iat": NOW_S + 70},
        {"nbf": NOW_S + 70},
        {"nonce": None},
        {"nonce": "other"},
        {"nonce": "ä\ud800"},
        {"nonce": 1},
        {"at_hash": _at_hash("other")},
        {"at_hash": 1},
    ],
)
def test_row_28_one_wrong_claim_is_enough(change: dict[str, Any]) -> None:
    with pytest.raises(SignInError):
        _verified({**_CLAIMS, **change})


def test_row_28_only_algorithms_of_the_provider() -> None:
    with pytest.raises(SignInError):
        _verified(_CLAIMS, algorithm="ES384")


def test_hass_changes_its_key_at_every_start() -> None:
    """The error says that fetching the keys again may help; nothing else does."""
    with pytest.raises(SignInError) as caught:
        _verified(_CLAIMS, number=1)
    assert caught.value.stale_keys
    with pytest.raises(SignInError) as caught:
        _verified({**_CLAIMS, "nonce": "x"})
    assert not caught.value.stale_keys


def test_google_uses_two_names_for_itself() -> None:
    google = "https://accounts.google.com"
    assert _verified({**_CLAIMS, "iss": "accounts.google.com"}, issuer=google)
    with pytest.raises(SignInError):
        _verified({**_CLAIMS, "iss": "accounts.google.com"})


@pytest.mark.parametrize(
    ("auth_time", "good"), [(NOW_S, True), (NOW_S - 60, True), (NOW_S - 61, False), (None, False)]
)
def test_signing_in_again_has_to_have_happened(auth_time: float | None, good: bool) -> None:
    """With max_age, auth_time is needed (Core, 2)."""
    claims = {**_CLAIMS, "auth_time": auth_time}
    if good:
        assert _verified(claims, again=True)
    else:
        with pytest.raises(SignInError):
            _verified(claims, again=True)


def test_userinfo_is_about_the_same_person() -> None:
    """And signed claims count where both say something."""
    merged = merge_userinfo({"sub": "a", "email": "x"}, {"sub": "a", "email": "y", "groups": ["g"]})
    assert merged == {"sub": "a", "email": "x", "groups": ["g"]}
    for userinfo in ({"sub": "b"}, {}):
        with pytest.raises(SignInError, match="two different people"):
            merge_userinfo({"sub": "a"}, userinfo)


@pytest.mark.parametrize(
    ("claims", "userinfo", "email", "verified"),
    [
        ({"email": "a"}, {"email": "a", "email_verified": True}, "a", True),
        ({"email": "a"}, {"email": "b", "email_verified": True}, "a", None),
        ({"email": "a"}, {"email_verified": True}, "a", None),
        ({"email": "a"}, {"email": "b", "xms_edov": True}, "a", None),
        ({}, {"email": "b", "email_verified": True}, "b", True),
        ({"email_verified": True}, {"email": "b"}, "b", None),
        ({"email_verified": True}, {"email": "b", "email_verified": False}, "b", False),
        (
            {"email": "a", "email_verified": False},
            {"email": "a", "email_verified": True},
            "a",
            False,
        ),
    ],
)
def test_verified_is_the_address_beside_it(
    claims: dict[str, object], userinfo: dict[str, object], email: str, verified: bool | None
) -> None:
    """Else one address could borrow what was said of another."""
    merged = merge_userinfo({"sub": "s", **claims}, {"sub": "s", **userinfo})
    assert (merged["email"], merged.get("email_verified")) == (email, verified)
    assert "xms_edov" not in merged
