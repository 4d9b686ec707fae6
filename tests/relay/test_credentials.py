"""Tokens to what they give: checked, remembered for a moment, forgotten at once when revoked."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.auth.keys import IssuedKey, Scope
from mcptunnel.model import Principal
from mcptunnel.relay import credentials as module
from mcptunnel.relay.access import Access
from mcptunnel.relay.credentials import CACHE_S, TOUCH_EVERY_S, Credentials
from mcptunnel.store.errors import StoreError
from tests.conftest import LoggedFailures
from tests.relay.keys import MemoryKeys


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.keys = MemoryKeys()
        self.credentials = Credentials(self.keys, self.clock.seconds)

    def check(self, token: str) -> list[Access | None]:
        """Start a check; what comes of it is put into the list."""
        found: list[Access | None] = []
        Deferred.fromCoroutine(self.credentials.check(token)).addCallback(found.append)
        return found

    def revoke(self, key: IssuedKey) -> None:
        self.keys.revoke(key)
        self.credentials.revoked(key.record.id)


def test_a_known_key_gives_access() -> None:
    bench = Bench()
    key = bench.keys.issue("alice", Scope.AGENT)
    (access,) = bench.check(key.text)
    key_id = key.record.id
    assert access == Access(Principal("local", "alice"), f"key:{key_id}", key_id, Scope.AGENT)


def test_a_mistyped_token_never_reaches_the_store() -> None:
    bench = Bench()
    key = bench.keys.issue()
    last = "0" if key.text[-1] != "0" else "1"
    for token in ("", "x", key.text[:-1] + last, key.text + " ", "\udcff\u00e4"):
        assert bench.check(token) == [None]
        assert bench.credentials.cached(token) is None
    assert not bench.keys.asked


def test_unknown_and_revoked_keys_are_nobodys() -> None:
    bench, other = Bench(), MemoryKeys()
    known = bench.keys.issue()
    unknown = [other.issue() for _ in range(2)][1]
    assert bench.check(unknown.text) == [None]
    bench.keys.revoke(known)
    assert bench.check(known.text) == [None]
    assert bench.credentials.cached(known.text) is None


def test_the_id_of_a_key_is_not_enough() -> None:
    """Another secret under a known id is refused."""
    bench, other = Bench(), MemoryKeys()
    key = bench.keys.issue()
    forged = other.issue()
    assert forged.record.id == key.record.id
    bench.keys._stored[key.record.id] = bench.keys._stored[key.record.id]._replace(
        secret_hash=bytes(32)
    )
    assert bench.check(forged.text) == [None]


def test_a_check_is_remembered_for_a_moment() -> None:
    bench = Bench()
    key = bench.keys.issue()
    (access,) = bench.check(key.text)
    bench.clock.advance(CACHE_S - 0.1)
    assert bench.credentials.cached(key.text) == access
    bench.clock.advance(0.2)
    assert bench.credentials.cached(key.text) is None


def test_no_secret_is_kept() -> None:
    bench = Bench()
    key = bench.keys.issue()
    bench.check(key.text)
    assert key.text not in repr(vars(bench.credentials))


def test_a_revoked_key_is_forgotten_at_once() -> None:
    bench = Bench()
    key, other = bench.keys.issue(), bench.keys.issue()
    bench.check(key.text)
    bench.check(other.text)
    bench.revoke(key)
    assert bench.credentials.cached(key.text) is None
    assert bench.credentials.cached(other.text) is not None


def test_a_key_revoked_while_it_is_looked_up_is_refused() -> None:
    """The store's answer was read before the revocation, and comes after it."""
    bench = Bench()
    key = bench.keys.issue()
    gate = bench.keys.gate = Deferred()
    found = bench.check(key.text)
    bench.revoke(key)
    gate.callback(None)
    assert found == [None]
    assert bench.credentials.cached(key.text) is None


def test_use_is_noted_now_and_then() -> None:
    bench = Bench()
    key = bench.keys.issue()
    bench.check(key.text)
    bench.check(key.text)
    assert bench.keys.touched == [key.record.id]
    bench.clock.advance(TOUCH_EVERY_S)
    bench.check(key.text)
    assert len(bench.keys.touched) == 2


def test_a_use_that_cannot_be_noted_hurts_nobody(logged_failures: LoggedFailures) -> None:
    bench = Bench()
    key = bench.keys.issue()
    bench.keys.touch_error = StoreError("no")
    (access,) = bench.check(key.text)
    assert access is not None
    assert logged_failures.take(StoreError)


def test_a_store_that_fails_is_told() -> None:
    bench = Bench()
    bench.keys.error = StoreError("no")
    checking = Deferred.fromCoroutine(bench.credentials.check(bench.keys.issue().text))
    errors: list[object] = []
    checking.addErrback(lambda failure: errors.append(failure.trap(StoreError)))
    assert errors == [StoreError]


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHE_ENTRIES", 2)
    bench = Bench()
    keys = [bench.keys.issue() for _ in range(3)]
    for key in keys:
        bench.check(key.text)
    cached = [bench.credentials.cached(key.text) is not None for key in keys]
    assert cached == [False, True, True]
