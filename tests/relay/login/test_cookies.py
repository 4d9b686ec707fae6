"""The cookie of a browser session."""

import pytest

from mcptunnel.relay.login.cookies import SessionCookie
from tests.relay.login.visits import Jar

SECRET, OTHER = "s" * 43, "o" * 43


@pytest.mark.parametrize(
    ("public_url", "name", "secure"),
    [
        ("https://relay.example", "__Host-mcptunnel", True),
        ("https://relay.example:8443", "__Host-mcptunnel", True),
        ("http://localhost:8787", "mcptunnel-8787", False),
        ("http://127.0.0.1", "mcptunnel", False),
        ("http://relay.example:8787", "mcptunnel", False),
    ],
)
def test_the_name_says_what_browsers_hold_to(public_url: str, name: str, secure: bool) -> None:
    """All ports of a machine share their cookies, so two relays there need two names."""
    assert SessionCookie.of(public_url) == SessionCookie(name, secure=secure)


def test_threat_14_the_cookie_is_for_this_host_and_no_script() -> None:
    request = Jar().request()
    SessionCookie.of("https://relay.example").put(request, SECRET, 60.5)
    (line,) = request.cookies
    assert set(line.decode().split("; ")) == {
        f"__Host-mcptunnel={SECRET}",
        "HttpOnly",
        "Max-Age=60",
        "Path=/",
        "SameSite=Lax",
        "Secure",
    }


def test_a_later_cookie_replaces_an_earlier_one() -> None:
    request = Jar().request()
    request.cookies.append(b"other=1")
    cookie = SessionCookie.of("http://localhost:8787")
    cookie.put(request, SECRET, None)
    cookie.put(request, OTHER, None)
    cookie.take_away(request)
    assert request.cookies[0] == b"other=1"
    (line,) = request.cookies[1:]
    assert set(line.decode().split("; ")) == {
        'mcptunnel-8787=""',
        "HttpOnly",
        "Max-Age=0",
        "Path=/",
        "SameSite=Lax",
    }


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (f"__Host-mcptunnel={SECRET}", SECRET),
        (f"a=b; __Host-mcptunnel={SECRET};c", SECRET),
        (f"__Host-mcptunnel={SECRET}; __Host-mcptunnel={SECRET}", SECRET),
        (f"__Host-mcptunnel={SECRET}; __Host-mcptunnel={OTHER}", None),
        (f"mcptunnel={SECRET}", None),
        (f"__host-mcptunnel={SECRET}", None),
        ("__Host-mcptunnel=", None),
        (f"__Host-mcptunnel={SECRET}x", None),
        ("__Host-mcptunnel=" + "ä" * 43, None),
        ("", None),
    ],
)
def test_only_one_secret_of_the_right_form_is_read(header: str, found: str | None) -> None:
    request = Jar().request(cookie=header)
    assert SessionCookie.of("https://relay.example").read(request) == found
