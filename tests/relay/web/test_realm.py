"""What the protected endpoints say of themselves, and whose tokens open them."""

import pytest

from mcptunnel.auth.issuer import Issuer
from mcptunnel.model import Principal
from mcptunnel.relay.access import Access
from mcptunnel.relay.web.realm import Realm

ISSUER = Issuer("https://relay.example")
WELL_KNOWN = f"{ISSUER}/.well-known/oauth-protected-resource"


def access(*scopes: str, audience: str | None = None) -> Access:
    return Access(Principal("i", "s"), "c", "g", "t", frozenset(scopes), audience=audience)


def test_with_keys_alone_the_challenge_is_bare() -> None:
    realm = Realm()
    assert realm.unauthorized(b"/mcp", token_presented=False) == b"Bearer"
    presented = realm.unauthorized(b"/mcp", token_presented=True)
    assert presented == b'Bearer error="invalid_token"'
    assert (
        realm.insufficient_scope(b"/mcp", access("agent"), "mcp")
        == b'Bearer error="insufficient_scope", scope="mcp"'
    )


@pytest.mark.parametrize(
    ("path", "metadata", "scope"),
    [
        (b"/mcp", "/mcp", "mcp"),
        (b"/servers/a%20b/mcp", "/servers/a%20b/mcp", "mcp"),
        (b"/ws", "/tunnel", "agent"),
        (b'/other\xff"', "", "mcp"),
    ],
)
def test_a_challenge_leads_to_the_metadata(path: bytes, metadata: str, scope: str) -> None:
    told = Realm(ISSUER).unauthorized(path, token_presented=False).decode()
    assert told == f'Bearer resource_metadata="{WELL_KNOWN}{metadata}", scope="{scope}"'


def test_what_is_missing_is_asked_for_beside_what_is_there() -> None:
    told = Realm(ISSUER).insufficient_scope(b"/tunnel", access("mcp", "offline_access"), "agent")
    assert b'error="insufficient_scope"' in told
    assert b'scope="mcp agent"' in told


@pytest.mark.parametrize(
    ("audience", "path", "is_for"),
    [
        (None, b"/mcp", True),
        (ISSUER, b"/anything", True),
        (f"{ISSUER}/mcp", b"/mcp", True),
        (f"{ISSUER}/mcp", b"/mcp/", True),
        (f"{ISSUER}/mcp", b"/sse", False),
        (f"{ISSUER}/sse", b"/messages", True),
        (f"{ISSUER}/servers/a/mcp", b"/servers/%61/mcp", True),
        (f"{ISSUER}/servers/a/mcp", b"/servers/b/mcp", False),
        ("https://other.example", b"/mcp", False),
    ],
)
def test_threat_18_an_access_is_for_one_endpoint(
    audience: str | None, path: bytes, *, is_for: bool
) -> None:
    assert Realm(ISSUER).is_for(access("mcp", audience=audience), path) is is_for


def test_a_token_of_an_authorization_server_that_is_gone_opens_nothing() -> None:
    assert not Realm().is_for(access("mcp", audience=f"{ISSUER}/mcp"), b"/mcp")


def test_a_broader_scope_is_enough() -> None:
    assert Realm(ISSUER).allows(access("mcp"), "mcp:tools")
    assert not Realm(ISSUER).allows(access("mcp:tools"), "mcp")
