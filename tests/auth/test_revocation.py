"""Giving tokens back (RFC 7009)."""

import pytest

from mcptunnel.auth import tokens
from mcptunnel.auth.errors import OAuthError
from mcptunnel.auth.grants import (
    AccessToken,
    Family,
    FamilyId,
    Lifetimes,
    RefreshToken,
    begin_family,
)
from mcptunnel.auth.parameters import Parameters
from mcptunnel.auth.revocation import Revocation, revoke, token_to_revoke
from tests.auth.requests import ALICE, R, client

_F = FamilyId("f")
_ACCESS = AccessToken(hash=b"a", family=_F, resource=R, scopes=("mcp",), expires_s=10.0)
_REFRESH = RefreshToken(hash=b"r", family=_F, expires_s=10.0, rotated_s=1.0)


def _family(family_id: str = "f") -> Family:
    return begin_family(
        FamilyId(family_id),
        ALICE,
        client(),
        resource=R,
        scopes=("mcp",),
        now_s=0.0,
        lifetimes=Lifetimes(),
    )


def test_inspector_gives_its_tokens_back() -> None:
    """A refresh token, also a rotated one, ends its family; an access token ends alone."""
    assert revoke(_REFRESH, _family(), "c") == Revocation(family=_F)
    assert revoke(_ACCESS, _family(), "c") == Revocation(access_hash=b"a")


def test_row_31_what_is_unknown_or_foreign_stays() -> None:
    """The answer is the same, so there is nothing to learn."""
    assert revoke(None, None, "c") == Revocation()
    assert revoke(_REFRESH, None, "c") == Revocation()
    assert revoke(_REFRESH, _family(), "d") == Revocation()
    assert revoke(_ACCESS, _family(), "d") == Revocation()
    assert revoke(_ACCESS, _family("g"), "c") == Revocation()


def test_the_prefix_says_what_a_token_is() -> None:
    """Also when the hint says something else, or something unknown."""
    text = tokens.mint(tokens.TokenKind.REFRESH, bytes(32))
    found = token_to_revoke(Parameters({"token": text, "token_type_hint": "access_token"}))
    assert found is not None
    assert found.kind is tokens.TokenKind.REFRESH
    assert token_to_revoke(Parameters({"token": "x"})) is None
    with pytest.raises(OAuthError, match="missing"):
        token_to_revoke(Parameters({}))
