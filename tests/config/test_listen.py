"""Listen strings are checked as Twisted will read them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import serverFromString
from twisted.internet.testing import MemoryReactor

from mcptunnel.config.errors import InvalidValueError
from mcptunnel.config.listen import loopback_url, parse_listen, tcp_endpoint

_GOOD = [
    "tcp:8787:interface=127.0.0.1",
    "tcp:8787",
    "tcp:port=0:interface=\\:\\:1:backlog=5",
    "unix:/run/mcptunnel.sock",
    "unix:address=/run/x:mode=660",
    "systemd:domain=INET:index=0",
]


@pytest.mark.parametrize("text", _GOOD)
def test_descriptions_are_kept_as_they_are(text: str) -> None:
    assert parse_listen(text) == text


@pytest.mark.parametrize("text", _GOOD[:5])
def test_twisted_takes_what_we_take(text: str) -> None:
    assert serverFromString(MemoryReactor(), text)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("8787", "'tcp:8787:interface=127.0.0.1'"),
        ("0.0.0.0:80", "'tcp:80:interface=0.0.0.0'"),
        ("localhost:80", "'tcp:80:interface=localhost'"),
        ("[::1]:80", "'tcp:80:interface=\\:\\:1'"),
        ("tpc:8787", "'tcp'"),
        ("tcp:http", "0 to 65535"),
        ("tcp:70000", "0 to 65535"),
        ("tcp:", "0 to 65535"),
        ("tcp:80:interfaces=127.0.0.1", "for example"),
        ("tcp:80:127.0.0.1", "for example"),
        ("", "for example"),
        ("un ix:/x", "unix"),
    ],
)
def test_a_bad_one_comes_with_the_right_spelling(text: str, remedy: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_listen(text)
    assert remedy in caught.value.remedy


def test_a_unix_endpoint_needs_a_path() -> None:
    with pytest.raises(InvalidValueError):
        parse_listen("unix:mode=660")


def test_kinds_of_other_plugins_pass() -> None:
    assert parse_listen("acme:whatever") == "acme:whatever"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("tcp:8787:interface=127.0.0.1", "http://127.0.0.1:8787"),
        ("tcp:8787:interface=\\:\\:1", "http://[::1]:8787"),
        ("tcp:8787:interface=localhost", "http://localhost:8787"),
        ("tcp:8787", None),
        ("tcp:8787:interface=0.0.0.0", None),
        ("tcp:0:interface=127.0.0.1", None),
        ("unix:/x", None),
    ],
)
def test_the_public_url_follows_only_from_loopback(text: str, url: str | None) -> None:
    assert loopback_url(text) == url


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "fe80::1"])
def test_addresses_make_descriptions(host: str) -> None:
    assert serverFromString(MemoryReactor(), tcp_endpoint(host, 80))
    assert parse_listen(tcp_endpoint(host, 80))


@given(st.text(alphabet="tcp:=\\unix[]0189. é"))
def test_any_text_is_accepted_or_refused(text: str) -> None:
    with suppress(InvalidValueError):
        loopback_url(parse_listen(text))
