"""Dynamic client registration, as real clients do it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth import tokens
from mcptunnel.auth.clients import AuthMethod, ClientKind, GrantType
from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.registration import MAX_REDIRECT_URIS, Registration, register
from tests.auth.signing import key_set, public_jwk

_CALLBACK = "https://app.example/cb"


def _registered(**request: object) -> Registration:
    asked = {"redirect_uris": [_CALLBACK], **request}
    return register(asked, client_id="mcpt_ci_1", random=bytes(32), now_s=1000.9)


def _refused(**request: object) -> ErrorCode:
    with pytest.raises(OAuthError) as caught:
        _registered(**request)
    return caught.value.code


def test_python_1_30_and_typescript_name_no_method_and_get_none() -> None:
    """RFC 7591 lets us replace what was asked for, if we say so; a client without a secret cannot lose it."""
    made = _registered(client_name="Inspector")
    assert made.answer == {
        "client_id": "mcpt_ci_1",
        "client_id_issued_at": 1000,
        "client_name": "Inspector",
        "redirect_uris": [_CALLBACK],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": "mcp",
    }
    assert made.client.auth_methods == (AuthMethod.NONE,)
    assert made.client.kind is ClientKind.REGISTERED


def test_claude_registers_a_secret_for_the_body() -> None:
    """openid-client wants a numeric `client_secret_expires_at` where there is a secret."""
    made = _registered(token_endpoint_auth_method="client_secret_post")
    secret = made.answer["client_secret"]
    assert made.answer["token_endpoint_auth_method"] == "client_secret_post"
    assert made.answer["client_secret_expires_at"] == 0
    assert made.client.has_secret(secret)
    assert set(made.client.auth_methods) == {AuthMethod.POST, AuthMethod.BASIC}
    assert secret not in repr(made)
    assert tokens.parse(secret) is not None


def test_cursor_registers_three_kinds_of_redirects_at_once() -> None:
    """To refuse one is to refuse all."""
    uris = [
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "https://www.cursor.com/agents/mcp/oauth/callback",
        "http://localhost:8787/callback",
    ]
    made = _registered(redirect_uris=uris, application_type="web")
    assert made.client.redirect_uris == tuple(uris)
    assert made.answer["application_type"] == "web"


def test_opencode_registers_loopback_without_application_type_and_twice() -> None:
    """The same metadata have the same fingerprint, whatever their id, and may get the same client."""
    one = _registered(redirect_uris=["http://127.0.0.1:19876/mcp/oauth/callback"])
    two = register(
        {"redirect_uris": ["http://127.0.0.1:19876/mcp/oauth/callback"]},
        client_id="mcpt_ci_2",
        random=bytes(32),
        now_s=2000.0,
    )
    assert one.fingerprint == two.fingerprint
    assert one.fingerprint != _registered().fingerprint
    assert "application_type" not in one.answer


def test_claude_code_refuses_null_members() -> None:
    """What was sent as null, or is not text, is not in the answer."""
    made = _registered(client_uri=None, logo_uri=None, client_name=None, jwks=None, scope=None)
    assert None not in made.answer.values()
    assert made.client.name == ""


def test_mistral_and_copilot_studio_ask_for_grants_that_we_do_not_have() -> None:
    """Grants and response types are intersected, not refused."""
    made = _registered(
        grant_types=["implicit", "refresh_token", "client_credentials"], response_types=["token"]
    )
    assert made.answer["grant_types"] == ["authorization_code", "refresh_token"]
    assert made.answer["response_types"] == ["code"]
    assert _registered(grant_types=["authorization_code"]).client.grant_types == {
        GrantType.AUTHORIZATION_CODE
    }


def test_device_codes_are_not_for_everyone() -> None:
    made = _registered(grant_types=["urn:ietf:params:oauth:grant-type:device_code"])
    assert made.answer["grant_types"] == ["authorization_code"]


def test_unknown_methods_become_none() -> None:
    methods: list[object] = ["tls_client_auth", "client_secret_jwt", 1, ["none"], {}]
    for method in methods:
        assert (
            _registered(token_endpoint_auth_method=method).answer["token_endpoint_auth_method"]
            == "none"
        )


def test_a_client_that_signs_registers_its_keys() -> None:
    keys = key_set(public_jwk("ES256"))
    made = _registered(token_endpoint_auth_method="private_key_jwt", jwks=keys)
    assert made.client.jwks == keys
    assert made.answer["jwks"] == keys
    assert "client_secret" not in made.answer
    assert _refused(token_endpoint_auth_method="private_key_jwt") is (
        ErrorCode.INVALID_CLIENT_METADATA
    )


@pytest.mark.parametrize(
    "uris",
    [
        None,
        [],
        "https://a.example/cb",
        [1],
        [_CALLBACK] * (MAX_REDIRECT_URIS + 1),
        [_CALLBACK, "javascript:alert(1)"],
        ["http://a.example/cb"],
        ["https://a.example/cb#x"],
        ["https://*.example/cb"],
    ],
)
def test_row_4_redirects_that_are_refused(uris: object) -> None:
    assert _refused(redirect_uris=uris) is ErrorCode.INVALID_REDIRECT_URI


def test_row_11_links_that_a_page_could_run_are_left_out() -> None:
    """Only http and https, and text without tricks."""
    made = _registered(
        logo_uri="javascript:alert(1)",
        client_uri="https://app.example",
        tos_uri="data:text/html,x",
        policy_uri="https://u:p@app.example",
        client_name="A\u202eppa\x00\n",
        software_id="x" * 1000,
    )
    assert set(made.answer) & {"logo_uri", "tos_uri", "policy_uri", "client_uri"} == {"client_uri"}
    assert made.answer["client_name"] == "Appa"
    assert len(made.answer["software_id"]) <= 256


def test_no_registration_gets_the_scope_of_agents() -> None:
    """Row 20."""
    made = _registered(scope="agent mcp admin")
    assert made.answer["scope"] == "mcp"
    assert "agent" not in made.client.scopes


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_MEMBERS = st.sampled_from(
    [
        "client_name",
        "grant_types",
        "scope",
        "jwks",
        "jwks_uri",
        "logo_uri",
        "redirect_uris",
        "token_endpoint_auth_method",
        "application_type",
    ]
)


@given(st.dictionaries(_MEMBERS, _JSON | st.just("private_key_jwt")))
def test_row_12_any_metadata_are_registered_or_refused(request: dict[str, Any]) -> None:
    """Nothing but OAuthError comes out, and no null."""
    try:
        made = register(
            {"redirect_uris": [_CALLBACK], **request}, client_id="c", random=bytes(32), now_s=0.0
        )
    except OAuthError:
        return
    assert None not in made.answer.values()
