"""Clients by the URL of their document: pinned, kept, fetched."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mcptunnel.auth.client_documents import MOST_STALE_S, read_pinned
from mcptunnel.auth.clients import Client, ClientKind
from mcptunnel.auth.rate_limits import Rate
from mcptunnel.net.http import Limits
from mcptunnel.relay.oauth.documents import ClientDocumentsFetched
from mcptunnel.relay.oauth.fetching import TooManyFetchesError
from tests.conftest import Log
from tests.relay.coroutines import begun, now, result
from tests.relay.oauth.publisher import (
    CLIENT_ID,
    OWN_HOST,
    Known,
    MemoryCache,
    Web,
    client_document,
)

PINNED = "https://claude.ai/oauth/claude-code-client-metadata"


class Stage:
    """A look-up with everything around it."""

    def __init__(self, **policy: Any) -> None:
        self.web = Web()
        self.cache = MemoryCache()
        self.documents = ClientDocumentsFetched(
            self.web.fetcher(**policy),
            self.cache,
            pinned=read_pinned({PINNED: client_document(PINNED, client_name="Claude Code")}),
            epoch_s=self.web.epoch_s,
        )

    def find(self, client_id: str = CLIENT_ID) -> Client | None:
        return now(self.documents.find(client_id, asker="192.0.2.1"))


def test_a_document_is_fetched_and_kept() -> None:
    """Once for all who ask within its lifetime; the limits are those of client documents."""
    stage = Stage()
    stage.web.put(CLIENT_ID, client_document())
    for _ in range(3):
        client = stage.find()
        assert client is not None
        assert (client.id, client.kind, client.name) == (
            CLIENT_ID,
            ClientKind.DOCUMENT,
            "An application",
        )
    assert stage.web.asked == [CLIENT_ID]
    assert stage.web.limits == [Limits(max_bytes=5 * 1024, timeout_s=5.0)]


@pytest.mark.parametrize(
    ("cache_control", "lifetime_s"),
    [(None, 3600), ("max-age=10", 300), ("max-age=7200", 7200), ("no-store", 300)],
)
def test_lifetimes(cache_control: str | None, lifetime_s: float) -> None:
    """As its server says, within bounds; then what is there now counts."""
    stage = Stage()
    stage.web.put(CLIENT_ID, client_document(), cache_control=cache_control)
    assert stage.find()
    stage.web.put(CLIENT_ID, client_document(client_name="Renamed"))
    stage.web.clock.advance(lifetime_s - 1)
    client = stage.find()
    assert client
    assert client.name == "An application"
    stage.web.clock.advance(1)
    client = stage.find()
    assert client
    assert client.name == "Renamed"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "https://other.example.org/client.json"},
        {"redirect_uris": []},
        {"redirect_uris": ["javascript:alert(1)"]},
        {"client_name": None},
        {"client_secret": "s"},
        {"token_endpoint_auth_method": "client_secret_basic"},
    ],
)
def test_a_document_that_cannot_be_used(changes: dict[str, Any], log: Log) -> None:
    """It is nobody's, for a minute; then it is looked at again. The log says why."""
    stage = Stage()
    stage.web.put(CLIENT_ID, client_document(**changes))
    assert [stage.find(), stage.find()] == [None, None]
    assert len(stage.web.asked) == 1
    assert f"client document {CLIENT_ID}: The document" in log
    stage.web.put(CLIENT_ID, client_document())
    stage.web.clock.advance(59)
    assert stage.find() is None
    stage.web.clock.advance(1)
    assert stage.find()


def test_a_document_that_is_not_there(log: Log) -> None:
    """The failure is kept for a minute, and told to nobody but the log."""
    stage = Stage()
    assert [stage.find(), stage.find()] == [None, None]
    assert len(stage.web.asked) == 1
    assert f"client document {CLIENT_ID}: app.example.org:443: nothing listens there" in log


