"""Endpoints for people: hosts, methods, pace, failures; always a page, never a trace."""

import pytest

from mcptunnel.relay.login.browsers import SessionLimits
from mcptunnel.relay.oauth.settings import OAuthSettings
from mcptunnel.store.errors import StoreError
from tests.conftest import LoggedFailures
from tests.relay.store_at_once import StoreAtOnce
from tests.relay.web.oauth.site import FORM, ISSUER, OAuthSite, PersonAtBrowser, authorize_path
from tests.relay.web.site import HttpAnswer


@pytest.fixture
def site(store: StoreAtOnce) -> OAuthSite:
    return OAuthSite(store=store)


PATHS = ("/authorize", "/consent", "/device")


def check_page(answer: HttpAnswer, status: int) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", PATHS)
def test_threat_24_a_foreign_host_is_refused(site: OAuthSite, path: str) -> None:
    check_page(site.send("GET", path, headers={"host": "evil.example"}), 421)


@pytest.mark.parametrize("path", PATHS)
def test_there_is_nothing_below(site: OAuthSite, path: str) -> None:
    check_page(site.send("GET", f"{path}/x"), 404)


@pytest.mark.parametrize("path", PATHS)
def test_other_methods_are_told_which_ones(site: OAuthSite, path: str) -> None:
    answer = site.send("PUT", path)
    check_page(answer, 405)
    assert answer.headers["allow"] == ("POST" if path == "/consent" else "GET, POST")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [b"%ff=x", b"a=%00", b"&".join(b"a%d=b" % n for n in range(99))])
def test_what_cannot_be_read_is_a_page(site: OAuthSite, path: str, body: bytes) -> None:
    """Never a 500, and never a stack trace."""
    check_page(site.send("POST", path, body, {"content-type": FORM}), 400)
    check_page(site.send("POST", path, body, {"content-type": "application/json"}), 400)


@pytest.mark.parametrize("path", PATHS)
def test_threat_27_forms_have_a_bound(site: OAuthSite, path: str) -> None:
    check_page(site.send("POST", path, b"a=" + b"x" * 33_000, {"content-type": FORM}), 413)


@pytest.mark.parametrize("path", PATHS)
def test_threat_13_one_address_is_slowed_down(store: StoreAtOnce, path: str) -> None:
    site = OAuthSite(store=store, settings=OAuthSettings(issuer=ISSUER, requests_per_minute=10))
    for _ in range(10):
        site.send("POST", path, b"", {"content-type": FORM})
    answer = site.send("POST", path, b"", {"content-type": FORM})
    check_page(answer, 429)
    assert answer.headers["retry-after"] == "6"


def test_a_client_is_slowed_down_wherever_it_sends_people_from(store: StoreAtOnce) -> None:
    settings = OAuthSettings(issuer=ISSUER, requests_per_minute=10)
    site = OAuthSite(store=store, settings=settings, trusted=("192.168.1.1",))
    path = authorize_path(client_id=site.client_id())
    statuses = [
        site.send("GET", path, headers={"x-forwarded-for": f"10.0.{number}.1"}).status
        for number in range(101)
    ]
    assert statuses == [303] * 100 + [429]


def test_a_store_that_fails_is_a_page(
    site: OAuthSite, monkeypatch: pytest.MonkeyPatch, logged_failures: LoggedFailures
) -> None:
    def fails(_change: object) -> object:
        raise StoreError("the disk is full of secrets")

    monkeypatch.setattr(site.store.database, "read", fails)
    answer = site.send("GET", authorize_path(client_id="x"))
    check_page(answer, 503)
    assert answer.headers["retry-after"] == "5"
    assert "secrets" not in answer.body.decode()
    assert logged_failures.take(StoreError)


def test_a_mistake_of_ours_is_a_page_without_a_trace(
    site: OAuthSite, monkeypatch: pytest.MonkeyPatch, logged_failures: LoggedFailures
) -> None:
    def fails(_change: object) -> object:
        raise RuntimeError("a secret")

    monkeypatch.setattr(site.store.database, "read", fails)
    answer = site.send("GET", authorize_path(client_id="x"))
    check_page(answer, 500)
    assert "RuntimeError" not in answer.body.decode()
    assert "a secret" not in answer.body.decode()
    assert logged_failures.take(RuntimeError)


def test_there_is_room_for_so_many_browsers(store: StoreAtOnce) -> None:
    site = OAuthSite(store=store, sessions_limits=SessionLimits(at_most=1))
    path = authorize_path(client_id=site.client_id())
    assert PersonAtBrowser(site).get(path).status == 303
    answer = PersonAtBrowser(site).get(path)
    check_page(answer, 503)
    assert answer.headers["retry-after"] == "60"
