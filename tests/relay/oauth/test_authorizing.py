"""Requests that are kept, decided about, and ended once; the pages have their own tests."""

import pytest

from mcptunnel.auth.authorization import AskConsent, ConsentRemembered, ErrorPage, LogIn
from mcptunnel.auth.parameters import Parameters
from mcptunnel.auth.pkce import challenge_of
from mcptunnel.relay.oauth.authorizing import Asked, Authorizing, Visitor
from mcptunnel.relay.oauth.clients import ClientDirectory, PinnedDocuments
from mcptunnel.relay.oauth.settings import REQUEST_LIFETIME_S
from mcptunnel.store.people.browsers import BrowserSession, BrowserSessions
from tests.relay.coroutines import now
from tests.relay.oauth.parts import ALICE, APP, CALLBACK, VERIFIER, Parts

SESSION = "session"
PARAMETERS = Parameters(
    {
        "client_id": APP.id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        "prompt": "consent",
    },
    frozenset(),
)


@pytest.fixture
def authorizing(parts: Parts) -> Authorizing:
    for session_id in (SESSION, "other"):
        session = BrowserSession(
            id=session_id,
            secret_hash=session_id.encode().ljust(32),
            principal=ALICE,
            sealed_csrf="",
            created_s=parts.now_s,
            last_used_s=parts.now_s,
            expires_s=parts.now_s + 10_000,
        )

        def add(connection: object, session: BrowserSession = session) -> bool:
            return BrowserSessions(connection).add(session, at_most=9)  # type: ignore[arg-type] # the store says what it is

        parts.database.write(add)
    return Authorizing(parts.around, ClientDirectory(parts.around, PinnedDocuments({})))


def asked(authorizing: Authorizing) -> Asked:
    return authorizing.asked_now(PARAMETERS)


def test_what_is_meant_of_a_request_is_kept(parts: Parts, authorizing: Authorizing) -> None:
    """Unknown parameters were ignored; to keep them would only take room."""
    wanted = Asked(PARAMETERS, parts.now_s)
    more = Asked(Parameters({**PARAMETERS.values, "more": "x" * 10_000}), parts.now_s)
    request_id = now(authorizing.keep(more, SESSION))
    assert request_id is not None
    assert now(authorizing.kept(request_id, SESSION)) == wanted
    assert now(authorizing.kept(request_id, "other")) is None
    assert now(authorizing.kept("unknown", SESSION)) is None
    parts.clock.advance(REQUEST_LIFETIME_S)
    assert now(authorizing.kept(request_id, SESSION)) is None


def test_the_decision_follows_who_is_there(parts: Parts, authorizing: Authorizing) -> None:
    wanted, here = asked(authorizing), Visitor(ALICE, parts.now_s)
    assert isinstance(now(authorizing.decide(wanted, Visitor(), "192.0.2.1")), LogIn)
    assert isinstance(now(authorizing.decide(wanted, here, "192.0.2.1")), AskConsent)
    nobody = Asked(Parameters({"client_id": "nobody"}, frozenset()), parts.now_s)
    assert isinstance(now(authorizing.decide(nobody, here, "192.0.2.1")), ErrorPage)
    nameless = Asked(Parameters({}, frozenset()), parts.now_s)
    assert isinstance(now(authorizing.decide(nameless, here, "192.0.2.1")), ErrorPage)


def test_of_two_answers_the_first_counts(parts: Parts, authorizing: Authorizing) -> None:
    wanted = asked(authorizing)
    request_id = now(authorizing.keep(wanted, SESSION))
    step = now(authorizing.decide(wanted, Visitor(ALICE, parts.now_s), "192.0.2.1"))
    assert request_id is not None
    assert isinstance(step, AskConsent)
    kept = request_id, SESSION
    assert now(authorizing.agree(step, (request_id, "other"), "a")) is None
    location = now(authorizing.agree(step, kept, "a"))
    assert location is not None
    assert location.startswith(f"{CALLBACK}?code=mcpt_ac_")
    assert now(authorizing.deny(step, kept, "a")) is None
    assert now(authorizing.agree(step, kept, "a")) is None
    assert [event.event for event in parts.events()] == ["consent.given"]


def test_only_what_is_remembered_needs_no_request(parts: Parts, authorizing: Authorizing) -> None:
    step = now(authorizing.decide(asked(authorizing), Visitor(ALICE, parts.now_s), "192.0.2.1"))
    assert isinstance(step, AskConsent)
    with pytest.raises(ValueError, match="consent"):
        now(authorizing.agree(step, None, "a"))
    remembered = ConsentRemembered(step.request, ALICE)
    assert now(authorizing.agree(remembered, None, "a")) is not None
    assert [event.event for event in parts.events()] == ["consent.remembered"]
