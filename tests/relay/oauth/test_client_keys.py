"""The keys of clients that sign, ChatGPT's among them (threats 10 and 29)."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mcptunnel.auth.client_documents import read_document
from mcptunnel.auth.clients import Client
from mcptunnel.net.http import Limits
from mcptunnel.relay.oauth import client_keys
from mcptunnel.relay.oauth.client_keys import ClientKeySets
from tests.auth.signing import key_set, public_jwk
from tests.conftest import Log
from tests.relay.coroutines import begun, now, result
from tests.relay.oauth.publisher import CLIENT_ID, JWKS_URI, Web, client_document

FIRST = key_set(public_jwk("ES256", 0, kid="a"))
SECOND = key_set(public_jwk("ES256", 1, kid="b"))


def client(**changes: Any) -> Client:
    document = client_document(
        **{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": JWKS_URI, **changes}
    )
    return read_document(CLIENT_ID, document)


class Stage:
    """A client, its keys, and who looks for them."""

    def __init__(self) -> None:
        self.web = Web()
        self.web.put(JWKS_URI, FIRST, media_type="application/jwk-set+json")
        self.sets = ClientKeySets(self.web.fetcher(), self.web.clock.seconds)

    def keys(self) -> object:
        return now(self.sets.keys(client(), asker="192.0.2.1"))

    def newer(self) -> object:
        return now(self.sets.newer_keys(client(), asker="192.0.2.1"))


def test_keys_are_fetched_and_kept() -> None:
    """For as long as their server says, within bounds."""
    stage = Stage()
    assert [stage.keys(), stage.keys()] == [FIRST, FIRST]
    assert stage.web.asked == [JWKS_URI]
    assert stage.web.limits == [Limits(max_bytes=16 * 1024, timeout_s=5.0)]
    stage.web.put(JWKS_URI, SECOND)
    stage.web.clock.advance(3600)
    assert stage.keys() == SECOND


def test_keys_in_the_document() -> None:
    """Nothing is fetched, and there are no newer ones. A client without keys has none."""
    stage = Stage()
    inline = client(jwks=FIRST, jwks_uri=None)
    assert now(stage.sets.keys(inline, asker="192.0.2.1")) == FIRST
    assert now(stage.sets.newer_keys(inline, asker="192.0.2.1")) is None
    assert (
        now(stage.sets.keys(read_document(CLIENT_ID, client_document()), asker="192.0.2.1")) is None
    )
    assert stage.web.asked == []


def test_an_unknown_key_is_looked_for_once_a_minute() -> None:
    """Whoever sends wrong key ids causes no storm."""
    stage = Stage()
    stage.keys()
    stage.web.put(JWKS_URI, SECOND)
    assert stage.newer() is None
    stage.web.clock.advance(60)
    assert stage.newer() == SECOND
    assert [stage.newer() for _ in range(100)] == [None] * 100
    assert stage.keys() == SECOND
    assert len(stage.web.asked) == 2


def test_keys_that_cannot_be_had(log: Log) -> None:
    """None, for a minute; the log says why."""
    stage = Stage()
    del stage.web.pages[JWKS_URI]
    assert [stage.keys(), stage.keys(), stage.newer()] == [None, None, None]
    assert len(stage.web.asked) == 1
    assert f"keys of a client at {JWKS_URI}: app.example.org:443: nothing listens there" in log
    stage.web.put(JWKS_URI, FIRST)
    stage.web.clock.advance(60)
    assert stage.keys() == FIRST


def test_what_is_no_key_set() -> None:
    """An object without a list of keys."""
    stage = Stage()
    stage.web.put(JWKS_URI, {"keys": "x"})
    assert stage.keys() is None


def test_old_keys_count_while_new_ones_cannot_be_had() -> None:
    """A blip at the client's server locks nobody out; the end of their lifetime stays."""
    stage = Stage()
    stage.keys()
    del stage.web.pages[JWKS_URI]
    stage.web.clock.advance(60)
    assert stage.newer() is None
    assert stage.keys() == FIRST
    assert stage.newer() is None
    assert len(stage.web.asked) == 2
    stage.web.clock.advance(3540)
    assert stage.keys() is None


def test_requests_share_one_fetch() -> None:
    """Also one for newer keys, that comes while they are fetched."""
    stage = Stage()
    stage.web.held = Deferred()
    waiting = [begun(stage.sets.keys(client(), asker="192.0.2.1")) for _ in range(20)]
    waiting.append(begun(stage.sets.newer_keys(client(), asker="192.0.2.1")))
    stage.web.held.callback(None)
    assert all(result(one) == FIRST for one in waiting)
    assert len(stage.web.asked) == 1


def test_not_all_keys_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a bound; those unused for longest go."""
    monkeypatch.setattr(client_keys, "MAX_KEPT", 2)
    stage = Stage()
    uris = [f"https://app{number}.example.org/jwks.json" for number in range(3)]
    for uri in uris:
        stage.web.put(uri, FIRST)
    for uri in (uris[0], uris[1], uris[0], uris[2]):
        now(stage.sets.keys(client(jwks_uri=uri), asker=uri))
    assert len(stage.sets) == 2
    now(stage.sets.keys(client(jwks_uri=uris[0]), asker="192.0.2.1"))
    assert len(stage.web.asked) == 3


def test_stop() -> None:
    """Nothing is left under way."""
    stage = Stage()
    stage.web.held = Deferred()
    waiting = begun(stage.sets.keys(client(), asker="192.0.2.1"))
    stage.sets.stop()
    assert len(waiting) == 1
