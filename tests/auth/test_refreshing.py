"""Refresh tokens: rotation, grace, theft (threat 8)."""

from dataclasses import replace

import pytest

from mcptunnel.auth.clients import Client
from mcptunnel.auth.errors import ErrorCode
from mcptunnel.auth.grants import (
    DAY_S,
    Family,
    FamilyId,
    Lifetimes,
    RefreshToken,
    begin_family,
    revoked,
)
from mcptunnel.auth.refreshing import (
    Refreshed,
    RefreshRefused,
    RefreshRequest,
    Use,
    refresh,
    use_of,
)
from tests.auth.requests import ALICE, R, client

_LIFETIMES = Lifetimes()
_FAMILY = begin_family(
    FamilyId("f"),
    ALICE,
    client(),
    resource=f"{R}/mcp",
    scopes=("mcp", "offline_access"),
    now_s=0.0,
    lifetimes=_LIFETIMES,
)
_TOKEN = RefreshToken(hash=b"h", family=FamilyId("f"), expires_s=30 * DAY_S)
_ROTATED = replace(_TOKEN, rotated_s=100.0)


def _refreshed(
    token: RefreshToken | None = _TOKEN,
    family: Family | None = _FAMILY,
    *,
    known: Client | None = None,
    asked: RefreshRequest | None = None,
    now_s: float = 100.0,
) -> Refreshed | RefreshRefused:
    return refresh(
        token,
        family,
        known or client(),
        asked or RefreshRequest(),
        issuer=R,
        now_s=now_s,
        lifetimes=_LIFETIMES,
    )


def _refused(decision: Refreshed | RefreshRefused) -> tuple[ErrorCode, str | None]:
    assert isinstance(decision, RefreshRefused)
    return decision.error.code, decision.revoke


def test_a_current_token_is_rotated() -> None:
    decision = _refreshed()
    assert isinstance(decision, Refreshed)
    assert (decision.before, decision.token) == (_TOKEN, _ROTATED)
    assert decision.issue.scopes == ("mcp", "offline_access")
    assert decision.issue.access_expires_s == 3700.0
    assert decision.issue.refresh_expires_s == 100.0 + 30 * DAY_S


def test_claude_refreshes_one_second_after_the_exchange() -> None:
    """Nothing has to wait before it may be used."""
    assert isinstance(_refreshed(now_s=0.0), Refreshed)


def test_parallel_calls_refresh_with_the_same_token() -> None:
    """Within 60 s a rotated token gives new tokens, ten times, without an alarm (facts: Opik)."""
    token = _ROTATED
    for _ in range(_LIFETIMES.grace_uses):
        decision = _refreshed(token, now_s=160.0)
        assert isinstance(decision, Refreshed)
        assert decision.token.rotated_s == 100.0
        token = decision.token
    assert _refused(_refreshed(token, now_s=160.0)) == (ErrorCode.INVALID_GRANT, None)


def test_row_8_after_the_grace_a_rotated_token_revokes_the_family() -> None:
    assert _refused(_refreshed(_ROTATED, now_s=160.1)) == (ErrorCode.INVALID_GRANT, "f")


def test_row_8_a_rotated_token_is_theft_also_when_it_has_expired() -> None:
    assert _refused(_refreshed(_ROTATED, now_s=40 * DAY_S)) == (ErrorCode.INVALID_GRANT, "f")


@pytest.mark.parametrize("token", [_TOKEN, _ROTATED])
def test_row_8_a_token_of_another_client_has_no_consequences(token: RefreshToken) -> None:
    decision = _refreshed(token, known=client(id="d"), now_s=500.0)
    assert _refused(decision) == (ErrorCode.INVALID_GRANT, None)


def test_row_31_unknown_revoked_and_foreign_look_the_same() -> None:
    decisions = [
        _refreshed(None),
        _refreshed(_TOKEN, None),
        _refreshed(_TOKEN, revoked(_FAMILY, 1.0)),
        _refreshed(_ROTATED, revoked(_FAMILY, 1.0), now_s=500.0),
        _refreshed(replace(_TOKEN, family=FamilyId("g"))),
        _refreshed(now_s=30 * DAY_S),
        _refreshed(replace(_TOKEN, expires_s=100 * DAY_S), now_s=90 * DAY_S),
        _refreshed(known=client(id="d")),
    ]
    assert {_refused(one) for one in decisions} == {(ErrorCode.INVALID_GRANT, None)}
    assert len({str(one.error) for one in decisions if isinstance(one, RefreshRefused)}) == 1


def test_a_refresh_token_ends_with_its_family() -> None:
    decision = _refreshed(replace(_TOKEN, expires_s=90 * DAY_S), now_s=89 * DAY_S)
    assert isinstance(decision, Refreshed)
    assert decision.issue.refresh_expires_s == 90 * DAY_S


def test_scope_and_resource_may_be_named_again_or_narrowed() -> None:
    """mcp-remote names the scope, everyone names the resource."""
    decision = _refreshed(asked=RefreshRequest("mcp", f"{R}/mcp/"))
    assert isinstance(decision, Refreshed)
    assert (decision.issue.scopes, decision.issue.resource) == (("mcp",), f"{R}/mcp")
    wide = _refreshed(
        family=replace(_FAMILY, resource=R), asked=RefreshRequest(None, f"{R}/servers/x/mcp")
    )
    assert isinstance(wide, Refreshed)
    assert wide.issue.resource == f"{R}/servers/x/mcp"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (RefreshRequest("mcp agent"), ErrorCode.INVALID_SCOPE),
        (RefreshRequest(None, f"{R}/servers/x/mcp"), ErrorCode.INVALID_TARGET),
        (RefreshRequest(None, "https://other.example"), ErrorCode.INVALID_TARGET),
    ],
)
def test_a_grant_is_never_widened_and_a_mistake_costs_nothing(
    asked: RefreshRequest, code: ErrorCode
) -> None:
    assert _refused(_refreshed(asked=asked)) == (code, None)


@pytest.mark.parametrize(
    ("token", "now_s", "use"),
    [
        (_TOKEN, 0.0, Use.ROTATION),
        (_ROTATED, 100.0, Use.GRACE),
        (_ROTATED, 160.0, Use.GRACE),
        (_ROTATED, 99.0, Use.GRACE),
        (replace(_ROTATED, grace_uses=10), 160.0, Use.TOO_OFTEN),
        (replace(_ROTATED, grace_uses=10), 161.0, Use.REUSE),
    ],
)
def test_what_a_presented_token_means(token: RefreshToken, now_s: float, use: Use) -> None:
    """Also when another node's clock is a second behind."""
    assert use_of(token, now_s, _LIFETIMES) is use
