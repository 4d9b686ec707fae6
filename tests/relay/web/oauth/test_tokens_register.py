"""`/register`: what clients really send, and what nobody may send (threats 4, 11, 12)."""

import json
from typing import Any

import pytest

from mcptunnel.auth.registration import UNUSED_EXPIRY_S
from mcptunnel.auth.tokens import hash_token
from mcptunnel.relay.oauth.registering import EVICT_AFTER_S
from mcptunnel.relay.oauth.settings import OAuthSettings
from tests.relay.store_at_once import StoreAtOnce
from tests.relay.web.oauth.site import ISSUER, OAuthSite, PersonAtBrowser, authorize_path, tokens


def test_the_answer_is_what_counts(site: OAuthSite) -> None:
    answer = site.register(client_name="App", token_endpoint_auth_method="none", contacts=["x"])
    assert answer.status == 201
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json["client_id"].startswith("mcpt_ci_")
    assert answer.json["client_name"] == "App"
    assert answer.json["token_endpoint_auth_method"] == "none"
    assert "client_secret" not in answer.json
    assert None not in answer.json.values()


def test_the_same_client_is_registered_once(site: OAuthSite) -> None:
    """opencode registers twice for each sign-in; who has a secret gets one of its own."""
    assert site.client_id() == site.client_id()
    secrets = {site.register(token_endpoint_auth_method="client_secret_post").body for _ in "ab"}
    assert len(secrets) == 2


@pytest.mark.parametrize(
    "uri",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "about:blank",
        "blob:https://a.example/x",
        "http://evil.example/cb",
        "https://a.example/cb#f",
        "https://u:p@a.example/cb",
        "https://*.example/cb",
        "/relative",
        "",
    ],
)
def test_threat_04_redirects_that_are_not_safe_are_refused(site: OAuthSite, uri: str) -> None:
    answer = site.register(redirect_uris=["https://good.example/cb", uri])
    assert answer.status == 400
    assert answer.json["error"] == "invalid_redirect_uri"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"redirect_uris": ["https://a.example/b"], "redirect_uris": []}',
        b"\xff",
        b'{"redirect_uris": ["https://a.example/b"], "client_name": "\\ud800"}',
        b"[" * 30_000,
        b'{"redirect_uris": ["https://a.example/b"], "x": NaN}',
    ],
)
def test_threat_12_what_is_no_registration_is_refused(site: OAuthSite, body: bytes) -> None:
    answer = site.send("POST", "/register", body, {"content-type": "application/json"})
    assert answer.status == 400
    assert answer.json["error"] == "invalid_client_metadata"


@pytest.mark.parametrize("uris", [[], None, "https://a.example", [1], ["https://a.example/b"] * 99])
def test_redirects_are_needed_and_not_too_many(site: OAuthSite, uris: Any) -> None:
    answer = site.register(redirect_uris=uris)
    assert answer.status == 400
    assert answer.json["error"] == "invalid_redirect_uri"


def test_threat_11_links_that_run_code_are_left_out(site: OAuthSite) -> None:
    answer = site.register(client_uri="javascript:alert(1)", logo_uri="https://a.example/l.png")
    assert "client_uri" not in answer.json
    assert answer.json["logo_uri"] == "https://a.example/l.png"


def test_threat_12_a_client_that_nobody_uses_goes(site: OAuthSite) -> None:
    client_id = site.client_id()
    site.wait_s(UNUSED_EXPIRY_S)
    assert PersonAtBrowser(site).get(authorize_path(client_id=client_id)).status == 400


def test_a_client_that_is_used_stays(site: OAuthSite) -> None:
    client_id = site.client_id()
    alice = PersonAtBrowser(site)
    tokens(site, client_id, alice.grant(client_id))
    site.wait_s(2 * UNUSED_EXPIRY_S)
    assert tokens(site, client_id, alice.grant(client_id)).status == 200


def test_threat_12_there_is_room_for_so_many_and_old_ones_make_some(store: StoreAtOnce) -> None:
    site = OAuthSite(store=store, settings=OAuthSettings(issuer=ISSUER, max_clients=2))
    first, _ = site.client_id(client_name="1"), site.client_id(client_name="2")
    full = site.register(client_name="3")
    assert full.status == 503
    assert full.json["error"] == "temporarily_unavailable"
    assert full.headers["retry-after"] == "60"
    site.wait_s(EVICT_AFTER_S + 1)
    assert site.register(client_name="3").status == 201
    assert PersonAtBrowser(site).get(authorize_path(client_id=first)).status == 400


def test_threat_12_registering_costs_more_than_asking(store: StoreAtOnce) -> None:
    site = OAuthSite(store=store, settings=OAuthSettings(issuer=ISSUER, requests_per_minute=12))
    statuses = [site.register(client_name=str(number)).status for number in range(4)]
    assert statuses == [201, 201, 201, 429]


def test_threat_12_registering_may_take_a_token(store: StoreAtOnce) -> None:
    settings = OAuthSettings(issuer=ISSUER, registration_token_hash=hash_token("let me in"))
    site = OAuthSite(store=store, settings=settings)
    body = json.dumps({"redirect_uris": ["https://a.example/b"]}).encode()
    refused = site.send("POST", "/register", body, {"authorization": "Bearer let me out"})
    assert refused.status == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert site.send("POST", "/register", body).status == 401
    assert site.send("POST", "/register", body, {"authorization": "Bearer let me in"}).status == 201
