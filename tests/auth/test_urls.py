"""URLs of strangers, read strictly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth.urls import is_ip_address, split_url


@pytest.mark.parametrize(
    ("text", "origin", "path"),
    [
        ("https://Relay.Example.org/MCP", "https://relay.example.org", "/MCP"),
        ("HTTPS://relay.example:443", "https://relay.example", ""),
        ("http://127.0.0.1:33418/", "http://127.0.0.1:33418", "/"),
        ("http://[0:0:0:0:0:0:0:1]:80/a?b", "http://[::1]", "/a"),
        (
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "cursor://anysphere.cursor-mcp",
            "/oauth/callback",
        ),
    ],
)
def test_parts(text: str, origin: str, path: str) -> None:
    """Scheme and host in lower case, the default port gone, the path as it was."""
    url = split_url(text)
    assert url is not None
    assert (url.origin, url.path) == (origin, path)


def test_a_scheme_without_authority() -> None:
    url = split_url("com.example.app:/callback?x=1#y")
    assert url is not None
    assert (url.host, url.path, url.query, url.fragment) == (None, "/callback", "x=1", "y")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "relative/path",
        "//host/path",
        "https://ho st/",
        "https://host/\npath",
        "https://host\\@other/",
        "https://hóst/",
        "https://host:0/",
        "https://host:65536/",
        "https://host:1a/",
        "https://ho%73t/",
        "https://-host/",
        "https://a..b/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[::g]/",
        "https://[1::2::3]/",
        "https://host/%zz",
        "https://host/<script>",
        "https://" + "a" * 2100,
    ],
)
def test_ambiguous_texts_are_no_urls(text: str) -> None:
    """What a browser and we could read differently is nothing."""
    assert split_url(text) is None


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """The parser never raises."""
    url = split_url(text)
    assert url is None or url.scheme


@pytest.mark.parametrize(
    "host", ["[::1]", "127.0.0.1", "127.1", "2130706433", "0x7f.0.0.0x1", "1.2.3.4."]
)
def test_addresses_in_all_spellings(host: str) -> None:
    assert is_ip_address(host)


@pytest.mark.parametrize("host", ["example.org", "1.example", "localhost", "4chan.org"])
def test_names_are_no_addresses(host: str) -> None:
    assert not is_ip_address(host)


def test_userinfo_is_seen() -> None:
    """`https://trusted@evil/` goes to evil."""
    url = split_url("https://trusted.example@evil.example/")
    assert url is not None
    assert (url.host, url.has_userinfo) == ("evil.example", True)
