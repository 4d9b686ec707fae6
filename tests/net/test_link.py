"""Addresses that links are dialled to, and headers that may be sent."""

import pytest

from mcptunnel.net.link import LinkAddress, check_headers


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://relay.test", LinkAddress(False, "relay.test", 80, "/")),
        ("ws://relay.test/ws", LinkAddress(False, "relay.test", 80, "/ws")),
        ("https://Relay.test/tunnel?a=b#c", LinkAddress(True, "relay.test", 443, "/tunnel?a=b")),
        ("wss://[::1]:8443/t", LinkAddress(True, "::1", 8443, "/t")),
    ],
)
def test_urls(url: str, expected: LinkAddress) -> None:
    """Schemes, default ports, path and query; a fragment stays here."""
    assert LinkAddress.parse(url) == expected


@pytest.mark.parametrize(
    "url",
    ["", "relay.test", "ftp://relay.test", "http://", "http:///x", "http://a/ä", "http://a:99999/"],
)
def test_what_is_no_address(url: str) -> None:
    """Everything else is a ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011 - the standard library raises some of them
        LinkAddress.parse(url)


def test_a_credential_in_a_url_is_refused_and_not_repeated() -> None:
    """It would end up in logs."""
    with pytest.raises(ValueError, match="must not carry") as caught:
        LinkAddress.parse("https://user:hunter2@relay.test/")
    assert "hunter2" not in str(caught.value)


def test_how_an_address_is_written() -> None:
    """IPv6 addresses get their brackets."""
    assert str(LinkAddress.parse("http://[::1]")) == "[::1]:80"
    assert str(LinkAddress.parse("https://relay.test")) == "relay.test:443"


@pytest.mark.parametrize("headers", [{"A": "b\nc"}, {"A": "b\0"}, {"A:": "b"}, {"": "b"}])
def test_headers_that_would_break_a_request(headers: dict[str, str]) -> None:
    """No line can be smuggled into the request."""
    with pytest.raises(ValueError, match="cannot be sent"):
        check_headers(headers)


def test_a_header_that_cannot_be_sent_is_not_repeated() -> None:
    """Its value may be a credential."""
    with pytest.raises(ValueError, match="Authorization") as caught:
        check_headers({"Authorization": "Bearer hunter2\n"})
    assert "hunter2" not in str(caught.value)


def test_ordinary_headers_pass() -> None:
    """What HTTP allows is allowed."""
    check_headers({"Authorization": "Bearer abc~+/=", "X-Empty": ""})
