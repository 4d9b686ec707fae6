"""The decision of /authorize."""

import contextlib
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth.authorization import (
    AskConsent,
    ConsentRemembered,
    Decision,
    ErrorPage,
    ErrorRedirect,
    LogIn,
    SignedIn,
    decide,
    named_client,
)
from mcptunnel.auth.clients import Client, ClientKind
from mcptunnel.auth.consent import consent_to
from mcptunnel.auth.errors import OAuthError
from mcptunnel.auth.parameters import Parameters, parse_parameters
from tests.auth.requests import ALICE, WEB, R, client, parameters, request

_NOW_S = 1000.0


def _decided(
    given_parameters: Parameters,
    signed_in: SignedIn | None = None,
    known: Client | None = None,
    started_s: float = _NOW_S,
) -> Decision:
    return decide(
        given_parameters,
        known or client(),
        signed_in,
        issuer=R,
        origin_wide=True,
        started_s=started_s,
        now_s=_NOW_S,
    )


def _alice(signed_in_s: float = 500.0, *, remembered: bool = False) -> SignedIn:
    consent = consent_to(request(), ALICE)
    assert consent is not None
    consents = [consent] if remembered else []
    return SignedIn(principal=ALICE, signed_in_s=signed_in_s, consents=consents)


def test_row_1_first_sign_in_then_consent() -> None:
    """No code without a person who is signed in and agreed."""
    assert _decided(parameters()) == LogIn(request(), again=False)
    assert _decided(parameters(), _alice()) == AskConsent(request(), ALICE)


def test_row_2_consent_is_remembered() -> None:
    assert _decided(parameters(), _alice(remembered=True)) == ConsentRemembered(request(), ALICE)
    asked = _decided(parameters(prompt="consent"), _alice(remembered=True))
    assert isinstance(asked, AskConsent)


def test_row_2_claude_code_is_never_silent() -> None:
    native = client(redirect_uris=("http://localhost/callback",))
    given_parameters = parameters(redirect_uri="http://localhost:5000/callback", prompt="consent")
    decision = _decided(given_parameters, _alice(remembered=True), native)
    assert isinstance(decision, AskConsent)
    assert decision.request.redirect_uri == "http://localhost:5000/callback"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "d"},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/cb"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": f"{WEB}/"},
    ],
)
def test_row_4_an_unknown_client_or_redirect_gets_a_page(changes: dict[str, str | None]) -> None:
    """Whatever else is wrong, and whoever is signed in: the browser is sent nowhere."""
    for more in ({}, {"response_type": None}, {"prompt": "none"}):
        decision = _decided(parameters(**{**changes, **more}), _alice(remembered=True))
        assert isinstance(decision, ErrorPage)
        assert "evil" not in decision.message


def test_row_4_no_such_client() -> None:
    decision = decide(
        parameters(), None, _alice(), issuer=R, origin_wide=True, started_s=0.0, now_s=_NOW_S
    )
    assert isinstance(decision, ErrorPage)


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_row_4_two_clients_or_redirects_get_a_page(name: str) -> None:
    twice = Parameters(parameters(**{name: None}).values, frozenset({name}))
    assert isinstance(_decided(twice), ErrorPage)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"resource": "https://other.example/"}, "invalid_target"),
        ({"prompt": "none"}, "login_required"),
    ],
)
def test_rows_6_and_9_errors_go_back_with_iss_and_state(
    changes: dict[str, str | None], error: str
) -> None:
    decision = _decided(parameters(**changes))
    assert isinstance(decision, ErrorRedirect)
    assert decision.location.startswith(f"{WEB}?")
    query = parse_qs(urlsplit(decision.location).query)
    assert (query["error"], query["iss"], query["state"]) == ([error], [R], ["s t&a"])
    assert decision.code.value == error


