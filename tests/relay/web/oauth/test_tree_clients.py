"""What real clients do, each from discovery to a token: one test for each, with its own ways."""

import json
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mcptunnel.auth.client_documents import read_document
from mcptunnel.auth.clients import Client
from mcptunnel.relay.oauth.settings import OAuthSettings
from tests.relay.store_at_once import StoreAtOnce
from tests.relay.web.oauth.site import (
    CALLBACK,
    ISSUER,
    VERIFIER,
    OAuthSite,
    PersonAtBrowser,
    granted,
    parameters_of,
    refreshed,
    tokens,
)
from tests.relay.web.site import HttpAnswer, HttpClient

CLAUDE_CODE = "https://claude.ai/oauth/claude-code-client-metadata"
CODEX = "https://chatgpt.com/oauth/codex/client.json"
CHATGPT = "https://chatgpt.com/oauth/abc/client.json"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
HUB = f"{ISSUER}/mcp"


def pinned(document: dict[str, Any]) -> dict[str, Client]:
    return {document["client_id"]: read_document(document["client_id"], document)}


def site_with(store: StoreAtOnce, document: dict[str, Any]) -> OAuthSite:
    return OAuthSite(store=store, settings=OAuthSettings(issuer=ISSUER, pinned=pinned(document)))


def connect(site: OAuthSite, client_id: str, redirect_uri: str, **parameters: str) -> HttpAnswer:
    """Authorize and exchange the code, as clients do, with `resource` in both."""
    alice = PersonAtBrowser(site)
    code = alice.grant(client_id, redirect_uri=redirect_uri, resource=HUB, **parameters)
    return tokens(site, client_id, code, redirect_uri=redirect_uri, resource=HUB)


