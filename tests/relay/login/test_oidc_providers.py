"""The particular ways of some providers, each test named after one of them."""

import pytest

from mcptunnel.auth.oidc.errors import ProviderError, SignInError
from mcptunnel.auth.oidc.people import AllowList
from mcptunnel.model import Principal
from tests.auth.signing import key_set, public_jwk
from tests.relay.login.fake_op import FakeOp, Visitor

TENANT = "aaaabbbb-0000-cccc-1111-dddd2222eeee"
ENTRA = f"https://login.microsoftonline.com/{TENANT}/v2.0"
GOOGLE = "https://accounts.google.com"
KEYCLOAK = "https://sso.example.org/realms/main"
AUTH0 = "https://example.eu.auth0.com/"
AUTHENTIK = "https://authentik.example.org/application/o/mcptunnel/"
OKTA = "https://example.okta.com/oauth2/default"


def test_google_workspace_domain() -> None:
    """`hd` is the domain; an address that ends so may be of a personal account."""
    op = FakeOp(GOOGLE)
    op.claims = {"sub": "1", "name": "A", "email": "a@example.org", "email_verified": True}
    visitor = Visitor(op, allowed=AllowList(domains=("example.org",)))
    with pytest.raises(SignInError):
        visitor.sign_in()
    op.claims["hd"] = "example.org"
    assert visitor.sign_in().email == "a@example.org"


def test_google_issuer_without_scheme() -> None:
    """Its ID tokens may say `accounts.google.com`; the user is the issuer's all the same."""
    op = FakeOp(GOOGLE)
    op.token_claims["iss"] = "accounts.google.com"
    assert Visitor(op).sign_in().principal == Principal(GOOGLE, "alice")


def test_google_knows_no_offline_access() -> None:
    """The relay does not ask for it: people come back through their browser."""
    _, sent = Visitor(FakeOp(GOOGLE)).begin()
    assert sent["scope"].split() == ["openid", "profile", "email"]
    assert "access_type" not in sent


@pytest.mark.parametrize("tenant", ["common", "organizations", "consumers"])
def test_entra_of_all_tenants_is_refused(tenant: str) -> None:
    """Everybody with any account could come in; the text says what to write instead."""
    op = FakeOp(f"https://login.microsoftonline.com/{tenant}/v2.0")
    with pytest.raises(ProviderError, match="all tenants: write the id of yours"):
        Visitor(op).begin()
    assert op.asked == []


def test_entra_template_in_the_document_is_refused() -> None:
    """The document of all tenants has `{tenantid}` for an issuer."""
    op = FakeOp(ENTRA)
    op.document["issuer"] = "https://login.microsoftonline.com/{tenantid}/v2.0"
    with pytest.raises(ProviderError, match="all tenants: write the id of yours"):
        Visitor(op).begin()


def test_entra_oid_names_the_user() -> None:
    """`sub` is another one for each application, `oid` is the person."""
    op = FakeOp(ENTRA)
    op.claims = {"sub": "pairwise", "oid": "o-1", "tid": TENANT, "name": "A"}
    assert Visitor(op, user_claim="oid").sign_in().principal == Principal(ENTRA, "o-1")


def test_entra_addresses_are_not_verified() -> None:
    """An administrator of any tenant may type any address; `xms_edov` says that it is checked."""
    op = FakeOp(ENTRA)
    op.claims |= {"email": "ceo@example.org", "email_verified": True}
    visitor = Visitor(op, allowed=AllowList(emails=("ceo@example.org",)))
    with pytest.raises(SignInError):
        visitor.sign_in()
    op.claims["xms_edov"] = True
    assert visitor.sign_in().email == "ceo@example.org"


def test_entra_groups_overage() -> None:
    """With more than 200 groups the token has none of them: the person is told, and does not come in."""
    op = FakeOp(ENTRA)
    op.claims |= {
        "_claim_names": {"groups": "src1"},
        "_claim_sources": {"src1": {"endpoint": "https://graph.windows.net/x"}},
    }
    with pytest.raises(SignInError, match="so many groups"):
        Visitor(op, allowed=AllowList(groups=("g-1",))).sign_in()
    assert not any("graph.windows.net" in url for url in op.asked)


def test_keycloak_realm_path() -> None:
    """The well-known path is appended to the realm's (and not put before it, as RFC 8414 has it)."""
    op = FakeOp(KEYCLOAK)
    op.claims |= {"groups": ["/staff"]}
    person = Visitor(op, allowed=AllowList(groups=("/staff",))).sign_in()
    assert person.principal == Principal(KEYCLOAK, "alice")
    assert op.asked[0] == f"{KEYCLOAK}/.well-known/openid-configuration"


