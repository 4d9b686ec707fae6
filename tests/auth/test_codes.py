"""Authorization codes (threats 5 and 7)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth.codes import (
    AuthorizationCode,
    CodeAccepted,
    CodeExchange,
    CodeRefused,
    exchange,
    new_code,
)
from mcptunnel.auth.errors import ErrorCode
from mcptunnel.auth.grants import FamilyId, Lifetimes
from tests.auth.requests import ALICE, VERIFIER, WEB, R, request

_CODE = new_code(b"h", FamilyId("f"), request(), ALICE, now_s=0.0, lifetimes=Lifetimes())
_GOOD = CodeExchange(client_id="c", redirect_uri=WEB, verifier=VERIFIER, resource=f"{R}/mcp")


def _exchanged(
    presented: CodeExchange = _GOOD, code: AuthorizationCode | None = _CODE, now_s: float = 1.0
) -> CodeAccepted | CodeRefused:
    return exchange(code, presented, issuer=R, now_s=now_s)


def test_a_code_is_exchanged_once() -> None:
    """What is kept is the code with the time of its use."""
    accepted = _exchanged()
    assert accepted == CodeAccepted(replace(_CODE, used_s=1.0), f"{R}/mcp")


def test_row_7_a_second_use_revokes_the_family() -> None:
    used = replace(_CODE, used_s=1.0)
    for now_s in (1.0, 2.0, 5000.0):
        again = _exchanged(code=used, now_s=now_s)
        assert isinstance(again, CodeRefused)
        assert (again.error.code, again.revoke) == (ErrorCode.INVALID_GRANT, "f")


_WRONG = [
    replace(_GOOD, client_id="d"),
    replace(_GOOD, verifier=None),
    replace(_GOOD, verifier="w" * 43),
    replace(_GOOD, verifier=""),
    replace(_GOOD, redirect_uri="https://app.example/other"),
    replace(_GOOD, redirect_uri=f"{WEB}/"),
]


@pytest.mark.parametrize("presented", _WRONG)
def test_rows_5_and_7_who_fails_a_check_harms_nobody(presented: CodeExchange) -> None:
    """Wrong client, verifier or redirect: the code is not consumed, and no family is revoked."""
    for code in (_CODE, replace(_CODE, used_s=1.0)):
        refused = _exchanged(presented, code)
        assert isinstance(refused, CodeRefused)
        assert (refused.error.code, refused.revoke) == (ErrorCode.INVALID_GRANT, None)


def test_row_31_unknown_and_foreign_codes_look_the_same() -> None:
    unknown, foreign = _exchanged(code=None), _exchanged(_WRONG[0])
    assert isinstance(unknown, CodeRefused)
    assert isinstance(foreign, CodeRefused)
    assert unknown.error.body() == foreign.error.body()


def test_a_code_lives_for_60_seconds() -> None:
    assert isinstance(_exchanged(now_s=59.9), CodeAccepted)
    late = _exchanged(now_s=60.0)
    assert isinstance(late, CodeRefused)
    assert late.revoke is None


def test_the_redirect_may_be_left_out() -> None:
    """OAuth 2.1: the verifier takes its place."""
    assert isinstance(_exchanged(replace(_GOOD, redirect_uri=None)), CodeAccepted)


@pytest.mark.parametrize("resource", ["https://other.example/", f"{R}/servers/x/mcp", "x"])
def test_a_wrong_resource_is_told_before_the_code_is_used(resource: str) -> None:
    """RFC 8707: invalid_target, and the client may try again."""
    refused = _exchanged(replace(_GOOD, resource=resource))
    assert isinstance(refused, CodeRefused)
    assert (refused.error.code, refused.revoke) == (ErrorCode.INVALID_TARGET, None)


def test_a_resource_may_be_left_out_or_narrowed() -> None:
    left_out = _exchanged(replace(_GOOD, resource=None))
    assert isinstance(left_out, CodeAccepted)
    assert left_out.resource == f"{R}/mcp"
    wide = _exchanged(_GOOD, replace(_CODE, resource=R))
    assert isinstance(wide, CodeAccepted)
    assert wide.resource == f"{R}/mcp"


def test_secrets_do_not_show_in_a_repr() -> None:
    """Row 30."""
    assert VERIFIER not in repr(_GOOD)
    assert _CODE.challenge not in repr(_CODE)


@given(st.lists(st.sampled_from([_GOOD, *_WRONG]), max_size=10))
def test_row_7_of_any_exchanges_one_wins(tries: list[CodeExchange]) -> None:
    """Whatever was tried before: the first good one, and no other; the second good one revokes."""
    code, wins, revocations = _CODE, 0, 0
    for presented in tries:
        decision = _exchanged(presented, code)
        if isinstance(decision, CodeAccepted):
            code, wins = decision.code, wins + 1
        elif decision.revoke:
            revocations += 1
    good = tries.count(_GOOD)
    assert (wins, revocations) == (min(good, 1), max(good - 1, 0))
