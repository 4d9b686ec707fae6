"""What an access token opens (threat 18)."""

from dataclasses import replace

import pytest

from mcptunnel.auth.access import Verdict, check_access, is_live
from mcptunnel.auth.grants import (
    AccessToken,
    Family,
    FamilyId,
    Lifetimes,
    begin_family,
    revoked,
)
from tests.auth.requests import ALICE, R, client

_FAMILY = begin_family(
    FamilyId("f"), ALICE, client(), resource=R, scopes=("mcp",), now_s=0.0, lifetimes=Lifetimes()
)
_TOKEN = AccessToken(
    hash=b"a", family=FamilyId("f"), resource=f"{R}/mcp", scopes=("mcp",), expires_s=100.0
)


def _verdict(
    token: AccessToken | None = _TOKEN,
    family: Family | None = _FAMILY,
    path: str = "/mcp",
    scope: str = "mcp",
    now_s: float = 1.0,
) -> Verdict:
    return check_access(token, family, issuer=R, path=path, scope=scope, now_s=now_s)


def test_a_token_opens_its_endpoint() -> None:
    assert _verdict() is Verdict.ALLOWED
    assert _verdict(path="/mcp/") is Verdict.ALLOWED


@pytest.mark.parametrize(
    "verdict",
    [
        _verdict(None),
        _verdict(family=None),
        _verdict(now_s=100.0),
        _verdict(family=revoked(_FAMILY, 0.5)),
        _verdict(replace(_TOKEN, family=FamilyId("g"))),
        _verdict(path="/servers/x/mcp"),
        _verdict(path="/mcp-other"),
        _verdict(path="/dashboard"),
        _verdict(replace(_TOKEN, resource="https://other.example/mcp")),
    ],
)
def test_row_18_all_else_is_401(verdict: Verdict) -> None:
    """Unknown, expired, revoked, or for another endpoint: 401, which makes clients sign in."""
    assert verdict is Verdict.INVALID


def test_row_20_a_clients_token_registers_no_agent() -> None:
    wide = replace(_TOKEN, resource=R)
    assert _verdict(wide, path="/tunnel", scope="agent") is Verdict.INSUFFICIENT_SCOPE
    agent = replace(_TOKEN, resource=f"{R}/tunnel", scopes=("agent",))
    assert _verdict(agent, path="/ws", scope="agent") is Verdict.ALLOWED
    assert _verdict(agent, path="/mcp") is Verdict.INVALID


def test_long_streams_ask_again() -> None:
    assert is_live(_TOKEN, _FAMILY, 99.0)
    assert not is_live(_TOKEN, _FAMILY, 100.0)
    assert not is_live(_TOKEN, revoked(_FAMILY, 5.0), 6.0)
