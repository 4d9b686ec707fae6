"""Endpoints for programs: other origins, methods, bodies, hosts, pace."""

import pytest

from mcptunnel.relay.oauth.limits import ALL_TIMES
from mcptunnel.relay.oauth.settings import OAuthSettings
from mcptunnel.relay.web.oauth.programs import MAX_BODY_BYTES, REFUSALS_BURST
from mcptunnel.store.errors import StoreError
from tests.conftest import Log, LoggedFailures
from tests.relay.store_at_once import StoreAtOnce
from tests.relay.web.oauth.site import (
    FORM,
    ISSUER,
    OAuthSite,
    PersonAtBrowser,
    authorize_path,
    tokens,
)
from tests.relay.web.site import HOST, head_of

POSTED = ("/token", "/register", "/revoke", "/device_authorization")
READ = (
    "/.well-known/oauth-protected-resource/mcp",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
)
PAGE = "https://inspector.example"


@pytest.mark.parametrize("path", [*POSTED, *READ])
def test_inspector_asks_before_it_calls_from_a_page(site: OAuthSite, path: str) -> None:
    """A preflight, because discovery carries MCP-Protocol-Version; the answer is for everybody."""
    answer = site.send(
        "OPTIONS",
        path,
        headers={
            "origin": PAGE,
            "access-control-request-method": "GET",
            "access-control-request-headers": "mcp-protocol-version, mcp-param-a",
        },
    )
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"mcp-protocol-version", "authorization", "content-type", "mcp-param-a"} <= {*allowed}
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", [*POSTED, *READ])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_every_answer_can_be_read_by_pages(site: OAuthSite, path: str, method: str) -> None:
    """Errors as well: otherwise all that a page sees is that something failed."""
    answer = site.send(method, path, headers={"origin": PAGE})
    assert answer.headers["access-control-allow-origin"] == "*"
    exposed = answer.headers["access-control-expose-headers"].lower()
    assert "www-authenticate" in exposed
    assert "retry-after" in exposed


@pytest.mark.parametrize("path", ["/authorize", "/consent", "/device"])
def test_pages_are_not_for_other_origins(site: OAuthSite, path: str) -> None:
    answer = site.send("OPTIONS", path, headers={"origin": PAGE})
    assert answer.status == 405
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", POSTED)
def test_other_methods_are_told_which_one(site: OAuthSite, path: str) -> None:
    answer = site.send("GET", path)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST, OPTIONS"
    assert answer.json["error"] == "method_not_allowed"


@pytest.mark.parametrize("path", POSTED)
def test_there_is_nothing_below(site: OAuthSite, path: str) -> None:
    assert site.send("POST", f"{path}/x").status == 404


@pytest.mark.parametrize("path", [*POSTED, *READ])
def test_threat_24_a_foreign_host_is_refused(site: OAuthSite, path: str) -> None:
    answer = site.send("POST", path, headers={"host": "evil.example"})
    assert answer.status == 421
    assert answer.json["error"] == "invalid_request"


@pytest.mark.parametrize("path", ["/token", "/revoke", "/device_authorization"])
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{}", "application/json"),
        (b"client_id=a&client_id=a", FORM),
        (b"client_id=%ff", FORM),
        (b"&".join(b"a%d=b" % n for n in range(100)), FORM),
        (b"client_id=a%00", FORM),
        (b"a=" + b"x" * 33_000, FORM),
    ],
)
def test_threat_27_forms_are_read_strictly(
    site: OAuthSite, path: str, body: bytes, content_type: str
) -> None:
    answer = site.send("POST", path, body, {"content-type": content_type})
    assert answer.status == 400
    assert answer.json["error"] == "invalid_request"


@pytest.mark.parametrize("path", POSTED)
def test_threat_27_bodies_have_a_bound(site: OAuthSite, path: str) -> None:
    """Also if they do not say how long they are."""
    told = site.connection()
    told.send(head_of("POST", path, {"host": HOST, "content-length": str(MAX_BODY_BYTES + 1)}))
    assert told.answer.status == 413
    assert told.answer.json["error"] == "invalid_request"
    assert told.answer.headers["access-control-allow-origin"] == "*"
    chunked = site.connection()
    chunked.send(head_of("POST", path, {"host": HOST, "transfer-encoding": "chunked"}))
    chunked.send(b"%x\r\n%b\r\n" % (MAX_BODY_BYTES + 1, b"x" * (MAX_BODY_BYTES + 1)))
    assert chunked.answer.status == 413