def test_keycloak_sends_iss() -> None:
    """It says so in its document, and then has to."""
    op = FakeOp(KEYCLOAK, authorization_response_iss_parameter_supported=True)
    with pytest.raises(SignInError, match="another provider"):
        Visitor(op).sign_in()
    Visitor(op).sign_in(iss=KEYCLOAK, session_state="x")


def test_auth0_issuer_ends_in_a_slash() -> None:
    """It belongs to the issuer, and to no URL that is made of it."""
    op = FakeOp(AUTH0)
    assert Visitor(op).sign_in().principal == Principal(AUTH0, "alice")
    assert op.asked[0] == "https://example.eu.auth0.com/.well-known/openid-configuration"


def test_auth0_issuer_without_the_slash_is_told() -> None:
    """The text says how it has to be written."""
    op = FakeOp(AUTH0)
    with pytest.raises(ProviderError, match="with or without '/'"):
        Visitor(op, issuer=AUTH0.removesuffix("/")).begin()


def test_auth0_groups_have_a_namespace() -> None:
    """Claims that an action adds are called like a URL."""
    op = FakeOp(AUTH0)
    op.claims["https://relay.example/groups"] = ["staff"]
    allowed = AllowList(groups=("staff",), groups_claim="https://relay.example/groups")
    assert Visitor(op, allowed=allowed).sign_in().principal.subject == "alice"


def test_authentik_issuer_per_application() -> None:
    """A path with a slash at the end, one for each application."""
    op = FakeOp(AUTHENTIK)
    op.claims |= {"groups": ["staff"]}
    allowed = AllowList(groups=("staff",))
    assert Visitor(op, allowed=allowed).sign_in().principal == Principal(AUTHENTIK, "alice")
    assert op.asked[0] == f"{AUTHENTIK.removesuffix('/')}/.well-known/openid-configuration"


def test_okta_custom_server() -> None:
    """Its ID tokens are thin: name, address and groups come from the userinfo endpoint."""
    op = FakeOp(OKTA)
    op.claims = {"sub": "00u1"}
    op.userinfo = {"sub": "00u1", "name": "A", "groups": ["staff"]}
    person = Visitor(op, allowed=AllowList(groups=("staff",))).sign_in()
    assert (person.principal, person.display_name) == (Principal(OKTA, "00u1"), "A")


def test_okta_org_server_is_another_issuer() -> None:
    """A token of the one is nothing to the other."""
    op = FakeOp(OKTA)
    op.token_claims["iss"] = "https://example.okta.com"
    with pytest.raises(SignInError):
        Visitor(op).sign_in()


HASS = "https://hass-oidc.example.org"


def hass() -> FakeOp:
    """A provider with what `hass-oidc-provider` publishes."""
    op = FakeOp(
        HASS,
        token_endpoint_auth_methods_supported=["none"],
        id_token_signing_alg_values_supported=["ES256"],
        scopes_supported=["openid", "profile"],
    )
    op.claims = {"sub": "0a1b", "name": "Ada", "is_owner": True, "is_admin": True}
    op.keys = key_set(public_jwk("ES256", 0, kid="default"))
    op.header = {"kid": "default"}
    return op


def test_home_assistant_public_client() -> None:
    """No secret, PKCE alone; users are the ids of Home Assistant."""
    op = hass()
    visitor = Visitor(op, client_secret=None, scopes=("openid", "profile"))
    assert visitor.sign_in().principal == Principal(HASS, "0a1b")
    assert (op.headers, op.count("/userinfo")) == ([{}], 0)


def test_home_assistant_takes_no_secret() -> None:
    """The text says what to do."""
    with pytest.raises(ProviderError, match="takes no client_secret: leave it out"):
        Visitor(hass()).sign_in()


def test_home_assistant_new_key_of_the_same_name() -> None:
    """Without `signingKey` it makes a key at each start, and calls every one `default`."""
    op = hass()
    visitor = Visitor(op, client_secret=None)
    visitor.sign_in()
    op.key = 1
    op.keys = key_set(public_jwk("ES256", 1, kid="default"))
    visitor.clock.advance(60)
    assert visitor.sign_in().display_name == "Ada"


def test_home_assistant_has_no_addresses() -> None:
    """To allow by them lets nobody in; by user id it works."""
    op = hass()
    by_domain = Visitor(op, client_secret=None, allowed=AllowList(domains=("example.org",)))
    with pytest.raises(SignInError):
        by_domain.sign_in()
    by_id = Visitor(op, client_secret=None, allowed=AllowList(users=("0a1b",)))
    assert by_id.sign_in().email is None
