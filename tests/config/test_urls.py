"""URLs have one spelling, and say when they are unsafe."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.config.errors import InvalidValueError
from mcptunnel.config.urls import (
    is_loopback,
    is_plain_remote,
    parse_origin,
    parse_relay_url,
    parse_server_url,
)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://Tunnel.Example.COM", "https://tunnel.example.com"),
        ("https://example.com:443/", "https://example.com"),
        ("HTTP://example.com:80//", "http://example.com"),
        ("http://127.0.0.1:8787", "http://127.0.0.1:8787"),
        ("http://[::0001]:8787/", "http://[::1]:8787"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_origins_are_normalised(text: str, origin: str) -> None:
    assert parse_origin(text) == origin
    assert parse_origin(origin) == origin


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("tunnel.example.com", "https://tunnel.example.com"),
        ("tunnel.example.com:8443", "https://tunnel.example.com:8443"),
        ("localhost:8787", "https://localhost:8787"),
        ("wss://tunnel.example.com", "https://tunnel.example.com"),
        ("ws://localhost:1", "http://localhost:1"),
        ("http://localhost:1", "http://localhost:1"),
    ],
)
def test_a_relay_without_scheme_means_https(text: str, origin: str) -> None:
    assert parse_relay_url(text) == origin


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com",
        "ftp://example.com",
        "https://",
        "https://exa mple.com",
        "https://example.com:0",
        "https://example.com:99999",
        "https://example.com:http",
        "https://example.com/mcp",
        "https://example.com?x=1",
        "https://example.com#x",
        "https://[::1",
        "https://-example.com",
        "https://exam$ple.com",
        "https://a..b",
        "https://example.com\nx",
    ],
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError):
        parse_origin(text)


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("", "is empty", "Write for example 'https://relay.example.org'."),
        ("http//host", "'http//host' is not a URL: a colon is missing", "Write 'http://host'."),
        ("https:/a.b", "'https:/a.b' is not a URL: '//' is missing", "Write 'https://a.b'."),
        ("a b", "'a b' is not a URL: it has spaces in it", "Write for example"),
        ("wss://a b", "'wss://a b' is not a URL: it has spaces in it", "Write for example"),
        ("a.b/c", "'a.b/c' has more than scheme, host and port", "Write 'https://a.b'"),
    ],
)
def test_what_was_written_is_quoted(text: str, message: str, remedy: str) -> None:
    """Not what it was completed to."""
    with pytest.raises(InvalidValueError) as caught:
        parse_relay_url(text)
    assert caught.value.message == message
    assert caught.value.remedy.startswith(remedy)


def test_a_server_has_an_example_of_its_own() -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_server_url("127.0.0.1:9000/mcp")
    assert caught.value.remedy == "Write for example 'http://127.0.0.1:9000/mcp'."


@pytest.mark.parametrize(
    "text", ["http//me:hunter2@a", "ftp://me:hunter2@a", "http://me:hunter2@a b"]
)
def test_a_password_is_not_repeated_with_other_mistakes(text: str) -> None:
    for parse in (parse_origin, parse_relay_url, parse_server_url):
        with pytest.raises(InvalidValueError) as caught:
            parse(text)
        assert "hunter2" not in f"{caught.value} {caught.value.remedy}"


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_server_url("http://me:hunter2@localhost/mcp")
    assert "hunter2" not in f"{caught.value} {caught.value.remedy}"


def test_a_path_gets_the_origin_as_remedy() -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_relay_url("example.com/mcp")
    assert "'https://example.com'" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:9000/mcp", "http://127.0.0.1:9000/mcp"),
        ("http://NAS:80/mcp?key=A%2Fb", "http://nas/mcp?key=A%2Fb"),
        ("https://example.com", "https://example.com/"),
    ],
)
def test_server_urls_keep_path_and_query(text: str, url: str) -> None:
    assert parse_server_url(text) == url


def test_a_fragment_is_refused() -> None:
    with pytest.raises(InvalidValueError):
        parse_server_url("http://localhost/mcp#x")


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)
    assert not is_plain_remote(f"http://{host}")


@pytest.mark.parametrize("host", ["example.com", "0.0.0.0", "10.0.0.1", "localhost.example.com"])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)
    assert is_plain_remote(f"http://{host}")
    assert not is_plain_remote(f"https://{host}")


@given(st.text())
def test_any_text_is_a_url_or_refused(text: str) -> None:
    """Nothing else is ever raised, and what was accepted is accepted again unchanged."""
    for parse in (parse_origin, parse_relay_url, parse_server_url):
        try:
            url = parse(text)
        except InvalidValueError:
            continue
        assert parse(url) == url


@given(st.text(alphabet="htps:/[]%@.#?1aA-_\\ é", max_size=20))
def test_odd_urls_too(rest: str) -> None:
    with suppress(InvalidValueError):
        parse_server_url(f"http://{rest}")