def test_threat_13_one_address_is_slowed_down(store: StoreAtOnce) -> None:
    """With the time to wait, and only at the endpoint that it asks too often."""
    site = OAuthSite(store=store, settings=OAuthSettings(issuer=ISSUER, requests_per_minute=12))
    for _ in range(12):
        assert site.post_form("/token", {}).status == 401
    answer = site.post_form("/token", {})
    assert answer.status == 429
    assert answer.json["error"] == "too_many_requests"
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert site.post_form("/revoke", {}).status == 401
    site.wait_s(5)
    assert site.post_form("/token", {}).status == 401


def test_threat_13_proxies_that_are_trusted_name_the_address(store: StoreAtOnce) -> None:
    settings = OAuthSettings(issuer=ISSUER, requests_per_minute=10)
    site = OAuthSite(store=store, settings=settings, trusted=("192.168.1.1",))
    for _ in range(10):
        site.post_form("/token", {}, {"x-forwarded-for": "2001:db8::1"})
    same_line = site.post_form("/token", {}, {"x-forwarded-for": "2001:db8::2"})
    assert same_line.status == 429
    assert site.post_form("/token", {}, {"x-forwarded-for": "2001:db8:1::1"}).status == 401


def test_threat_13_nobody_else_can_name_an_address(store: StoreAtOnce) -> None:
    settings = OAuthSettings(issuer=ISSUER, requests_per_minute=10)
    site = OAuthSite(store=store, settings=settings)
    for number in range(10):
        site.post_form("/token", {}, {"x-forwarded-for": f"10.0.0.{number}"})
    assert site.post_form("/token", {}, {"x-forwarded-for": "10.0.1.1"}).status == 429


@pytest.mark.parametrize("path", POSTED)
def test_a_store_that_fails_is_told_without_details(
    site: OAuthSite,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
    logged_failures: LoggedFailures,
) -> None:
    def fails(_change: object) -> object:
        raise StoreError("the disk is full of secrets")

    monkeypatch.setattr(site.store.database, "read", fails)
    monkeypatch.setattr(site.store.database, "write", fails)
    body = b'{"redirect_uris":["https://a.example/b"]}' if path == "/register" else b"client_id=x"
    answer = site.send("POST", path, body, {"content-type": FORM})
    assert answer.status == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json["error"] == "temporarily_unavailable"
    assert "secrets" not in answer.body.decode()
    assert logged_failures.take(StoreError)


def test_two_authorization_headers_are_refused(site: OAuthSite) -> None:
    connection = site.connection()
    head = head_of("POST", "/token", {"host": HOST, "content-type": FORM, "content-length": "11"})
    connection.send(
        head.replace(b"\r\n\r\n", b"\r\nauthorization: Basic YTpi\r\nAuthorization: x\r\n\r\n")
        + b"client_id=a"
    )
    assert connection.answer.status == 400


def test_threat_30_refusals_are_logged_without_what_was_sent(site: OAuthSite, log: Log) -> None:
    """With who was refused, where and why; and not too many of them."""
    for number in range(REFUSALS_BURST + 5):
        form = {"client_id": "secret-id", "client_secret": f"secret{number}", "code": "secret"}
        site.post_form("/token", form)
    refusals = [line for line in log.lines if line.startswith("refused ")]
    assert len(refusals) == REFUSALS_BURST
    assert " at /token: invalid_client: The client is unknown" in refusals[0]
    assert "secret" not in "".join(refusals)


@pytest.mark.parametrize("how", ["refresh", "authorize", "device"])
def test_threat_13_strangers_keep_nobody_out_who_proved_who_they_are(
    store: StoreAtOnce, how: str
) -> None:
    """By a token, or as a person who is signed in: also when many addresses use up what all may ask."""
    settings = OAuthSettings(issuer=ISSUER, requests_per_minute=10)
    site = OAuthSite(store=store, settings=settings, trusted=("192.168.1.1",))
    client_id = site.client_id()
    alice = PersonAtBrowser(site)
    alice.sign_in()
    given = tokens(site, client_id, alice.grant(client_id)).json
    site.wait_s(120)
    home, away = {"x-forwarded-for": "192.0.2.1"}, {"x-forwarded-for": "192.0.2.2"}
    form = {"grant_type": "refresh_token", "client_id": client_id}
    ways = {
        "refresh": lambda at: site.post_form(
            "/token", form | {"refresh_token": given["refresh_token"]}, at
        ),
        "authorize": lambda at: alice.get(authorize_path(client_id=client_id), at),
        "device": lambda at: alice.get("/device", at),
    }
    ask = ways[how]
    assert ask(home).status in (200, 303)
    paths = {"refresh": "/token", "authorize": "/authorize", "device": "/device"}
    for n in range(10 * ALL_TIMES):
        site.post_form(paths[how], {}, {"x-forwarded-for": f"10.0.{n // 250}.{n % 250}"})
    assert ask(away).status == 429
    assert ask(home).status in (200, 303)
