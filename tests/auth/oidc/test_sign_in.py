"""One sign-in, there and back (threats 1, 9 and 28)."""

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from mcptunnel.auth.oidc.errors import SignInError
from mcptunnel.auth.oidc.sign_in import (
    Attempt,
    begin,
    callback_code,
    pack,
    sign_in_url,
    token_request,
    unpack,
)
from mcptunnel.auth.parameters import Parameters
from mcptunnel.auth.pkce import challenge_of
from tests.auth.oidc.op import NOW_S, OP, PARTY, attempt, provider


def _called_back(
    given: Attempt | None = None,
    *,
    now_s: float = NOW_S,
    sends_iss: bool = False,
    **changes: str | None,
) -> str:
    values = {"code": "x", "state": attempt().state, "iss": OP, **changes}
    return callback_code(
        Parameters({name: value for name, value in values.items() if value is not None}),
        given or attempt(),
        replace(provider(), sends_iss=sends_iss),
        now_s=now_s,
    )


def test_where_the_browser_goes() -> None:
    """State, nonce and challenge are three different things."""
    under_way = attempt()
    location = sign_in_url(
        provider(), PARTY, under_way, login_hint="alice", extra={"hd": "x", "state": "y"}
    )
    assert location.startswith(f"{OP}/auth?")
    assert dict(parse_qsl(urlsplit(location).query)) == {
        "hd": "x",
        "response_type": "code",
        "client_id": "mcptunnel",
        "redirect_uri": "https://relay.example/callback",
        "scope": "openid profile email",
        "state": under_way.state,
        "nonce": under_way.nonce,
        "code_challenge": challenge_of(under_way.verifier),
        "code_challenge_method": "S256",
        "login_hint": "alice",
    }
    assert len({under_way.state, under_way.nonce, under_way.verifier}) == 3


def test_openid_is_always_asked_for() -> None:
    location = sign_in_url(provider(), replace(PARTY, scopes=("email",)), attempt())
    assert dict(parse_qsl(urlsplit(location).query))["scope"] == "openid email"


def test_signing_in_again_is_asked_for() -> None:
    query = dict(parse_qsl(urlsplit(sign_in_url(provider(), PARTY, attempt(again=True))).query))
    assert (query["prompt"], query["max_age"]) == ("login", "0")


def test_a_query_of_the_provider_is_kept() -> None:
    location = sign_in_url(provider(authorization_endpoint=f"{OP}/auth?p=1"), PARTY, attempt())
    assert location.startswith(f"{OP}/auth?p=1&")


def test_secrets_do_not_show_in_a_repr() -> None:
    """Row 30."""
    under_way = attempt()
    for secret in (under_way.state, under_way.nonce, under_way.verifier):
        assert secret not in repr(under_way)


def test_a_code_comes_back() -> None:
    assert _called_back() == "x"
    assert _called_back(iss=None) == "x"
    assert _called_back(sends_iss=True) == "x"


@pytest.mark.parametrize("state", [None, "", "wrong", "ä"])
def test_row_1_a_callback_that_nobody_began_signs_nobody_in(state: str | None) -> None:
    """Login CSRF: the state is the session's, or nothing."""
    with pytest.raises(SignInError):
        _called_back(state=state)
    with pytest.raises(SignInError, match="did not begin"):
        callback_code(Parameters({"state": "x", "code": "x"}), None, provider(), now_s=NOW_S)


def test_row_1_a_sign_in_lasts_ten_minutes() -> None:
    assert _called_back(now_s=NOW_S + 600) == "x"
    with pytest.raises(SignInError, match="too long"):
        _called_back(now_s=NOW_S + 601)


@pytest.mark.parametrize(
    ("iss", "sends_iss"), [("https://evil.example", False), (f"{OP}/", False), (None, True)]
)
def test_row_9_an_answer_of_another_provider(iss: str | None, sends_iss: bool) -> None:
    """RFC 9207: exact if it is there, and it has to be there if that was promised."""
    with pytest.raises(SignInError, match="another provider"):
        _called_back(iss=iss, sends_iss=sends_iss)
    with pytest.raises(SignInError):
        _called_back(replace(attempt(), issuer="https://other.example"))


def test_a_refusal_of_the_provider_is_told() -> None:
    """What it says is shown without tricks; without a description its code is."""
    with pytest.raises(SignInError, match=r"sign you in: Not on my watch$"):
        _called_back(error="access_denied", error_description="Not on\u202e my\n watch", code=None)
    with pytest.raises(SignInError, match=r"access_denied$"):
        _called_back(error="access_denied")
    with pytest.raises(SignInError, match="did not begin"):
        _called_back(error="access_denied", state="wrong")


@pytest.mark.parametrize(
    ("code", "is_temporary"),
    [
        ("server_error", True),
        ("temporarily_unavailable", True),
        ("access_denied", False),
        ("login_required", False),
    ],
)
def test_a_provider_that_is_out_of_order_refuses_nobody(code: str, is_temporary: bool) -> None:
    """RFC 6749, 4.1.2.1: the application may try again later, and hears that."""
    with pytest.raises(SignInError) as refused:
        _called_back(error=code, error_description="Maintenance", code=None)
    assert str(refused.value).endswith(": Maintenance")
    assert refused.value.is_temporary is is_temporary


def test_no_code_and_codes_twice() -> None:
    with pytest.raises(SignInError, match="no code"):
        _called_back(code=None)
    twice = Parameters({"state": attempt().state}, frozenset({"code"}))
    with pytest.raises(SignInError, match="not valid"):
        callback_code(twice, attempt(), provider(), now_s=NOW_S)


def test_the_verifier_goes_with_the_code() -> None:
    assert token_request(PARTY, attempt(), "x") == {
        "grant_type": "authorization_code",
        "code": "x",
        "redirect_uri": PARTY.redirect_uri,
        "client_id": "mcptunnel",
        "code_verifier": attempt().verifier,
    }


def test_a_sign_in_wants_all_its_random() -> None:
    with pytest.raises(ValueError, match="96 random bytes"):
        begin(provider(), random=bytes(32), now_s=0.0)


def test_attempts_are_kept_as_bytes() -> None:
    """What comes back is what went in; what another version kept is nothing."""
    for again in (False, True):
        kept = attempt(again=again)
        assert unpack(pack(kept)) == kept
    for other in (b"", b"{}", b"[]", b'{"state":"x"}', pack(attempt())[:-1] + b',"more":1}'):
        assert unpack(other) is None
