"""Who a client id is: of the configuration, registered, or a document."""

from dataclasses import replace
from typing import Any

import pytest

from mcptunnel.auth.agent_client import AGENT_CLIENT, AGENT_CLIENT_ID
from mcptunnel.auth.clients import ClientKind
from mcptunnel.relay.oauth.clients import ClientDirectory, OwnKeys, PinnedDocuments
from mcptunnel.relay.oauth.registering import Registering
from mcptunnel.relay.oauth.settings import OAuthSettings
from tests.relay.coroutines import now
from tests.relay.oauth.parts import APP, ISSUER, Parts
from tests.relay.store_at_once import StoreAtOnce

URL = "https://app.example/client.json"
DOCUMENT = replace(APP, id=URL, kind=ClientKind.DOCUMENT)


def directory(parts: Parts) -> ClientDirectory:
    return ClientDirectory(parts.around, PinnedDocuments({URL: DOCUMENT}))


def test_each_kind_is_found(parts: Parts) -> None:
    assert now(directory(parts).find(APP.id, asker="192.0.2.1")) == APP
    assert now(directory(parts).find(AGENT_CLIENT_ID, asker="192.0.2.1")) == AGENT_CLIENT
    assert now(directory(parts).find(URL, asker="192.0.2.1")) == DOCUMENT
    body = b'{"redirect_uris": ["https://a.example/b"], "client_name": "A"}'
    client_id = now(Registering(parts.around).answer(body, "a"))["client_id"]
    found = now(directory(parts).find(client_id, asker="192.0.2.1"))
    assert found is not None
    assert (found.kind, found.name) == (ClientKind.REGISTERED, "A")


@pytest.mark.parametrize("client_id", ["unknown", "https://other.example/x.json", ""])
def test_others_are_nobody(parts: Parts, client_id: str) -> None:
    assert now(directory(parts).find(client_id, asker="192.0.2.1")) is None


def test_documents_can_be_off(store: StoreAtOnce) -> None:
    parts = Parts(store, store.database, OAuthSettings(issuer=ISSUER, client_documents=False))
    assert now(directory(parts).find(URL, asker="192.0.2.1")) is None


def test_without_fetching_only_keys_in_the_metadata_count() -> None:
    keys: dict[str, Any] = {"keys": [{}]}
    assert now(OwnKeys().keys(replace(APP, jwks=keys), asker="192.0.2.1")) == keys
    assert now(OwnKeys().keys(APP, asker="192.0.2.1")) is None
    assert now(OwnKeys().newer_keys(APP, asker="192.0.2.1")) is None