@pytest.mark.parametrize(
    ("known", "signed_in", "is_asked"),
    [
        (client(), None, True),
        (client(), _alice(), True),
        (client(kind=ClientKind.DOCUMENT), _alice(), True),
        (client(), _alice(remembered=True), False),
        (client(kind=ClientKind.STATIC), None, False),
    ],
)
def test_row_4_a_mistake_on_purpose_sends_nobody_to_a_stranger(
    known: Client, signed_in: SignedIn | None, *, is_asked: bool
) -> None:
    """Whom neither the operator nor the person knows is not gone to unasked, with `prompt=none` neither."""
    for changes in ({"response_type": "x"}, {"prompt": "none", "scope": "mcp offline_access"}):
        decision = _decided(parameters(**changes), signed_in, known)
        assert isinstance(decision, ErrorRedirect)
        assert (decision.ask_about is not None) == is_asked


def test_row_4_a_program_on_the_own_machine_is_told_at_once() -> None:
    """It waits for the answer, and is no web site."""
    for uri in ("http://127.0.0.1:5000/callback", "cursor://anysphere/callback"):
        native = client(redirect_uris=(uri,))
        decision = _decided(parameters(redirect_uri=uri, response_type="x"), None, native)
        assert isinstance(decision, ErrorRedirect)
        assert decision.ask_about is None


def test_a_repeated_state_is_not_given_back() -> None:
    twice = Parameters(parameters(state=None).values, frozenset({"state"}))
    decision = _decided(twice, _alice())
    assert isinstance(decision, ErrorRedirect)
    assert "state=" not in decision.location
    assert "iss=" in decision.location


def test_prompt_none_asks_nobody() -> None:
    silent = parameters(prompt="none")
    assert isinstance(_decided(silent, _alice(remembered=True)), ConsentRemembered)
    decision = _decided(silent, _alice())
    assert isinstance(decision, ErrorRedirect)
    assert decision.code == "consent_required"


@pytest.mark.parametrize("prompt", ["login", "select_account", "consent login"])
def test_prompt_login_asks_once(prompt: str) -> None:
    """Who signed in after the request began has done it: no loop."""
    again = parameters(prompt=prompt)
    assert _decided(again, _alice(999.0)) == LogIn(
        request(prompt=frozenset(prompt.split())), again=True
    )
    assert isinstance(_decided(again, _alice(1000.0)), AskConsent)


@pytest.mark.parametrize(
    ("max_age", "signed_in_s", "again"),
    [("600", 500.0, False), ("499", 500.0, True), ("0", 999.0, True), ("0", 1000.0, False)],
)
def test_max_age_asks_who_signed_in_long_ago(max_age: str, signed_in_s: float, again: bool) -> None:
    decision = _decided(parameters(max_age=max_age), _alice(signed_in_s))
    assert isinstance(decision, LogIn) == again


def test_max_age_with_prompt_none() -> None:
    decision = _decided(parameters(max_age="1", prompt="none"), _alice(remembered=True))
    assert isinstance(decision, ErrorRedirect)
    assert decision.code == "login_required"


def test_which_client_a_request_names() -> None:
    assert named_client(parameters()) == "c"
    assert isinstance(named_client(parameters(client_id=None)), ErrorPage)
    assert isinstance(named_client(parameters(client_id="a b")), ErrorPage)


_NAMES = st.sampled_from(
    [
        "client_id",
        "redirect_uri",
        "state",
        "scope",
        "resource",
        "prompt",
        "max_age",
        "response_type",
        "x",
    ]
)
_VALUES = st.text(st.characters(codec="utf-8")) | st.sampled_from(["c", WEB, "code", "none", R])


@given(st.dictionaries(_NAMES, _VALUES), st.binary(), st.none() | st.just(_alice(remembered=True)))
def test_row_4_the_browser_goes_nowhere_but_to_the_client(
    changes: dict[str, str], noise: bytes, signed_in: SignedIn | None
) -> None:
    """Any parameters give a decision, and a location is always the registered redirect URI."""
    decisions = [_decided(Parameters({**parameters().values, **changes}), signed_in)]
    with contextlib.suppress(OAuthError):
        decisions.append(_decided(parse_parameters(noise), signed_in))
    for decision in decisions:
        if isinstance(decision, ErrorRedirect):
            assert decision.location.startswith(f"{WEB}?error=")
        elif not isinstance(decision, ErrorPage):
            assert decision.request.redirect_uri == WEB
