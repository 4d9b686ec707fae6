"""Sign-ins under way: of one browser session, once, for ten minutes, and sealed."""

from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.task import Clock

from mcptunnel.auth.oidc.sign_in import LIFETIME_S, Attempt
from mcptunnel.auth.tokens import hash_token
from mcptunnel.relay.login import attempts
from mcptunnel.relay.login.attempts import BegunSignIn, SignInsUnderWay
from mcptunnel.store.oauth.requests import AuthRequest, AuthRequests
from mcptunnel.store.people.browsers import BrowserSessions
from tests.relay.coroutines import now
from tests.relay.login.chance import Chance
from tests.relay.store_at_once import StoreAtOnce
from tests.store.samples import browser_session

ATTEMPT = Attempt(issuer="i", state="st", nonce="no", verifier="ve", started_s=0.0)


@pytest.fixture
def clock(store: StoreAtOnce) -> Clock:
    store.database.write(
        lambda c: BrowserSessions(c).add(replace(browser_session(), expires_s=1e9), at_most=9)
    )
    return Clock()


def under_way(store: StoreAtOnce, clock: Clock, secret: bytes = b"s" * 32) -> SignInsUnderWay:
    return SignInsUnderWay(store, secret=lambda: secret, random=Chance(), epoch_s=clock.seconds)


def session_id() -> str:
    return browser_session().id


def test_an_attempt_comes_back_once(store: StoreAtOnce, clock: Clock) -> None:
    kept = under_way(store, clock)
    now(kept.keep(ATTEMPT, session_id(), "/device"))
    assert now(kept.take("st", "another")) is None
    assert now(kept.take("other", session_id())) is None
    assert now(kept.take("st", session_id())) == BegunSignIn(ATTEMPT, "/device")
    assert now(kept.take("st", session_id())) is None


def test_it_is_forgotten_after_ten_minutes(store: StoreAtOnce, clock: Clock) -> None:
    kept = under_way(store, clock)
    now(kept.keep(ATTEMPT, session_id(), "/"))
    clock.advance(LIFETIME_S)
    assert now(kept.take("st", session_id())) is None


def test_what_is_stored_cannot_be_read(store: StoreAtOnce, clock: Clock) -> None:
    now(under_way(store, clock).keep(ATTEMPT, session_id(), "/"))

    def back(connection: Any) -> AuthRequest | None:
        return AuthRequests(connection).come_back(hash_token("st"), session_id(), 1.0)

    stored = store.database.write(back)
    assert stored is not None
    assert stored.sealed_upstream is not None
    assert not {"st", "no", "ve"} & set(stored.sealed_upstream.split('"'))


def test_with_another_secret_it_is_none(store: StoreAtOnce, clock: Clock) -> None:
    now(under_way(store, clock).keep(ATTEMPT, session_id(), "/"))
    assert now(under_way(store, clock, b"t" * 32).take("st", session_id())) is None


def test_threat_27_strangers_who_begin_keep_nobody_out(
    store: StoreAtOnce, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is room for so many; then the oldest ends."""
    monkeypatch.setattr(attempts, "AT_MOST", 2)
    ways = under_way(store, clock)
    for number in range(3):
        clock.advance(1)
        now(ways.keep(replace(ATTEMPT, state=f"st{number}"), session_id(), "/"))
    found = [now(ways.take(f"st{number}", session_id())) is not None for number in range(3)]
    assert found == [False, True, True]
