"""Discovery documents, and what clients need in them."""

import json

import pytest

from mcptunnel.auth.issuer import Issuer
from mcptunnel.auth.metadata import (
    NO_KEYS,
    PROTECTED_RESOURCE,
    Features,
    authorization_server,
    openid_configuration,
    protected_resource,
    protected_resource_url,
)

R = Issuer("https://relay.example")


def test_all_urls_come_from_the_issuer() -> None:
    """Byte for byte: no second spelling anywhere."""
    document = openid_configuration(R, Features())
    assert document["issuer"] == R
    urls = [value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))]
    assert len(urls) == 6
    assert all(url.startswith(f"{R}/") and "//" not in url.removeprefix("https://") for url in urls)


def test_clients_of_2025_03_26_guess_three_paths() -> None:
    document = authorization_server(R, Features())
    assert document["authorization_endpoint"] == f"{R}/authorize"
    assert document["token_endpoint"] == f"{R}/token"
    assert document["registration_endpoint"] == f"{R}/register"


def test_claude_takes_client_documents_only_beside_none() -> None:
    document = authorization_server(R, Features())
    assert document["client_id_metadata_document_supported"] is True
    assert "none" in document["token_endpoint_auth_methods_supported"]


def test_chatgpt_wants_s256_offline_access_and_private_key_jwt() -> None:
    document = authorization_server(R, Features())
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["scopes_supported"] == ["mcp", "mcp:read", "offline_access"]
    assert "private_key_jwt" in document["token_endpoint_auth_methods_supported"]
    assert "RS256" in document["token_endpoint_auth_signing_alg_values_supported"]


def test_iss_is_promised() -> None:
    """RFC 9207: Claude Code and the SDKs of 2026-07-28 insist on it then."""
    assert authorization_server(R, Features())["authorization_response_iss_parameter_supported"]


def test_typescript_1_wants_the_members_of_openid_under_that_name() -> None:
    document = openid_configuration(R, Features())
    for member in ("jwks_uri", "subject_types_supported", "id_token_signing_alg_values_supported"):
        assert document[member]
    assert authorization_server(R, Features()).items() <= document.items()
    assert NO_KEYS == {"keys": []}


def test_what_is_off_is_not_advertised() -> None:
    """And no member is null: strict schemas refuse that."""
    off = Features(registration=False, client_documents=False, device_grant=False)
    document = authorization_server(R, off)
    assert "registration_endpoint" not in document
    assert "device_authorization_endpoint" not in document
    assert document["grant_types_supported"] == ["authorization_code", "refresh_token"]
    assert document["client_id_metadata_document_supported"] is False
    assert "null" not in json.dumps(document)


@pytest.mark.parametrize(
    "path", ["/mcp", "/mcp/", "/servers/x/mcp", "/devices/a/servers/x/mcp", "/sse"]
)
def test_gemini_and_vscode_compare_the_resource_exactly(path: str) -> None:
    """The resource is the endpoint's URL without a slash, also when the document is asked for with one."""
    assert protected_resource(R, path, origin_wide=True) == {
        "resource": R + path.removesuffix("/"),
        "authorization_servers": [R],
        "scopes_supported": ["mcp"],
        "bearer_methods_supported": ["header"],
    }


@pytest.mark.parametrize(("origin_wide", "resource"), [(True, R), (False, f"{R}/mcp")])
def test_claude_asks_the_root_too(origin_wide: bool, resource: str) -> None:
    """A 404 there ended its sign-in."""
    for path in ("", "/"):
        document = protected_resource(R, path, origin_wide=origin_wide)
        assert document is not None
        assert document["resource"] == resource


def test_offline_access_is_no_scope_of_a_resource() -> None:
    """MCP: SHOULD NOT in this document; agents have a scope of their own."""
    tunnel = protected_resource(R, "/tunnel", origin_wide=True)
    assert tunnel is not None
    assert tunnel["scopes_supported"] == ["agent"]


@pytest.mark.parametrize("path", ["/dashboard", "/mcp/x", "/token"])
def test_other_paths_have_no_document(path: str) -> None:
    assert protected_resource(R, path, origin_wide=True) is None
    assert protected_resource_url(R, path) == R + PROTECTED_RESOURCE


def test_the_path_comes_after_the_well_known_part() -> None:
    """RFC 9728, 3.1."""
    assert protected_resource_url(R, "/servers/x/mcp/") == (
        f"{R}/.well-known/oauth-protected-resource/servers/x/mcp"
    )
