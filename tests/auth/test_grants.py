"""Grant families and what they issue."""

import pytest

from mcptunnel.auth.clients import Client, GrantType
from mcptunnel.auth.grants import (
    DAY_S,
    Family,
    FamilyId,
    Issue,
    Lifetimes,
    begin_family,
    issue,
    revoked,
    token_response,
)
from tests.auth.requests import ALICE, R, client

_LIFETIMES = Lifetimes()
_CODES_ONLY = client(grant_types=frozenset({GrantType.AUTHORIZATION_CODE}))


def _family(scopes: tuple[str, ...] = ("mcp",)) -> Family:
    return begin_family(
        FamilyId("f"),
        ALICE,
        client(),
        resource=f"{R}/mcp",
        scopes=scopes,
        now_s=0.0,
        lifetimes=_LIFETIMES,
    )


def _issued(family: Family, now_s: float, known: Client | None = None) -> Issue:
    return issue(
        family,
        known or client(),
        resource=family.resource,
        scopes=family.scopes,
        now_s=now_s,
        lifetimes=_LIFETIMES,
    )


def test_a_family_is_live_for_90_days_unless_it_is_revoked() -> None:
    family = _family()
    assert family.is_live(90 * DAY_S - 1)
    assert not family.is_live(90 * DAY_S)
    ended = revoked(family, 5.0)
    assert not ended.is_live(1.0)
    assert revoked(ended, 9.0).revoked_s == 5.0


def test_no_token_outlives_its_family() -> None:
    made = _issued(_family(), 90 * DAY_S - 10)
    assert made.access_expires_s == made.refresh_expires_s == 90 * DAY_S
    early = _issued(_family(), 0.0)
    assert (early.access_expires_s, early.refresh_expires_s) == (3600.0, 30 * DAY_S)


@pytest.mark.parametrize(
    ("known", "scopes", "refreshes"),
    [
        (client(), ("mcp",), True),
        (client(), ("mcp", "offline_access"), True),
        (_CODES_ONLY, ("mcp", "offline_access"), True),
        (_CODES_ONLY, ("mcp",), False),
    ],
)
def test_copilot_studio_and_others_differ_in_how_they_ask_to_refresh(
    known: Client, scopes: tuple[str, ...], refreshes: bool
) -> None:
    """By their grant types, or by `offline_access`: either is enough."""
    made = _issued(_family(scopes), 0.0, known)
    assert (made.refresh_expires_s is not None) == refreshes


def test_the_answer_says_the_scopes_and_has_no_null() -> None:
    """RFC 6749, 5.1: they may differ from what was asked for."""
    made = _issued(_family(("mcp", "offline_access")), 0.0)
    body = token_response(made, "mcpt_at_x", None, 0.5)
    assert body == {
        "access_token": "mcpt_at_x",
        "token_type": "Bearer",
        "expires_in": 3599,
        "scope": "mcp offline_access",
    }
    assert token_response(made, "a", "mcpt_rt_x", 0.0)["refresh_token"] == "mcpt_rt_x"
