"""PKCE, S256 alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.pkce import challenge_of, new_verifier, required_challenge, verifies

_VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
_CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_example_of_rfc_7636() -> None:
    """Appendix B."""
    assert challenge_of(_VERIFIER) == _CHALLENGE
    assert verifies(_VERIFIER, _CHALLENGE)


def test_verifiers_with_tilde_and_dot() -> None:
    """The python and TypeScript clients use all the characters there are, from 43 to 128 of them."""
    for verifier in ("~." * 22, "a" * 43, "Z-_" * 42 + "~."):
        assert verifies(verifier, challenge_of(verifier))


@pytest.mark.parametrize(
    "verifier", ["", "a" * 42, "a" * 129, "a" * 42 + "+", "ä" * 43, _VERIFIER + "\n"]
)
def test_malformed_verifiers(verifier: str) -> None:
    assert not verifies(verifier, challenge_of(verifier))


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_our_own_verifiers(one: bytes, other: bytes) -> None:
    """Only the verifier of a challenge is good for it."""
    assert verifies(new_verifier(one), challenge_of(new_verifier(other))) == (one == other)


def test_our_own_verifiers_want_all_their_random() -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        new_verifier(bytes(16))


@pytest.mark.parametrize(
    ("challenge", "method"),
    [
        (None, None),
        (None, "S256"),
        (_CHALLENGE, None),
        (_CHALLENGE, "plain"),
        (_CHALLENGE, "s256"),
        (_CHALLENGE[:-1], "S256"),
        (_CHALLENGE + "=", "S256"),
    ],
)
def test_row_6_pkce_downgrade(challenge: str | None, method: str | None) -> None:
    """Missing, `plain`, and no method, which means plain: all invalid_request."""
    with pytest.raises(OAuthError) as caught:
        required_challenge(challenge, method)
    assert caught.value.code is ErrorCode.INVALID_REQUEST


def test_what_every_client_sends() -> None:
    assert required_challenge(_CHALLENGE, "S256") == _CHALLENGE
