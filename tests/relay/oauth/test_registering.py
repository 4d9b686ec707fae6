"""Clients register themselves; the endpoint has its own tests."""

import json

import pytest

from mcptunnel.auth.errors import OAuthError
from mcptunnel.auth.tokens import hash_token
from mcptunnel.relay.oauth.registering import Registering
from mcptunnel.relay.oauth.settings import OAuthSettings
from mcptunnel.relay.oauth.throttling import BusyError
from tests.relay.coroutines import now
from tests.relay.oauth.parts import ISSUER, Parts
from tests.relay.store_at_once import StoreAtOnce

BODY = b'{"redirect_uris": ["https://a.example/%d"]}'


def test_a_client_that_is_known_is_told_its_id_and_not_noted_again(parts: Parts) -> None:
    registering = Registering(parts.around)
    first = now(registering.answer(BODY % 1, "192.0.2.1"))
    parts.clock.advance(5)
    assert now(registering.answer(BODY % 1, "192.0.2.1")) == first
    (event,) = parts.events()
    assert event.client_id == first["client_id"]
    assert event.detail == {"redirect_uris": ["https://a.example/1"]}


def test_threat_12_strangers_do_not_fill_the_audit_log(parts: Parts) -> None:
    uris = [f"https://a.example/{number}{'x' * 1000}" for number in range(20)]
    now(Registering(parts.around).answer(json.dumps({"redirect_uris": uris}).encode(), "a"))
    (event,) = parts.events()
    assert len(json.dumps(event.detail)) < 1200


def test_a_full_store_is_told(store: StoreAtOnce) -> None:
    parts = Parts(store, store.database, OAuthSettings(issuer=ISSUER, max_clients=1))
    registering = Registering(parts.around)
    now(registering.answer(BODY % 1, "a"))
    with pytest.raises(BusyError):
        now(registering.answer(BODY % 2, "a"))
    assert len(parts.events()) == 1


def test_a_token_is_needed_only_where_it_is_said(store: StoreAtOnce, parts: Parts) -> None:
    Registering(parts.around).check_token(None)
    needed = OAuthSettings(issuer=ISSUER, registration_token_hash=hash_token("t"))
    registering = Registering(Parts(store, store.database, needed).around)
    registering.check_token("t")
    for wrong in (None, "", "u"):
        with pytest.raises(OAuthError):
            registering.check_token(wrong)
