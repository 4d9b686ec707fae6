"""The built-in login, where pages do not show it: how long it takes, and for whom."""

from contextlib import suppress
from typing import Any

import pytest
from argon2.profiles import CHEAPEST
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.relay.login.changes import offer
from mcptunnel.relay.login.local_login import WRONG, LocalLogin, RefusedError
from mcptunnel.relay.login.passwords import PasswordHashes
from mcptunnel.relay.login.throttle import SignInThrottle
from mcptunnel.relay.oauth.throttling import BusyError
from mcptunnel.store.people.invitations import InvitationKind
from tests.relay.coroutines import now
from tests.relay.login.threads import ReactorAtOnce, ThreadsAtOnce
from tests.relay.store_at_once import StoreAtOnce
from tests.store.samples import digest

PASSWORD, ADDRESS = "correct horse", "192.0.2.1"


class CountedHashes(PasswordHashes):
    """Counts how often a whole hash is worked out."""

    checks = 0

    def __init__(self) -> None:
        reactor: Any = ReactorAtOnce()
        super().__init__(reactor, ThreadsAtOnce(), CHEAPEST)

    def _check(self, argon2: str | None, password: str) -> bool:
        self.checks += 1
        return super()._check(argon2, password)


@pytest.fixture
def hashes() -> CountedHashes:
    return CountedHashes()


@pytest.fixture
def login(store: StoreAtOnce, hashes: CountedHashes) -> LocalLogin:
    throttle = SignInThrottle(Clock().seconds)
    login = LocalLogin(store, hashes, throttle, epoch_s=lambda: 1.0, revoked=lambda _r: None)
    kind = InvitationKind.SETUP
    store.database.write(lambda c: offer(c, kind, digest("t"), now_s=0.0))
    now(login.join(kind, digest("t"), "anna", PASSWORD, ADDRESS))
    return login


@pytest.mark.parametrize(
    ("name", "password"), [("anna", "wrong"), ("nobody", PASSWORD), ("", ""), ("anna\0", "x")]
)
def test_threat_31_every_refusal_costs_one_hash(
    login: LocalLogin, hashes: CountedHashes, name: str, password: str
) -> None:
    """Nobody learns from the time it takes who is a user."""
    with pytest.raises(RefusedError, match=WRONG):
        now(login.sign_in(name, password, ADDRESS))
    assert hashes.checks == 1


def test_threat_13_who_has_to_wait_costs_none(login: LocalLogin, hashes: CountedHashes) -> None:
    for _ in range(5):
        with pytest.raises(RefusedError):
            now(login.sign_in("anna", "wrong", ADDRESS))
    checks = hashes.checks
    with pytest.raises(BusyError) as caught:
        now(login.sign_in("anna", PASSWORD, ADDRESS))
    assert caught.value.is_fault_of_client
    assert hashes.checks == checks


def test_the_right_one_signs_in(login: LocalLogin) -> None:
    person = now(login.sign_in("Anna", PASSWORD, ADDRESS))
    assert (person.principal.subject, person.display_name) == ("anna", "anna")
    assert isinstance(Deferred.fromCoroutine(login.sign_in("anna", PASSWORD, ADDRESS)), Deferred)


def test_threat_13_who_chose_another_password_comes_in_there_whatever_others_try(
    login: LocalLogin, store: StoreAtOnce
) -> None:
    """A link helps a person out who was kept out by others that guess, from where they never signed in before."""
    new_place, chosen = "192.0.2.99", "another horse"
    for number in range(35):
        with suppress(RefusedError, BusyError):
            now(login.sign_in("anna", "wrong", f"198.51.100.{number}"))
    with pytest.raises(BusyError):
        now(login.sign_in("anna", PASSWORD, new_place))
    kind = InvitationKind.RESET
    store.database.write(lambda c: offer(c, kind, digest("r"), now_s=0.0, name="anna"))
    now(login.join(kind, digest("r"), "anna", chosen, new_place))
    assert now(login.sign_in("anna", chosen, new_place)).principal.subject == "anna"