def test_claude_code_has_a_document_and_any_loopback_port(store: StoreAtOnce) -> None:
    """Its document names no port; it asks for the metadata of the resource without a 401 before."""
    document = {
        "client_id": CLAUDE_CODE,
        "client_name": "Claude Code",
        "redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }
    site = site_with(store, document)
    resource = site.send("GET", "/.well-known/oauth-protected-resource/mcp").json
    metadata = site.send("GET", "/.well-known/oauth-authorization-server").json
    assert metadata["client_id_metadata_document_supported"] is True
    assert "none" in metadata["token_endpoint_auth_methods_supported"]
    assert "offline_access" in metadata["scopes_supported"]
    assert "offline_access" not in resource["scopes_supported"]
    given = connect(
        site,
        CLAUDE_CODE,
        "http://localhost:53123/callback",
        scope="mcp offline_access",
        prompt="consent",
    )
    assert given.status == 200
    assert given.json["refresh_token"]
    assert site.mcp(given.json["access_token"]).status == 200


def test_codex_has_a_document_and_never_prompts(store: StoreAtOnce) -> None:
    document = {
        "client_id": CODEX,
        "client_name": "Codex",
        "redirect_uris": ["http://127.0.0.1/callback", "http://localhost/callback"],
        "token_endpoint_auth_method": "none",
    }
    site = site_with(store, document)
    looked = site.send("GET", "/mcp", headers={"mcp-protocol-version": "2024-11-05"})
    assert looked.status == 401
    assert "resource_metadata" in looked.headers["www-authenticate"]
    given = connect(site, CODEX, "http://127.0.0.1:40123/callback", scope="offline_access")
    assert given.json["scope"] == "mcp offline_access"


def chatgpt_keys() -> tuple[rsa.RSAPrivateKey, dict[str, Any]]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return key, {"keys": [public | {"kid": "one", "alg": "RS256", "use": "sig"}]}


def chatgpt_document(keys: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "client_id": CHATGPT,
        "client_name": "ChatGPT",
        "redirect_uris": ["https://chatgpt.com/connector/oauth/abc"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "RS256",
        "jwks": keys,
        **more,
    }


def signed(site: OAuthSite, key: rsa.RSAPrivateKey, **claims: Any) -> str:
    now_s = int(site.joined.epoch_s())
    said = {
        "iss": CHATGPT,
        "sub": CHATGPT,
        "aud": f"{ISSUER}/token",
        "iat": now_s,
        "exp": now_s + 300,
        "jti": "1",
        **claims,
    }
    return jwt.encode(said, key, algorithm="RS256", headers={"kid": "one"})


def chatgpt_exchange(site: OAuthSite, assertion: str, code: str) -> HttpAnswer:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": VERIFIER,
        "redirect_uri": "https://chatgpt.com/connector/oauth/abc",
        "resource": HUB,
        "client_assertion_type": ASSERTION,
        "client_assertion": assertion,
    }
    return site.post_form("/token", form)


@pytest.mark.parametrize("audience", [f"{ISSUER}/token", ISSUER])
def test_chatgpt_signs_for_itself(store: StoreAtOnce, audience: str) -> None:
    """Without `client_id` in the form; the audience is our endpoint or our issuer, to the byte."""
    key, keys = chatgpt_keys()
    site = site_with(store, chatgpt_document(keys))
    code = PersonAtBrowser(site).grant(
        CHATGPT, redirect_uri="https://chatgpt.com/connector/oauth/abc", resource=HUB
    )
    given = chatgpt_exchange(site, signed(site, key, aud=audience), code)
    assert given.status == 200, given.body
    assert given.json["refresh_token"]


def test_threat_29_an_assertion_counts_once_and_only_if_it_is_right(store: StoreAtOnce) -> None:
    key, keys = chatgpt_keys()
    stranger, _ = chatgpt_keys()
    site = site_with(store, chatgpt_document(keys))
    wrong = [
        signed(site, stranger),
        signed(site, key, aud=f"{ISSUER}//token"),
        signed(site, key, iss="https://other.example/client.json"),
        signed(site, key, exp=int(site.joined.epoch_s()) - 100),
        signed(site, key, exp=int(site.joined.epoch_s()) + 10_000),
        signed(site, key, jti=None),
        "nonsense",
    ]
    for assertion in wrong:
        assert chatgpt_exchange(site, assertion, "x").status == 401
    good = signed(site, key)
    assert chatgpt_exchange(site, good, "x").json["error"] == "invalid_grant"
    again = chatgpt_exchange(site, good, "x")
    assert (again.status, again.json["error"]) == (401, "invalid_client")
    assert refreshed(site, CHATGPT, "x").status == 401


def test_chatgpt_goes_without_signing_where_its_document_lists_that(store: StoreAtOnce) -> None:
    _, keys = chatgpt_keys()
    listed = {"token_endpoint_auth_methods_supported": ["none", "private_key_jwt"]}
    site = site_with(store, chatgpt_document(keys, **listed))
    given = connect(site, CHATGPT, "https://chatgpt.com/connector/oauth/abc")
    assert given.status == 200


def test_claude_registers_with_a_secret_and_writes_a_space_before_its_scope(
    site: OAuthSite,
) -> None:
    """It refreshes a second later, and sends no `Origin`: it is a server."""
    registered = site.register(
        client_name="Claude",
        redirect_uris=["https://claude.ai/api/mcp/auth_callback"],
        token_endpoint_auth_method="client_secret_post",
        grant_types=["authorization_code", "refresh_token"],
        scope="claudeai",
    )
    assert registered.status == 201
    assert registered.json["client_secret_expires_at"] == 0
    client_id, secret = registered.json["client_id"], registered.json["client_secret"]
    for probe in ("", "/mcp"):
        assert site.send("GET", f"/.well-known/oauth-protected-resource{probe}").status == 200
    redirect_uri = "https://claude.ai/api/mcp/auth_callback"
    code = PersonAtBrowser(site).grant(
        client_id, redirect_uri=redirect_uri, scope=" offline_access", resource=HUB
    )
    given = tokens(site, client_id, code, redirect_uri=redirect_uri, client_secret=secret)
    assert given.json["scope"] == "mcp offline_access"
    site.wait_s(1)
    again = refreshed(site, client_id, given.json["refresh_token"], client_secret=secret)
    assert again.status == 200


def test_claude_never_sees_a_redirect_at_the_endpoint(site: OAuthSite) -> None:
    """Its page takes a slash at the end away; clients lose the token when they are redirected."""
    for method in ("GET", "POST", "HEAD", "DELETE"):
        connection = site.connection()
        connection.send(f"{method} /mcp HTTP/1.1\r\nhost: relay.test\r\n\r\n".encode())
        assert connection.answer.status == 401
        assert "resource_metadata" in connection.answer.headers["www-authenticate"]
    assert site.send("POST", "/mcp/").status == 404


def test_cursor_registers_three_kinds_of_redirects_at_once(site: OAuthSite) -> None:
    """To refuse one of them would refuse it altogether."""
    private = "cursor://anysphere.cursor-mcp/oauth/callback"
    uris = [
        private,
        "https://www.cursor.com/agents/mcp/oauth/callback",
        "http://localhost:8787/callback",
    ]
    client_id = site.client_id(client_name="Cursor", redirect_uris=uris)
    assert connect(site, client_id, private).status == 200
    wrong = PersonAtBrowser(site).authorize(client_id=client_id, redirect_uri=f"{private}/x")
    assert wrong.status == 400


def test_vs_code_takes_another_port_when_its_own_is_taken(site: OAuthSite) -> None:
    uris = [
        "https://vscode.dev/redirect",
        "https://insiders.vscode.dev/redirect",
        "http://127.0.0.1/",
        "http://127.0.0.1:33418/",
    ]
    client_id = site.client_id(client_name="Visual Studio Code", redirect_uris=uris)
    for redirect_uri in ("http://127.0.0.1:33418/", "http://127.0.0.1:50001/"):
        assert connect(site, client_id, redirect_uri).status == 200


def test_opencode_says_no_application_type_and_registers_twice(site: OAuthSite) -> None:
    wanted = {
        "client_name": "opencode",
        "redirect_uris": ["http://127.0.0.1:19876/mcp/oauth/callback"],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    }
    first, second = site.client_id(**wanted), site.client_id(**wanted)
    assert first == second
    given = connect(site, first, "http://127.0.0.1:19876/mcp/oauth/callback", prompt="consent")
    assert given.status == 200


def test_gemini_compares_the_resource_to_the_byte(site: OAuthSite) -> None:
    answer = site.send("GET", "/.well-known/oauth-protected-resource/mcp")
    assert answer.json["resource"] == f"{ISSUER}/mcp"
    client_id = site.client_id(redirect_uris=["http://localhost:7777/oauth/callback"])
    assert connect(site, client_id, "http://localhost:7777/oauth/callback").status == 200


def test_mcp_remote_refreshes_with_a_scope(site: OAuthSite) -> None:
    """And asks twice for a stream without a token before it does anything."""
    for _ in range(2):
        assert site.send("GET", "/mcp").status == 401
    client_id = site.client_id(
        redirect_uris=["http://localhost:3334/oauth/callback"], application_type="native"
    )
    asked = {"scope": "mcp offline_access", "prompt": "consent"}
    given = connect(site, client_id, "http://localhost:3334/oauth/callback", **asked).json
    again = refreshed(site, client_id, given["refresh_token"], scope=given["scope"], resource=HUB)
    assert again.status == 200


def test_python_mcp_1_registers_without_a_method_and_names_no_resource(site: OAuthSite) -> None:
    """What it gets opens every endpoint, since it never says which one it wants."""
    registered = site.register(redirect_uris=["http://localhost:3030/callback"]).json
    assert registered["token_endpoint_auth_method"] == "none"
    assert "client_secret" not in registered
    client_id = registered["client_id"]
    code = PersonAtBrowser(site).grant(client_id, redirect_uri="http://localhost:3030/callback")
    given = tokens(site, client_id, code, redirect_uri="http://localhost:3030/callback")
    assert site.mcp(given.json["access_token"]).status == 200


def test_python_mcp_2_asks_for_offline_access_where_it_is_listed_and_checks_iss(
    site: OAuthSite,
) -> None:
    """It begins with `server/discover`, registers as native, prompts for consent, and always names the resource."""
    challenge = HttpClient(site, "").modern("server/discover", authorization=None).answer
    assert challenge.status == 401
    assert "resource_metadata=" in challenge.headers["www-authenticate"]
    listed = site.send("GET", "/.well-known/oauth-authorization-server").json["scopes_supported"]
    assert "offline_access" in listed
    resource = site.send("GET", "/.well-known/oauth-protected-resource/mcp").json
    assert "offline_access" not in resource["scopes_supported"]
    callback = "http://localhost:3031/callback"
    client_id = site.client_id(redirect_uris=[callback], application_type="native")
    asked = {"scope": "mcp offline_access", "prompt": "consent", "resource": HUB}
    alice = PersonAtBrowser(site)
    sent = alice.answer_consent(
        alice.authorize(client_id=client_id, redirect_uri=callback, **asked)
    )
    assert parameters_of(sent)["iss"] == ISSUER
    given = tokens(
        site, client_id, parameters_of(sent)["code"], redirect_uri=callback, resource=HUB
    )
    assert given.json["scope"] == "mcp offline_access"
    again = refreshed(site, client_id, given.json["refresh_token"], resource=HUB)
    assert again.status == 200
    assert site.mcp(again.json["access_token"]).status == 200


def test_typescript_client_2_takes_metadata_of_the_same_issuer_alone(site: OAuthSite) -> None:
    """At every place where it looks, the issuer is the one that the resource names, byte for byte."""
    (named,) = site.send("GET", "/.well-known/oauth-protected-resource/mcp").json[
        "authorization_servers"
    ]
    for path in (
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/mcp",
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/mcp",
    ):
        document = site.send("GET", path, headers={"mcp-protocol-version": "2026-07-28"}).json
        assert document["issuer"] == named == ISSUER
        assert not named.endswith("/")
        assert document["authorization_response_iss_parameter_supported"] is True
    asked = {"scope": "mcp offline_access", "prompt": "consent"}
    callback = "http://127.0.0.1:3032/callback"
    client_id = site.client_id(redirect_uris=[callback], application_type="native")
    assert connect(site, client_id, callback, **asked).json["refresh_token"]


def test_copilot_cli_takes_any_port_of_the_redirect_that_it_registered(site: OAuthSite) -> None:
    """It listens on a free port each time, and keeps its registration."""
    client_id = site.client_id(redirect_uris=["http://127.0.0.1/"], application_type="native")
    for callback in ("http://127.0.0.1:40123/", "http://127.0.0.1:50456/", "http://127.0.0.1:7"):
        assert connect(site, client_id, callback).status == 200
    alice = PersonAtBrowser(site)
    for other in ("http://127.0.0.1:40123/other", "http://localhost:40123/"):
        refused = alice.authorize(client_id=client_id, redirect_uri=other)
        assert (refused.status, "location" in refused.headers) == (400, False)


def test_spark_finds_where_to_register(site: OAuthSite) -> None:
    document = site.send("GET", "/.well-known/oauth-authorization-server").json
    assert document["registration_endpoint"] == f"{ISSUER}/register"


def test_zod_refuses_nulls_and_there_are_none(site: OAuthSite) -> None:
    """In registrations, metadata and token answers (Claude Code's and the SDK's parsers)."""
    client_id, given = granted(site)
    registered = site.register(client_uri=None, logo_uri=None, scope=None, jwks=None).json
    found = [registered, given, refreshed(site, client_id, given["refresh_token"]).json]
    names = ("oauth-authorization-server", "openid-configuration", "oauth-protected-resource")
    found += [site.send("GET", f"/.well-known/{name}").json for name in names]
    assert all(None not in one.values() for one in found)


def test_typescript_sdk_sends_basic_if_it_was_given_a_secret(site: OAuthSite) -> None:
    """So it is given none unless it asks."""
    assert "client_secret" not in site.register().json


def test_clients_of_2025_03_26_find_the_endpoints_at_the_root(site: OAuthSite) -> None:
    """They look for metadata at the root, or guess `/authorize`, `/token` and `/register`."""
    for path in ("/token", "/register"):
        assert site.send("POST", path).status in (400, 401)
    client_id = site.client_id()
    code = PersonAtBrowser(site).grant(client_id)
    assert tokens(site, client_id, code).status == 200


def test_inspector_gives_its_token_back(site: OAuthSite) -> None:
    client_id = site.client_id(redirect_uris=["http://127.0.0.1:6276/oauth/callback"])
    given = connect(site, client_id, "http://127.0.0.1:6276/oauth/callback").json
    form = {
        "client_id": client_id,
        "token": given["refresh_token"],
        "token_type_hint": "refresh_token",
    }
    assert site.post_form("/revoke", form, {"origin": "http://127.0.0.1:6274"}).status == 200
    assert site.mcp(given["access_token"]).status == 401


def test_copilot_studio_and_le_chat_refresh_without_asking_for_it(site: OAuthSite) -> None:
    """A refresh token comes also without `offline_access`."""
    client_id = site.client_id()
    code = PersonAtBrowser(site).grant(client_id, scope="mcp")
    assert tokens(site, client_id, code).json["refresh_token"]


def test_a_client_without_refreshing_gets_no_refresh_token(site: OAuthSite) -> None:
    client_id = site.client_id(grant_types=["authorization_code"])
    alice = PersonAtBrowser(site)
    assert "refresh_token" not in tokens(site, client_id, alice.grant(client_id)).json
    offline = alice.grant(client_id, scope="mcp offline_access")
    assert "refresh_token" in tokens(site, client_id, offline).json


def test_smithery_reads_when_its_secret_expires(site: OAuthSite) -> None:
    registered = site.register(token_endpoint_auth_method="client_secret_basic").json
    assert registered["client_secret_expires_at"] == 0
    assert registered["token_endpoint_auth_method"] == "client_secret_basic"


def test_every_client_gets_iss_exactly_once(site: OAuthSite) -> None:
    alice = PersonAtBrowser(site)
    answer = alice.answer_consent(alice.authorize(client_id=site.client_id()))
    assert answer.headers["location"].count(urlencode({"iss": ISSUER})) == 1
    assert answer.headers["location"].startswith(CALLBACK)
    assert parameters_of(answer)["iss"] == ISSUER
