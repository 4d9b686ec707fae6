"""From the configuration to the settings; what cannot be used is told at the start."""

import json
from pathlib import Path

import pytest

from mcptunnel.auth.agent_client import AGENT_CLIENT_ID
from mcptunnel.auth.clients import AuthMethod
from mcptunnel.auth.tokens import hash_token
from mcptunnel.config.oauth import OAuthClientConfig, OAuthConfig
from mcptunnel.config.secret import Secret
from mcptunnel.relay.oauth.configured import UnusableClientError, oauth_settings
from mcptunnel.relay.oauth.settings import OAuthSettings

URL = "https://relay.example"
CLAUDE = "https://claude.ai/oauth/claude-code-client-metadata"
DOCUMENT = {
    "client_id": CLAUDE,
    "client_name": "Claude Code",
    "redirect_uris": ["http://localhost/callback"],
}


def test_the_defaults_are_those_of_the_settings() -> None:
    settings = oauth_settings(OAuthConfig(), URL)
    assert settings == OAuthSettings(issuer=settings.issuer)
    assert settings.issuer == URL


def test_every_field_counts() -> None:
    config = OAuthConfig(
        access_lifetime_s=60,
        refresh_idle_s=3600,
        grant_lifetime_s=7200,
        refresh_grace_s=0,
        registration="token",
        registration_token=Secret("let me in"),
        max_clients=5,
        client_documents=False,
        document_hosts=("a.example",),
        refused_document_hosts=("b.example",),
        origin_wide_tokens=False,
        device_codes=False,
        requests_per_minute=10,
    )
    settings = oauth_settings(config, URL)
    lifetimes = settings.lifetimes
    assert (lifetimes.access_s, lifetimes.refresh_idle_s) == (60, 3600)
    assert (lifetimes.family_s, lifetimes.grace_s) == (7200, 0)
    assert settings.registration_token_hash == hash_token("let me in")
    assert not settings.origin_wide
    assert settings.document_hosts.permits("a.example")
    assert not settings.document_hosts.permits("b.example")
    assert (settings.max_clients, settings.requests_per_minute) == (5, 10)
    features = settings.features
    assert features.registration
    assert not features.client_documents
    assert not features.device_grant
    assert not oauth_settings(OAuthConfig(registration="off"), URL).registration


def test_clients_are_known_with_or_without_a_secret() -> None:
    uris = ("https://app.example/cb",)
    config = OAuthConfig(
        clients=(
            OAuthClientConfig(name="app", title="My App", redirect_uris=uris, secret=Secret("s")),
            OAuthClientConfig(name="public", redirect_uris=uris),
        )
    )
    clients = oauth_settings(config, URL).clients
    assert clients.keys() == {"app", "public", AGENT_CLIENT_ID}
    assert clients["app"].name == "My App"
    assert clients["app"].has_secret("s")
    assert clients["app"].auth_methods == (AuthMethod.POST, AuthMethod.BASIC)
    assert clients["public"].name == "public"
    assert clients["public"].auth_methods == (AuthMethod.NONE,)


@pytest.mark.parametrize(
    ("client", "told"),
    [
        (OAuthClientConfig(name="a", redirect_uris=("http://a.example/b",)), "https"),
        (OAuthClientConfig(name=AGENT_CLIENT_ID, redirect_uris=()), "choose another"),
    ],
)
def test_clients_that_could_not_be_used_are_told(client: OAuthClientConfig, told: str) -> None:
    with pytest.raises(UnusableClientError, match=told):
        oauth_settings(OAuthConfig(clients=(client,)), URL)


def test_documents_are_pinned(tmp_path: Path) -> None:
    path = tmp_path / "documents.json"
    path.write_text(json.dumps({CLAUDE: DOCUMENT}))
    (client,) = oauth_settings(OAuthConfig(pinned_documents=path), URL).pinned.values()
    assert client.name == "Claude Code"


@pytest.mark.parametrize(
    "text", ["", "[]", '{"a": 1}', json.dumps({"https://other.example/x": DOCUMENT})]
)
def test_documents_that_could_not_be_used_are_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "documents.json"
    path.write_text(text)
    with pytest.raises(UnusableClientError, match=r"documents\.json"):
        oauth_settings(OAuthConfig(pinned_documents=path), URL)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnusableClientError, match="cannot be read"):
        oauth_settings(OAuthConfig(pinned_documents=tmp_path / "x"), URL)
