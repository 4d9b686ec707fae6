"""Tokens to what they give: checked, remembered for a moment, forgotten at once when revoked."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.auth.keys import IssuedKey, Scope
from mcptunnel.model import Principal
from mcptunnel.relay import credentials as module
from mcptunnel.relay.access import Access, Revoked, access_of_key
from mcptunnel.relay.api_keys import ApiKeys
from mcptunnel.relay.credentials import CACHE_S, Credentials
from mcptunnel.store.errors import StoreError
from tests.relay.keys import MemoryKeys


class MemoryTokens:
    """Another kind of tokens (`credentials.BearerCheck`)."""

    prefix = "test_"

    def __init__(self) -> None:
        self.known: dict[str, Access] = {}
        self.used_count = 0

    async def find(self, token: str) -> Access | None:
        return self.known.get(token)

    def used(self, access: Access) -> None:
        self.used_count += 1

    def revoked(self, revoked: Revoked) -> None:
        for token, access in list(self.known.items()):
            if revoked.takes(access):
                del self.known[token]

    def issue(self, token: str, expires_s: float, client_id: str = "c") -> Access:
        alice = Principal("local", "alice")
        self.known[token] = Access(
            alice, f"oauth:g:{client_id}", "g", token, ("mcp",), client_id, expires_s=expires_s
        )
        return self.known[token]


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.keys = MemoryKeys()
        self.epoch_s = 1000.0
        self.tokens = MemoryTokens()
        checks = (ApiKeys(self.keys, self.clock.seconds), self.tokens)
        self.credentials = Credentials(checks, self.clock.seconds, lambda: self.epoch_s)

    def check(self, token: str) -> list[Access | None]:
        """Start a check; what comes of it is put into the list."""
        found: list[Access | None] = []
        Deferred.fromCoroutine(self.credentials.check(token)).addCallback(found.append)
        return found

    def revoke(self, key: IssuedKey) -> None:
        self.keys.revoke(key)
        self.credentials.revoked(Revoked(grant_id=key.record.id))


def test_a_known_key_gives_access() -> None:
    bench = Bench()
    key = bench.keys.issue("alice", Scope.AGENT)
    (access,) = bench.check(key.text)
    assert access == access_of_key(Principal("local", "alice"), key.record.id, Scope.AGENT, 1.0)


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


def test_each_kind_of_token_has_its_own_check() -> None:
    bench = Bench()
    access = bench.tokens.issue("test_1", 5000.0)
    assert bench.check("test_1") == [access]
    assert bench.check("test_2") == [None]
    assert bench.credentials.cached("test_1") == access
    assert not bench.keys.asked
    assert bench.tokens.used_count == 1


def test_a_token_is_remembered_no_longer_than_it_lives() -> None:
    bench = Bench()
    access = bench.tokens.issue("test_1", bench.epoch_s + 2.0)
    assert bench.check("test_1") == [access]
    bench.clock.advance(1.9)
    assert bench.credentials.cached("test_1") == access
    bench.clock.advance(0.2)
    bench.epoch_s += 2.1
    assert bench.credentials.cached("test_1") is None
    assert bench.check("test_1") == [None]
    assert bench.tokens.used_count == 1


@pytest.mark.parametrize(
    ("revoked", "left"),
    [
        (Revoked(client_id="c"), [False, True]),
        (Revoked(credential_id="test_2"), [True, False]),
        (Revoked(grant_id="g"), [False, False]),
        (Revoked(principal=Principal("local", "alice")), [False, False]),
        (Revoked(principal=Principal("local", "bob")), [True, True]),
    ],
)
def test_whatever_was_taken_away_is_forgotten(revoked: Revoked, left: list[bool]) -> None:
    bench = Bench()
    bench.tokens.issue("test_1", 5000.0)
    bench.tokens.issue("test_2", 5000.0, "d")
    for token in ("test_1", "test_2"):
        bench.check(token)
    bench.credentials.revoked(revoked)
    tokens = ("test_1", "test_2")
    assert [bench.credentials.cached(one) is not None for one in tokens] == left
    assert [one in bench.tokens.known for one in tokens] == left
