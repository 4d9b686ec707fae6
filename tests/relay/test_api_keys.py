"""API keys as bearer tokens."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.auth.keys import Scope
from mcptunnel.relay.access import Access, Revoked, access_of_key
from mcptunnel.relay.api_keys import TOUCH_EVERY_S, ApiKeys
from mcptunnel.store.errors import StoreError
from tests.conftest import LoggedFailures
from tests.relay.keys import MemoryKeys


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.book = MemoryKeys()
        self.keys = ApiKeys(self.book, self.clock.seconds)

    def find(self, token: str) -> Access | None:
        found: list[Access | None] = []
        Deferred.fromCoroutine(self.keys.find(token)).addCallback(found.append)
        return found[0]


def test_a_known_key_gives_access() -> None:
    bench = Bench()
    key = bench.book.issue("alice", Scope.AGENT)
    assert key.text.startswith(bench.keys.prefix)
    record = key.record
    assert record.created_s > 0
    expected = access_of_key(record.principal, record.id, Scope.AGENT, record.created_s)
    assert bench.find(key.text) == expected


def test_the_id_of_a_key_is_not_enough() -> None:
    """Another secret under a known id is refused."""
    bench, other = Bench(), MemoryKeys()
    key, forged = bench.book.issue(), other.issue()
    assert forged.record.id == key.record.id
    stored = bench.book._stored[key.record.id]
    bench.book._stored[key.record.id] = stored._replace(secret_hash=bytes(32))
    assert bench.find(forged.text) is None


def test_a_revoked_key_gives_nothing() -> None:
    bench = Bench()
    key = bench.book.issue()
    bench.book.revoke(key)
    assert bench.find(key.text) is None


def test_use_is_noted_now_and_then() -> None:
    bench = Bench()
    access = bench.find(bench.book.issue().text)
    assert access is not None
    bench.keys.used(access)
    bench.keys.used(access)
    assert bench.book.touched == [access.grant_id]
    bench.clock.advance(TOUCH_EVERY_S)
    bench.keys.used(access)
    assert len(bench.book.touched) == 2


def test_a_revoked_key_is_forgotten() -> None:
    bench = Bench()
    access = bench.find(bench.book.issue().text)
    assert access is not None
    bench.keys.used(access)
    bench.keys.revoked(Revoked(principal=access.principal))
    assert bench.keys._touched_s
    bench.keys.revoked(Revoked(grant_id=access.grant_id))
    assert not bench.keys._touched_s


def test_a_use_that_cannot_be_noted_hurts_nobody(logged_failures: LoggedFailures) -> None:
    bench = Bench()
    access = bench.find(bench.book.issue().text)
    assert access is not None
    bench.book.touch_error = StoreError("no")
    bench.keys.used(access)
    assert logged_failures.take(StoreError)
