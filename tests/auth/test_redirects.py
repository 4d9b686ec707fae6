"""Redirect URIs: what may be registered, and what matches (threat 4)."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth.redirects import (
    BLOCKED_SCHEMES,
    form_action_source,
    is_loopback,
    is_private_scheme,
    is_registered,
    redirect_fault,
    with_parameters,
)

CURSOR = [
    "cursor://anysphere.cursor-mcp/oauth/callback",
    "https://www.cursor.com/agents/mcp/oauth/callback",
    "http://localhost:8787/callback",
]
VSCODE = [
    "https://vscode.dev/redirect",
    "https://insiders.vscode.dev/redirect",
    "http://127.0.0.1/",
    "http://127.0.0.1:33418/",
]
_PORTS = st.integers(1, 65535)


@pytest.mark.parametrize(
    "uri",
    [
        *CURSOR,
        *VSCODE,
        "https://claude.ai/api/mcp/auth_callback",
        "https://claude.com/api/mcp/auth_callback",
        "https://chatgpt.com/connector/oauth/abc",
        "https://chatgpt.com/connector_platform_oauth_redirect",
        "http://localhost:7777/oauth/callback",
        "http://[::1]:5000/cb",
        "com.example.app:/callback",
        "com.example.app:callback",
        "vscode://vscode.github-authentication/did-authenticate",
        "warp://mcp/oauth2callback",
        "https://app.example/cb?x=1",
    ],
)
def test_redirects_of_real_clients_may_be_registered(uri: str) -> None:
    assert redirect_fault(uri) is None
    assert is_registered([uri], uri)


@pytest.mark.parametrize("scheme", sorted(BLOCKED_SCHEMES))
def test_row_4_blocked_schemes(scheme: str) -> None:
    """`javascript:` and its like are refused, also in upper case, also when they are registered."""
    for uri in (f"{scheme}://host/path", f"{scheme}:alert(1)", f"{scheme.upper()}:x"):
        assert redirect_fault(uri) is not None
        assert not is_registered([uri], uri)


@pytest.mark.parametrize(
    "uri",
    [
        "microsoft-edge:https://evil.example/",
        "microsoft-edge:?url=https%3A%2F%2Fevil.example",
        "googlechromes://evil.example/",
        "firefox://open-url?url=https://evil.example",
        "ms-word:https://evil.example/x.docx",
        "ms-appinstaller:?source=https://evil.example/x.appx",
    ],
)
def test_row_4_open_redirect_a_web_site_does_not_pose_as_a_program(uri: str) -> None:
    """What stays on the person's machine is trusted more; a browser's own scheme leads to any site."""
    assert redirect_fault(uri) is not None


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example/cb#x",
        "https://app.example/cb#",
        "https://user@app.example/cb",
        "https://*.app.example/cb",
        "https://app.example/*",
        "http://app.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://localhost.evil.example/cb",
        "http://127.0.0.2/cb",
        "https:///cb",
        "https:cb",
        "/cb",
        "//app.example/cb",
        "app:",
        "any-browser:https://evil.example/",
        "any-browser:HTTP://evil.example/",
        "feeds:javascript:alert(1)",
        "https://app.example\\@evil.example/",
        "https://app.example/\x00",
        "java\nscript:alert(1)",
        " javascript:alert(1)",
        "",
        "https://app.example/" + "a" * 2100,
    ],
)
def test_row_4_what_no_client_may_use(uri: str) -> None:
    assert redirect_fault(uri) is not None
    assert not is_registered([uri], uri)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_claude_code_and_codex_listen_on_any_port(host: str) -> None:
    """Their documents name a loopback redirect without a port, and they use a random one."""
    assert is_registered([f"http://{host}/callback"], f"http://{host}:49152/callback")
    assert is_registered([f"http://{host}:1/callback"], f"http://{host}:2/callback")
    assert is_registered([f"http://{host}:1/callback"], f"http://{host}/callback")


def test_vscode_takes_another_port_when_its_own_is_taken() -> None:
    assert is_registered(VSCODE, "http://127.0.0.1:50123/")
    assert is_registered(VSCODE, "http://127.0.0.1:50123")


def test_opencode_uses_another_path_than_its_document_names() -> None:
    """The path is exact: opencode has to register instead."""
    listed = ["http://127.0.0.1:19876/callback"]
    assert not is_registered(listed, "http://127.0.0.1:19876/mcp/oauth/callback")


@pytest.mark.parametrize(
    "presented",
    [
        "http://127.0.0.1:5000/callback",
        "http://[::1]:5000/callback",
        "http://localhost:5000/callback/",
        "http://localhost:5000/Callback",
        "http://localhost:5000/callback?x=1",
        "http://localhost:5000/callback?",
        "https://localhost:5000/callback",
        "http://localhost:5000/callback#x",
        "http://u@localhost:5000/callback",
        "http://localhost:5000/a/../callback",
    ],
)
def test_row_4_but_for_the_port_a_loopback_redirect_is_exact(presented: str) -> None:
    assert not is_registered(["http://localhost/callback"], presented)


@pytest.mark.parametrize(
    "presented",
    [
        "https://app.example/cb/",
        "https://app.example/CB",
        "https://app.example:443/cb",
        "https://app.example:8443/cb",
        "https://APP.example/cb",
        "https://app.example/cb?x",
        "https://app.example/c%62",
        "https://app.example/cb/../cb",
        "https://sub.app.example/cb",
        "http://app.example/cb",
    ],
)
def test_row_4_all_else_is_exact(presented: str) -> None:
    """A string comparison (RFC 9700, 2.1)."""
    assert not is_registered(["https://app.example/cb"], presented)


def test_private_schemes_are_exact() -> None:
    assert is_private_scheme(CURSOR[0])
    assert not is_registered(CURSOR, "cursor://anysphere.cursor-mcp/oauth/other")
    assert not is_registered(CURSOR, "cursor://anysphere.cursor-mcp:1/oauth/callback")


@given(_PORTS, _PORTS, st.sampled_from(["localhost", "127.0.0.1", "[::1]", "app.example"]))
def test_only_loopback_redirects_have_a_free_port(one: int, other: int, host: str) -> None:
    registered, presented = f"http://{host}:{one}/cb", f"http://{host}:{other}/cb"
    assert is_registered([registered], presented) == (host != "app.example")
    secure = f"https://{host}:{one}/cb"
    assert is_registered([secure], f"https://{host}:{other}/cb") == (one == other)


@given(st.text(), st.text())
def test_any_texts_match_only_when_they_are_equal_or_loopback(one: str, other: str) -> None:
    """The matcher never raises, and never lets through what has a fault."""
    if is_registered([one], other):
        assert redirect_fault(other) is None
        assert one == other or is_loopback(other)


@given(st.sampled_from([*CURSOR, *VSCODE]), st.sampled_from([*CURSOR, *VSCODE]))
def test_matching_is_symmetric(one: str, other: str) -> None:
    assert is_registered([one], other) == is_registered([other], one)


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("https://claude.ai/api/mcp/auth_callback", "https://claude.ai"),
        ("https://app.example:8443/cb", "https://app.example:8443"),
        ("http://127.0.0.1:5000/cb", "http://127.0.0.1:5000"),
        ("http://localhost:5000/cb", "http://localhost:5000"),
        ("http://[::1]:5000/cb", "http:"),
        ("https://a_b.example/cb", "https:"),
        ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor:"),
        ("com.example.app:/cb", "com.example.app:"),
    ],
)
def test_row_16_chrome_applies_form_action_to_the_redirect(uri: str, source: str) -> None:
    """The source names the redirect's origin where CSP can, and never breaks out of its directive."""
    assert form_action_source(uri) == source
    assert not set(source) & set("; ,'\"")


def test_what_was_not_checked_has_no_source() -> None:
    with pytest.raises(ValueError, match="not checked"):
        form_action_source("nowhere")


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("https://a.example/cb", "https://a.example/cb?state=a+b%26c"),
        ("https://a.example/cb?", "https://a.example/cb?state=a+b%26c"),
        ("https://a.example/cb?x=1", "https://a.example/cb?x=1&state=a+b%26c"),
        ("com.example.app:/cb", "com.example.app:/cb?state=a+b%26c"),
    ],
)
def test_parameters_are_added_to_the_query(uri: str, wanted: str) -> None:
    assert with_parameters(uri, [("state", "a b&c")]) == wanted


@given(st.text(st.characters(codec="utf-8")))
def test_a_state_comes_back_unchanged_and_stays_in_the_query(state: str) -> None:
    """No state adds a header line or a fragment."""
    location = with_parameters("https://a.example/cb", [("state", state)])
    assert location.isascii()
    assert location.isprintable()
    parts = urlsplit(location)
    assert not parts.fragment
    assert parse_qsl(parts.query, keep_blank_values=True) == [("state", state)]
