"""The cache of client documents in the store."""

from typing import TypeVar

from twisted.internet.defer import Deferred

from mcptunnel.relay.oauth.kept_documents import KeptDocuments
from tests.relay.store_at_once import StoreAtOnce

URL = "https://app.example/client.json"


T = TypeVar("T")


def value(result: Deferred[T]) -> T:
    """Return what a store at once has answered."""
    values: list[T] = []
    result.addCallback(values.append)
    (only,) = values
    return only


def test_what_is_kept_is_found_until_it_expires(store: StoreAtOnce) -> None:
    kept = KeptDocuments(store)
    assert value(kept.find(URL, 1.0)) is None
    value(kept.put(URL, {"a": 1}, fetched_s=1.0, expires_s=10.0))
    found = value(kept.find(URL, 9.0))
    assert found is not None
    assert found.document == {"a": 1}
    assert value(kept.find(URL, 10.0)) is None
    found = value(kept.stale(URL, 1.0))
    assert found is not None
    assert found.document == {"a": 1}
    assert value(kept.stale(URL, 1.1)) is None


def test_a_failure_is_kept_as_well(store: StoreAtOnce) -> None:
    kept = KeptDocuments(store)
    value(kept.put(URL, None, fetched_s=1.0, expires_s=10.0))
    found = value(kept.find(URL, 9.0))
    assert found is not None
    assert found.document is None
