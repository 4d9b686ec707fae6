"""What clients find out by themselves, at every path where some client looks."""

import pytest

from mcptunnel.relay.oauth.settings import OAuthSettings
from tests.relay.store_at_once import StoreAtOnce
from tests.relay.web.oauth.site import ISSUER, OAuthSite
from tests.relay.web.site import HOST, head_of

RESOURCE = "/.well-known/oauth-protected-resource"
SERVER = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("path", "resource", "scope"),
    [
        ("/mcp", f"{ISSUER}/mcp", "mcp"),
        ("/mcp/", f"{ISSUER}/mcp", "mcp"),
        ("/sse", f"{ISSUER}/sse", "mcp"),
        ("/messages", f"{ISSUER}/sse", "mcp"),
        ("/servers/files/mcp", f"{ISSUER}/servers/files/mcp", "mcp"),
        ("/devices/l/servers/f/mcp", f"{ISSUER}/devices/l/servers/f/mcp", "mcp"),
        ("/tunnel", f"{ISSUER}/tunnel", "agent"),
        ("/ws", f"{ISSUER}/tunnel", "agent"),
        ("", ISSUER, "mcp"),
        ("/", ISSUER, "mcp"),
    ],
)
def test_every_endpoint_describes_itself(
    site: OAuthSite, path: str, resource: str, scope: str
) -> None:
    """The path-suffixed form, as Gemini CLI and VS Code compare it, and the root, which Claude probes."""
    answer = site.send("GET", RESOURCE + path)
    assert answer.status == 200
    assert answer.json == {
        "resource": resource,
        "authorization_servers": [ISSUER],
        "scopes_supported": [scope],
        "bearer_methods_supported": ["header"],
    }


def test_the_root_names_the_hub_if_tokens_are_not_for_all(store: StoreAtOnce) -> None:
    site = OAuthSite(store=store, settings=OAuthSettings(issuer=ISSUER, origin_wide=False))
    assert site.send("GET", RESOURCE).json["resource"] == f"{ISSUER}/mcp"


@pytest.mark.parametrize("path", ["", "/", "/mcp", "/servers/files/mcp"])
def test_the_server_is_described_beside_every_endpoint(site: OAuthSite, path: str) -> None:
    """Clients that look for `/.well-known/oauth-authorization-server/mcp` find the same issuer."""
    document = site.send("GET", SERVER + path).json
    assert document["issuer"] == ISSUER
    assert document["authorization_endpoint"] == f"{ISSUER}/authorize"
    assert document["token_endpoint"] == f"{ISSUER}/token"
    assert document["registration_endpoint"] == f"{ISSUER}/register"
    assert document["revocation_endpoint"] == f"{ISSUER}/revoke"
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["authorization_response_iss_parameter_supported"] is True
    openid = site.send("GET", OPENID + path).json
    assert openid.items() >= document.items()
    assert site.send("GET", openid["jwks_uri"].removeprefix(ISSUER)).json == {"keys": []}


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known",
        "/.well-known/",
        "/.well-known/other",
        f"{RESOURCE}x",
        f"{RESOURCE}/nothing",
        f"{RESOURCE}/servers/a/b/mcp",
        f"{SERVER}x",
        f"{SERVER}/nothing",
        "/.well-known/jwks.json/x",
    ],
)
def test_nothing_else_is_there(site: OAuthSite, path: str) -> None:
    answer = site.send("GET", path)
    assert answer.status == 404
    assert answer.json["error"] == "not_found"


def test_threat_24_the_issuer_is_never_taken_from_the_request(store: StoreAtOnce) -> None:
    site = OAuthSite(store=store, allowed_hosts=("other.test",))
    forwarded = {"host": "other.test", "x-forwarded-host": "evil.example"}
    assert site.send("GET", SERVER, headers=forwarded).json["issuer"] == ISSUER
    assert site.send("GET", SERVER, headers={"host": "evil.example"}).status == 421


def test_documents_may_be_kept_for_a_while(site: OAuthSite) -> None:
    answer = site.send("GET", SERVER)
    assert answer.headers["cache-control"] == "max-age=300"
    head = site.connection()
    head.send(head_of("HEAD", SERVER, {"host": HOST}))
    assert head.answer.status == 200
    assert not head.answer.body


def test_what_is_off_is_not_told(store: StoreAtOnce) -> None:
    settings = OAuthSettings(
        issuer=ISSUER, registration=False, device_grant=False, client_documents=False
    )
    site = OAuthSite(store=store, settings=settings)
    document = site.send("GET", SERVER).json
    assert "registration_endpoint" not in document
    assert "device_authorization_endpoint" not in document
    assert document["client_id_metadata_document_supported"] is False
    for path in ("/register", "/device_authorization", "/device"):
        assert site.send("POST", path).status == 404
