"""A grant knows when to be renewed, and is written so that nothing half or strange is believed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.agent.sign_in.grant import DamagedError, Grant
from mcptunnel.config.secret import Secret
from tests.agent.sign_in import access, grant, refresh, tokens


@pytest.mark.parametrize(
    ("lifetime_s", "now_s", "is_fresh", "is_alive"),
    [
        (3600, 1000, True, True),
        (3600, 4299, True, True),
        (3600, 4300, False, True),
        (3600, 4599, False, True),
        (3600, 4600, False, False),
        (60, 1044, True, True),
        (60, 1045, False, True),
        (3600, 999, False, False),
        (0, 1000, False, False),
    ],
)
def test_when_it_is_good(lifetime_s: float, now_s: float, is_fresh: bool, is_alive: bool) -> None:
    """It is renewed five minutes early, or in its last quarter; a clock set back is not believed."""
    one = grant(received_s=1000, lifetime_s=lifetime_s)
    assert (one.is_fresh(now_s), one.is_alive(now_s)) == (is_fresh, is_alive)


def test_a_renewed_grant_keeps_its_refresh_token_if_there_is_no_new_one() -> None:
    given_tokens = tokens(2)
    assert grant().renewed(given_tokens, 5.0).refresh_token == Secret(refresh(2))
    silent = type(given_tokens)(
        access_token=given_tokens.access_token, refresh_token=None, lifetime_s=60.0
    )
    renewed = grant().renewed(silent, 5.0)
    assert renewed.refresh_token == Secret(refresh(1))
    assert (renewed.access_token, renewed.received_s) == (Secret(access(2)), 5.0)
    with pytest.raises(DamagedError, match="no refresh token"):
        Grant.begun("https://relay.test", silent, 0.0)


def test_it_is_read_as_it_was_written() -> None:
    one = Grant.begun("https://relay.test", tokens(7), 1234.5)
    assert Grant.from_bytes(one.to_bytes()) == one


@given(st.data())
def test_half_of_it_is_refused(data: st.DataObject) -> None:
    """Wherever it was cut: a file that is not whole is no sign-in."""
    whole = grant().to_bytes()
    end = data.draw(st.integers(0, len(whole) - 3))
    with pytest.raises(DamagedError):
        Grant.from_bytes(whole[:end])


@given(st.binary(max_size=300) | st.text().map(str.encode))
def test_anything_else_is_refused(raw: bytes) -> None:
    with pytest.raises(DamagedError):
        Grant.from_bytes(raw)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "another version"),
        ({"version": None}, "another version"),
        ({"relay": ""}, "no access token"),
        ({"access_token": refresh()}, "no access token"),
        ({"access_token": 5}, "no access token"),
        ({"refresh_token": access()}, "no refresh token"),
        ({"refresh_token": refresh() + "\n"}, "no refresh token"),
        ({"received_s": "now"}, "no refresh token"),
        ({"lifetime_s": -1}, "no refresh token"),
    ],
)
def test_what_is_wrong_is_told_without_repeating_it(change: dict[str, object], said: str) -> None:
    members = json.loads(grant().to_bytes()) | change
    with pytest.raises(DamagedError, match=said) as caught:
        Grant.from_bytes(json.dumps(members).encode())
    assert "mcpt_" not in str(caught.value)


def test_its_tokens_do_not_show() -> None:
    assert "mcpt_" not in repr(grant())
    assert "mcpt_" not in repr(tokens(1))
