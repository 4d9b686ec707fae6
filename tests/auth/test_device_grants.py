"""The device grant (RFC 8628)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth import device_grants
from mcptunnel.auth.device_grants import (
    DeviceGrant,
    DeviceState,
    DeviceStep,
    PollAccepted,
    PollRefused,
    WrongCodes,
    code_wait_s,
    decided,
    device_response,
    one_more_wrong,
    poll,
    typed_user_code,
    user_code,
)
from mcptunnel.auth.errors import ErrorCode
from mcptunnel.auth.grants import FamilyId
from tests.auth.requests import ALICE, R

_RANDOM = st.binary(min_size=16, max_size=16)
_GRANT = DeviceGrant(
    hash=b"h",
    user_code="BCDF-GHJK",
    family=FamilyId("f"),
    client_id="agent",
    resource=f"{R}/tunnel",
    scopes=("agent",),
    expires_s=600.0,
)
_APPROVED = replace(_GRANT, state=DeviceState.APPROVED, principal=ALICE)


def _refused(decision: PollAccepted | PollRefused) -> PollRefused:
    assert isinstance(decision, PollRefused)
    return decision


@given(_RANDOM)
def test_user_codes_have_eight_letters_without_vowels(random: bytes) -> None:
    """And are read whatever a person makes of them."""
    code = user_code(random)
    assert len(code) == 9
    assert not set(code) & set("AEIOUY0123456789")
    for typed in (code, code.lower(), code.replace("-", ""), f" {code.replace('-', ' ')} "):
        assert typed_user_code(typed) == code


def test_user_codes_want_all_their_random() -> None:
    with pytest.raises(ValueError, match="16 random bytes"):
        user_code(bytes(8))


@given(st.text())
def test_any_typed_text_is_a_code_or_none(text: str) -> None:
    typed = typed_user_code(text)
    assert typed is None or typed_user_code(typed) == typed


@pytest.mark.parametrize("text", ["", "BCDF-GHJ", "BCDF-GHJKL", "ABCD-EFGH", "BCDF-GHJK" * 9])
def test_what_is_no_user_code(text: str) -> None:
    assert typed_user_code(text) is None


def test_the_answer_to_the_device() -> None:
    assert device_response(R, "mcpt_dc_x", _GRANT, 0.0) == {
        "device_code": "mcpt_dc_x",
        "user_code": "BCDF-GHJK",
        "verification_uri": f"{R}/device",
        "verification_uri_complete": f"{R}/device?user_code=BCDF-GHJK",
        "expires_in": 600,
        "interval": 5,
    }


def test_polling_too_fast_is_slowed_down() -> None:
    """RFC 8628, 3.5: 5 s more each time, up to a minute; on time is on time."""
    first = _refused(poll(_GRANT, "agent", 10.0))
    assert first.error.code is ErrorCode.AUTHORIZATION_PENDING
    assert first.grant is not None
    fast = _refused(poll(first.grant, "agent", 12.0))
    assert fast.error.code is ErrorCode.SLOW_DOWN
    assert fast.grant is not None
    assert fast.grant.interval_s == 10.0
    again = _refused(poll(fast.grant, "agent", 17.0))
    assert again.error.code is ErrorCode.SLOW_DOWN
    on_time = _refused(poll(fast.grant, "agent", 21.6))
    assert on_time.error.code is ErrorCode.AUTHORIZATION_PENDING
    slow = replace(_GRANT, interval_s=60.0, polled_s=0.0)
    assert _refused(poll(slow, "agent", 1.0)).grant == replace(slow, polled_s=1.0)


def test_an_approved_grant_is_exchanged_once() -> None:
    accepted = poll(_APPROVED, "agent", 1.0)
    assert accepted == PollAccepted(replace(_APPROVED, state=DeviceState.EXCHANGED), ALICE)
    assert isinstance(accepted, PollAccepted)
    assert _refused(poll(accepted.grant, "agent", 2.0)).error.code is ErrorCode.INVALID_GRANT


@pytest.mark.parametrize(
    ("grant", "client_id", "now_s", "code"),
    [
        (None, "agent", 1.0, ErrorCode.INVALID_GRANT),
        (_APPROVED, "other", 1.0, ErrorCode.INVALID_GRANT),
        (_APPROVED, "agent", 600.0, ErrorCode.EXPIRED_TOKEN),
        (_GRANT, "agent", 600.0, ErrorCode.EXPIRED_TOKEN),
        (replace(_GRANT, state=DeviceState.DENIED), "agent", 1.0, ErrorCode.ACCESS_DENIED),
        (replace(_APPROVED, principal=None), "agent", 1.0, ErrorCode.INVALID_GRANT),
    ],
)
def test_polls_that_are_refused(
    grant: DeviceGrant | None, client_id: str, now_s: float, code: ErrorCode
) -> None:
    refused = _refused(poll(grant, client_id, now_s))
    assert (refused.error.code, refused.grant) == (code, None)


@pytest.mark.parametrize("state", DeviceState)
@pytest.mark.parametrize("step", [DeviceStep.APPROVE, DeviceStep.DENY, DeviceStep.EXCHANGE])
def test_a_person_decides_once_and_in_time(state: DeviceState, step: DeviceStep) -> None:
    """Only what is pending can be approved or denied, by a person, before it expires."""
    after = decided(replace(_GRANT, state=state), step, ALICE, 1.0)
    if state is DeviceState.PENDING and step is not DeviceStep.EXCHANGE:
        assert after is not None
        assert after.state.value == {"approve": "approved", "deny": "denied"}[step.value]
        assert after.principal == ALICE
    else:
        assert after is None
    assert decided(replace(_GRANT, state=state), step, ALICE, 600.0) is None


def test_row_13_five_wrong_codes_are_enough_for_ten_minutes() -> None:
    wrong = WrongCodes()
    for number in range(device_grants.MAX_WRONG_CODES):
        assert code_wait_s(wrong, 100.0 + number) == 0
        wrong = one_more_wrong(wrong, 100.0 + number)
    assert code_wait_s(wrong, 106.0) == 594.0
    assert code_wait_s(wrong, 700.0) == 0
    assert one_more_wrong(wrong, 700.0) == WrongCodes(1, 700.0)


def test_the_user_code_does_not_show_in_a_repr() -> None:
    assert "BCDF" not in repr(_GRANT)
