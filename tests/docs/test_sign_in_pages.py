"""The pages about providers have settings that the relay can use."""

import tomllib

import pytest

from mcptunnel.auth.oidc.discovery import discovery_url
from mcptunnel.auth.oidc.providers import quirks_of
from tests.docs.pages import CHECKOUT, blocks

PAGES = sorted((CHECKOUT / "docs" / "howto" / "sign-in-with").glob("*.md"))
PROVIDERS = [page for page in PAGES if page.stem != "index"]
ALLOWING = {"allowed_users", "allowed_emails", "allowed_domains", "allowed_groups"}
FIELDS = ALLOWING | {
    "mode",
    "issuer",
    "client_id",
    "client_secret_file",
    "scopes",
    "user_claim",
    "groups_claim",
    "extra_parameters",
    "ca_file",
}


@pytest.mark.parametrize("page", PROVIDERS, ids=lambda page: page.stem)
def test_settings(page: object) -> None:
    """Each example has known fields, an issuer that can be asked, and somebody who may come in."""
    found = [
        tomllib.loads(block.text)["auth"]
        for block in blocks(CHECKOUT / str(page))
        if block.language == "toml"
    ]
    assert found
    for auth in found:
        assert auth.keys() <= FIELDS
        assert auth["mode"] == "oidc"
        assert discovery_url(auth["issuer"]).endswith("/.well-known/openid-configuration")
        assert auth.keys() & ALLOWING, "an example that lets everybody in"
        if "allowed_emails" in auth or "allowed_domains" in auth:
            assert quirks_of(auth["issuer"]).verified_email_claim == "email_verified"


def test_the_index_has_every_page_and_every_field() -> None:
    """What a page uses is explained once."""
    (index,) = (page for page in PAGES if page.stem == "index")
    text = index.read_text(encoding="utf-8")
    assert all(f"\n{page.stem}\n" in text for page in PROVIDERS)
    assert all(f"`{field}`" in text for field in FIELDS)


@pytest.mark.parametrize("page", PROVIDERS, ids=lambda page: page.stem)
def test_the_redirect_uri(page: object) -> None:
    """All pages say the same, except where nothing is registered."""
    text = (CHECKOUT / str(page)).read_text(encoding="utf-8")
    assert "https://relay.example.org/callback" in text or "There is nothing to register" in text
