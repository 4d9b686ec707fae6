"""URLs that may be fetched (threat 10)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth.fetch_urls import HostPolicy, fetch_fault


@pytest.mark.parametrize(
    "url",
    [
        "https://claude.ai/oauth/mcp-oauth-client-metadata",
        "https://claude.ai/oauth/claude-code-client-metadata",
        "https://chatgpt.com/oauth/codex/client.json",
        "https://vscode.dev/oauth/client-metadata.json",
        "https://github.com/copilot/cli/client-metadata.json",
        "https://app.example.org:443/a/",
    ],
)
def test_documents_of_real_clients_may_be_fetched(url: str) -> None:
    assert fetch_fault(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://app.example.org/c",
        "https://app.example.org",
        "https://app.example.org/",
        "https://u:p@app.example.org/c",
        "https://app.example.org/c#f",
        "https://app.example.org/c?q",
        "https://app.example.org:8443/c",
        "https://app.example.org/a/../c",
        "https://app.example.org/a/%2e%2E/c",
        "https://app.example.org/./c",
        "https://127.0.0.1/c",
        "https://127.1/c",
        "https://2130706433/c",
        "https://0x7f000001/c",
        "https://0177.0.0.01/c",
        "https://8.8.8.8/c",
        "https://[::1]/c",
        "https://[2606:4700::1111]/c",
        "https://localhost/c",
        "https://app.localhost/c",
        "https://LOCALHOST./c",
        "https://metadata/c",
        "https://metadata.google.internal/c",
        "https://printer.local/c",
        "https://router.home.arpa./c",
        "https://app.example.org\\@evil.example/c",
        "file:///etc/passwd",
        "gopher://a.example/c",
        "https://app.example.org/" + "a" * 600,
        "",
    ],
)
def test_row_10_urls_that_are_never_fetched(url: str) -> None:
    assert fetch_fault(url) is not None


@given(st.text())
def test_any_text_has_a_fault_or_none(text: str) -> None:
    """Nothing raises; what has no fault is https."""
    assert fetch_fault(text) is not None or text.lower().startswith("https://")


@pytest.mark.parametrize(
    ("policy", "host", "permitted"),
    [
        (HostPolicy(), "a.example", True),
        (HostPolicy(allowed=("a.example",)), "A.example.", True),
        (HostPolicy(allowed=("a.example",)), "b.a.example", False),
        (HostPolicy(allowed=(".a.example",)), "b.a.example", True),
        (HostPolicy(allowed=(".a.example",)), "a.example", True),
        (HostPolicy(allowed=(".a.example",)), "evila.example", False),
        (HostPolicy(refused=("a.example",)), "a.example", False),
        (HostPolicy(allowed=(".example",), refused=(".a.example",)), "b.a.example", False),
        (HostPolicy(refused=("a.example",)), "b.example", True),
    ],
)
def test_hosts_may_be_allowed_or_refused(policy: HostPolicy, host: str, permitted: bool) -> None:
    assert policy.permits(host) is permitted
    assert (fetch_fault(f"https://{host}/c", policy) is None) is permitted
