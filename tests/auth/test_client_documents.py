"""Client ID Metadata Documents, as real clients publish them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth.client_documents import (
    document_fault,
    is_document_id,
    lifetime_s,
    read_document,
    read_pinned,
)
from mcptunnel.auth.clients import CLIENT_GRANTS, AuthMethod, ClientKind, GrantType
from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.fetch_urls import HostPolicy
from mcptunnel.auth.redirects import is_registered

CLAUDE_CODE = "https://claude.ai/oauth/claude-code-client-metadata"
CODEX = "https://chatgpt.com/oauth/codex/client.json"
CHATGPT = "https://chatgpt.com/oauth/abc/client.json"
DOCUMENTS: dict[str, dict[str, Any]] = {
    CLAUDE_CODE: {
        "client_id": CLAUDE_CODE,
        "client_name": "Claude Code",
        "client_uri": "https://claude.ai/code",
        "redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    },
    CODEX: {
        "client_id": CODEX,
        "client_name": "Codex",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "token_endpoint_auth_method": "none",
    },
    CHATGPT: {
        "client_id": CHATGPT,
        "client_name": "ChatGPT",
        "redirect_uris": ["https://chatgpt.com/connector/oauth/abc"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "token_endpoint_auth_signing_alg": "RS256",
        "jwks_uri": "https://chatgpt.com/oauth/jwks.json",
    },
}


def test_claude_code_lists_loopback_without_a_port() -> None:
    client = read_document(CLAUDE_CODE, DOCUMENTS[CLAUDE_CODE])
    assert (client.kind, client.auth_methods) == (ClientKind.DOCUMENT, (AuthMethod.NONE,))
    assert client.client_uri == "https://claude.ai/code"
    assert is_registered(client.redirect_uris, "http://localhost:53682/callback")


def test_codex_without_grant_types_may_refresh() -> None:
    assert read_document(CODEX, DOCUMENTS[CODEX]).grant_types == CLIENT_GRANTS


def test_chatgpt_signs_since_2026_08_06_and_may_go_down_to_none() -> None:
    """It names private_key_jwt and lists `none`: both are good, with the algorithm that it names."""
    client = read_document(CHATGPT, DOCUMENTS[CHATGPT])
    assert client.auth_methods == (AuthMethod.PRIVATE_KEY_JWT, AuthMethod.NONE)
    assert client.jwks_uri == "https://chatgpt.com/oauth/jwks.json"
    assert client.signing_algorithm == "RS256"


def test_a_document_that_lists_no_none_has_to_sign() -> None:
    document = DOCUMENTS[CHATGPT] | {"token_endpoint_auth_methods_supported": ["private_key_jwt"]}
    assert read_document(CHATGPT, document).auth_methods == (AuthMethod.PRIVATE_KEY_JWT,)


def test_opencode_names_another_path_than_it_uses() -> None:
    """The document is good, the redirect is not: an error page, and DCR remains."""
    url = "https://opencode.ai/client.json"
    document = {**DOCUMENTS[CODEX], "client_id": url}
    assert not is_registered(
        read_document(url, document).redirect_uris, "http://127.0.0.1:19876/mcp/oauth/callback"
    )


def test_redirects_that_cannot_be_used_are_left_out() -> None:
    uris = ["http://intranet.example/cb", "javascript:alert(1)", "https://a.example/cb"]
    document = DOCUMENTS[CODEX] | {"redirect_uris": uris}
    assert read_document(CODEX, document).redirect_uris == ("https://a.example/cb",)


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": CODEX + "/"},
        {"client_id": CODEX.upper()},
        {"client_id": None},
        {"client_name": ""},
        {"client_name": None},
        {"client_name": "\u202e"},
        {"redirect_uris": []},
        {"redirect_uris": "http://127.0.0.1/callback"},
        {"redirect_uris": ["javascript:alert(1)"]},
        {"client_secret": "x"},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": None},
        {"token_endpoint_auth_method": ["none"]},
    ],
)
def test_documents_that_are_refused(change: dict[str, Any]) -> None:
    """Another id, missing members, shared secrets, signing without keys."""
    with pytest.raises(OAuthError) as caught:
        read_document(CODEX, DOCUMENTS[CODEX] | change)
    assert caught.value.code is ErrorCode.INVALID_CLIENT_METADATA


def test_a_document_may_leave_out_refreshing() -> None:
    document = DOCUMENTS[CODEX] | {"grant_types": ["authorization_code", "implicit"]}
    assert read_document(CODEX, document).grant_types == {GrantType.AUTHORIZATION_CODE}


def test_pinned_documents_need_no_network() -> None:
    """For machines without a way out, and for tests with real clients."""
    assert set(read_pinned(DOCUMENTS)) == set(DOCUMENTS)
    with pytest.raises(OAuthError):
        read_pinned({CLAUDE_CODE: DOCUMENTS[CODEX]})


def test_which_ids_are_documents() -> None:
    assert is_document_id(CODEX)
    assert is_document_id("http://a.example/x")
    assert not is_document_id("mcpt_ci_1")
    assert document_fault(CODEX, HostPolicy(), "relay.example") is None
    assert document_fault("http://a.example/x", HostPolicy(), "relay.example")
    assert document_fault(CODEX, HostPolicy(refused=("chatgpt.com",)), "relay.example")


def test_row_10_the_relay_does_not_fetch_from_itself() -> None:
    assert document_fault("https://relay.example/x", HostPolicy(), "relay.example")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 3600),
        ("", 3600),
        ("public, max-age=600", 600),
        ("MAX-AGE=600", 600),
        ('max-age="600"', 600),
        ("max-age=1", 300),
        ("max-age=99999999", 86_400),
        ("no-store", 300),
        ("no-cache, max-age=600", 300),
        ("s-maxage=600", 3600),
        ("max-age=-1", 3600),
        ("max-age=x", 3600),
    ],
)
def test_a_document_counts_for_5_minutes_to_24_hours(header: str | None, seconds: int) -> None:
    assert lifetime_s(header) == seconds


@given(st.text())
def test_any_header_gives_a_lifetime(header: str) -> None:
    assert 300 <= lifetime_s(header) <= 86_400
