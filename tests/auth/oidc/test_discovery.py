"""The provider's own description (threat 28)."""

from typing import Any

import pytest

from mcptunnel.auth.oidc.discovery import discovery_url, read_discovery, token_auth_method
from mcptunnel.auth.oidc.errors import ProviderError
from tests.auth.oidc.op import OP, document, provider


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        (
            "https://accounts.google.com",
            "https://accounts.google.com/.well-known/openid-configuration",
        ),
        (
            "https://keycloak.example/realms/home",
            "https://keycloak.example/realms/home/.well-known/openid-configuration",
        ),
        ("https://x.eu.auth0.com/", "https://x.eu.auth0.com/.well-known/openid-configuration"),
        (
            "https://authentik.example/application/o/relay/",
            "https://authentik.example/application/o/relay/.well-known/openid-configuration",
        ),
        ("http://127.0.0.1:18100", "http://127.0.0.1:18100/.well-known/openid-configuration"),
        (
            "https://login.microsoftonline.com/1234/v2.0",
            "https://login.microsoftonline.com/1234/v2.0/.well-known/openid-configuration",
        ),
    ],
)
def test_keycloak_auth0_and_authentik_append_the_path(issuer: str, url: str) -> None:
    """After the issuer's own path, and without its slash at the end."""
    assert discovery_url(issuer) == url


@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "op.example",
        "http://op.example",
        "https://u@op.example",
        "https://op.example#x",
        "https://op.example?x",
        "ftp://op.example",
    ],
)
def test_what_is_no_issuer(issuer: str) -> None:
    with pytest.raises(ProviderError, match="issuer"):
        discovery_url(issuer)


@pytest.mark.parametrize("tenant", ["common", "organizations", "consumers"])
def test_entra_needs_a_tenant(tenant: str) -> None:
    with pytest.raises(ProviderError, match="tenants"):
        discovery_url(f"https://login.microsoftonline.com/{tenant}/v2.0")
    said = "https://login.microsoftonline.com/{tenantid}/v2.0"
    with pytest.raises(ProviderError, match="tenants"):
        read_discovery(document() | {"issuer": said}, OP)


def test_auth0_has_a_slash_and_the_configuration_has_to_have_it_too() -> None:
    """The issuer is half of every user's identity: the message says how to write it."""
    with pytest.raises(ProviderError, match=r"calls itself 'https://op\.example/'"):
        read_discovery(document("https://op.example/"), OP)
    assert provider("https://op.example/").issuer == "https://op.example/"


@pytest.mark.parametrize(
    "said", [None, 1, "https://evil.example", "HTTPS://op.example", "https://op.example/x"]
)
def test_row_28_the_issuer_is_exact(said: object) -> None:
    with pytest.raises(ProviderError):
        read_discovery(document(issuer=OP) | {"issuer": said}, OP)


def test_what_is_taken_from_a_document() -> None:
    """`none` and shared secrets are never algorithms of ours; what is missing has the standard's default."""
    found = provider(userinfo_endpoint=f"{OP}/me")
    assert found.algorithms == ("RS256", "ES256")
    assert found.auth_methods == ("client_secret_basic",)
    assert found.userinfo_endpoint == f"{OP}/me"
    assert not found.sends_iss
    assert provider(id_token_signing_alg_values_supported=None).algorithms == ("RS256",)
    assert provider(authorization_response_iss_parameter_supported=True).sends_iss


def test_home_assistant_has_es256_public_clients_and_little_else() -> None:
    found = provider(
        id_token_signing_alg_values_supported=["ES256"],
        token_endpoint_auth_methods_supported=["none"],
    )
    assert found.algorithms == ("ES256",)
    assert token_auth_method(found, has_secret=False) == "none"
    with pytest.raises(ProviderError, match="takes no client_secret"):
        token_auth_method(found, has_secret=True)


def test_entra_b2c_has_a_query_in_its_endpoint() -> None:
    assert provider(authorization_endpoint=f"{OP}/auth?p=policy").authorization_endpoint


def test_how_the_relay_proves_itself() -> None:
    post = provider(token_endpoint_auth_methods_supported=["client_secret_post"])
    assert token_auth_method(provider(), has_secret=True) == "client_secret_basic"
    assert token_auth_method(post, has_secret=True) == "client_secret_post"
    assert token_auth_method(post, has_secret=False) == "none"


@pytest.mark.parametrize(
    "changes",
    [
        {"authorization_endpoint": None},
        {"token_endpoint": None},
        {"jwks_uri": None},
        {"jwks_uri": "http://op.example/jwks"},
        {"token_endpoint": "http://op.example/token"},
        {"token_endpoint": ["x"]},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": f"{OP}/auth#x"},
        {"authorization_endpoint": "https://u@op.example/auth"},
        {"userinfo_endpoint": "http://op.example/me"},
        {"response_types_supported": ["id_token"]},
        {"id_token_signing_alg_values_supported": ["HS256", "none"]},
    ],
)
def test_row_28_documents_that_cannot_be_used(changes: dict[str, Any]) -> None:
    with pytest.raises(ProviderError):
        provider(**changes)


def test_no_method_in_common() -> None:
    """What is supported is told."""
    found = provider(token_endpoint_auth_methods_supported=["private_key_jwt"])
    with pytest.raises(ProviderError, match="supports none of client_secret_basic"):
        token_auth_method(found, has_secret=True)