def test_pinned_documents_are_never_fetched() -> None:
    """They work without the Internet, and nobody else's answer replaces them."""
    stage = Stage()
    client = stage.find(PINNED)
    assert client
    assert client.name == "Claude Code"
    assert stage.web.asked == []
    assert stage.cache.known == {}


@pytest.mark.parametrize(
    "client_id",
    ["a-registered-client", "", "http://app.example.org/c", f"https://{OWN_HOST}/client.json"],
)
def test_ids_that_are_no_documents(client_id: str) -> None:
    """Neither the cache nor the Internet is asked."""
    stage = Stage()
    stage.cache.known[client_id] = Known(client_document(client_id), 0.0, 1e12)
    assert stage.find(client_id) is None
    assert stage.web.asked == []


def test_look_ups_share_one_fetch() -> None:
    """Fifty browsers at the same moment are one request to the client's server."""
    stage = Stage()
    stage.web.put(CLIENT_ID, client_document())
    stage.web.held = Deferred()
    waiting = [begun(stage.documents.find(CLIENT_ID, asker="192.0.2.1")) for _ in range(50)]
    stage.web.held.callback(None)
    assert all(result(one) for one in waiting)
    assert len(stage.web.asked) == 1


def test_too_many_look_ups() -> None:
    """Who comes too often is told when to come again; nothing is kept of it."""
    stage = Stage(overall=Rate(per_s=1, burst=1))
    assert stage.find("https://a.example.org/c") is None
    with pytest.raises(TooManyFetchesError) as caught:
        stage.find()
    assert 0 < caught.value.retry_after_s <= 1
    stage.web.put(CLIENT_ID, client_document())
    stage.web.clock.advance(1)
    assert stage.find()


def test_a_policy_holds_for_what_was_kept() -> None:
    """A host that is refused since is refused at once."""
    stage = Stage()
    stage.web.put(CLIENT_ID, client_document())
    assert stage.find()
    later = Stage(own_host="app.example.org")
    later.cache.known = stage.cache.known
    assert later.find() is None


def test_stop() -> None:
    """Nothing is left under way."""
    stage = Stage()
    stage.web.held = Deferred()
    waiting = begun(stage.documents.find(CLIENT_ID, asker="192.0.2.1"))
    stage.documents.stop()
    assert len(waiting) == 1
    assert stage.web.held.called


@pytest.mark.parametrize("status", [None, 500, 503])
def test_a_bad_network_signs_nobody_out(status: int | None) -> None:
    """What was known not long ago counts, and is asked for each minute; then the client is unknown."""
    stage = Stage()
    stage.web.put(CLIENT_ID, client_document())
    assert stage.find()
    if status is None:
        del stage.web.pages[CLIENT_ID]
    else:
        stage.web.put(CLIENT_ID, {}, status=status)
    stage.web.clock.advance(3600)
    assert [stage.find(), stage.find()] == [stage.find()] * 2 != [None, None]
    assert len(stage.web.asked) == 2
    stage.web.clock.advance(60)
    assert stage.find()
    assert len(stage.web.asked) == 3
    stage.web.clock.advance(MOST_STALE_S)
    assert stage.find() is None


def test_a_document_that_was_taken_away_counts_no_longer() -> None:
    """Its server says so itself."""
    stage = Stage()
    stage.web.put(CLIENT_ID, client_document())
    assert stage.find()
    stage.web.put(CLIENT_ID, {}, status=404)
    stage.web.clock.advance(3600)
    assert stage.find() is None


def test_threat_10_who_asks_too_often_does_not_hide_known_clients() -> None:
    """They count as they were, although nothing may be fetched now."""
    stage = Stage(overall=Rate(per_s=0.0001, burst=1))
    stage.web.put(CLIENT_ID, client_document())
    assert stage.find()
    stage.web.clock.advance(3600)
    assert stage.find()
    assert len(stage.web.asked) == 1
    with pytest.raises(TooManyFetchesError):
        stage.find("https://other.example.org/client.json")
