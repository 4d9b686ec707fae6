"""`/device`: a person types a code, sees what it is for, and decides (RFC 8628)."""

from typing import Any

import pytest

from mcptunnel.auth.agent_client import AGENT_CLIENT_ID
from mcptunnel.auth.device_grants import LIFETIME_S, MAX_WRONG_CODES, WRONG_CODES_WINDOW_S
from mcptunnel.relay.oauth.devices import MAX_OPENED
from mcptunnel.relay.oauth.settings import OAuthSettings
from tests.relay.store_at_once import StoreAtOnce
from tests.relay.web.oauth.site import ISSUER, OAuthSite, PersonAtBrowser, form_of, granted
from tests.relay.web.site import HttpAnswer

TUNNEL = f"{ISSUER}/tunnel"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
ALLOW = {"decision": "allow"}


@pytest.fixture
def alice(site: OAuthSite) -> PersonAtBrowser:
    alice = PersonAtBrowser(site)
    alice.sign_in()
    return alice


def begin(site: OAuthSite, **more: str) -> Any:
    """Ask for a code, as an agent does; return the answer's members."""
    form = {
        "client_id": AGENT_CLIENT_ID,
        "scope": "agent offline_access",
        "resource": TUNNEL,
        "device_name": "laptop",
        "host_name": "host.example",
        **more,
    }
    answer = site.post_form("/device_authorization", form)
    assert answer.status == 200, answer.body
    return answer.json


def poll(site: OAuthSite, device_code: str) -> HttpAnswer:
    form = {"grant_type": GRANT, "device_code": device_code, "client_id": AGENT_CLIENT_ID}
    return site.post_form("/token", form)


def csrf_of(alice: PersonAtBrowser) -> dict[str, str]:
    return {"csrf": form_of(alice.get("/device"))["csrf"]}


def confirm(alice: PersonAtBrowser, user_code: str) -> HttpAnswer:
    return alice.post("/device", csrf_of(alice) | {"user_code": user_code})


def decide(alice: PersonAtBrowser, user_code: str, decision: str = "allow") -> HttpAnswer:
    page = confirm(alice, user_code)
    assert page.status == 200, page.body
    return alice.post("/device", form_of(page) | {"decision": decision})


def test_a_machine_without_a_browser_is_let_in(site: OAuthSite, alice: PersonAtBrowser) -> None:
    asked = begin(site)
    assert asked["verification_uri"] == f"{ISSUER}/device"
    assert poll(site, asked["device_code"]).json["error"] == "authorization_pending"
    assert decide(alice, asked["user_code"]).status == 200
    site.wait_s(5)
    given = poll(site, asked["device_code"])
    assert given.status == 200, given.body
    assert given.json["scope"] == "agent offline_access"
    assert site.mcp(given.json["access_token"], "/tunnel").status not in (401, 403)
    assert site.mcp(given.json["access_token"]).status == 401
    assert poll(site, asked["device_code"]).json["error"] == "invalid_grant"
    assert [event.event for event in site.events()] == ["device.allowed", "grant.begun"]


def test_threat_05_the_machine_is_told_who_signed_in(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    """Who sees the address that a browser opens could have signed in there as somebody else.

    Other clients have no use for a name, and get none.
    """
    asked = begin(site)
    decide(alice, asked["user_code"])
    site.wait_s(5)
    assert poll(site, asked["device_code"]).json["user"] == "Alice"
    assert "user" not in granted(site)[1]


def test_the_page_says_who_asks_from_where(site: OAuthSite, alice: PersonAtBrowser) -> None:
    asked = begin(site, device_name="lap\u202etop<b>", host_name="h" * 500)
    text = confirm(alice, asked["user_code"].lower().replace("-", " ")).body.decode()
    assert "laptop&lt;b&gt;" in text
    assert "h" * 60 in text
    assert "192.168.1.1" in text
    assert "Alice" in text


def test_a_no_is_told_to_the_machine(site: OAuthSite, alice: PersonAtBrowser) -> None:
    asked = begin(site)
    assert decide(alice, asked["user_code"], "deny").status == 200
    assert poll(site, asked["device_code"]).json["error"] == "access_denied"
    assert decide_late(alice, asked["user_code"]).status == 410


def decide_late(alice: PersonAtBrowser, user_code: str) -> HttpAnswer:
    return alice.post("/device", csrf_of(alice) | {"user_code": user_code} | ALLOW)


def test_a_link_with_the_code_still_asks(site: OAuthSite, alice: PersonAtBrowser) -> None:
    """RFC 8628, 5.4: to open `verification_uri_complete` allows nothing."""
    asked = begin(site)
    page = alice.get(asked["verification_uri_complete"].removeprefix(ISSUER))
    assert page.status == 200
    assert asked["user_code"] in page.body.decode()
    assert poll(site, asked["device_code"]).json["error"] == "authorization_pending"


def test_the_sign_in_comes_first(site: OAuthSite) -> None:
    asked = begin(site)
    bob = PersonAtBrowser(site, "bob")
    page = bob.follow(asked["verification_uri_complete"])
    assert page.status == 200
    assert asked["user_code"] in page.body.decode()


def test_polling_too_fast_is_slowed_down(site: OAuthSite) -> None:
    code = begin(site)["device_code"]
    assert poll(site, code).json["error"] == "authorization_pending"
    assert poll(site, code).json["error"] == "slow_down"
    site.wait_s(6)
    assert poll(site, code).json["error"] == "slow_down"
    site.wait_s(15)
    assert poll(site, code).json["error"] == "authorization_pending"


def test_a_code_waits_for_so_long(site: OAuthSite, alice: PersonAtBrowser) -> None:
    asked = begin(site)
    site.wait_s(LIFETIME_S)
    assert poll(site, asked["device_code"]).json["error"] == "expired_token"
    assert confirm(alice, asked["user_code"]).status == 400


def test_threat_13_codes_cannot_be_guessed(site: OAuthSite, alice: PersonAtBrowser) -> None:
    """Neither as one person nor from one address, nor in the form that decides."""
    asked = begin(site)
    for number in range(MAX_WRONG_CODES):
        wrong = f"BBBB-BBB{'BCDFG'[number]}"
        if number % 2:
            assert confirm(alice, wrong).status == 400
        else:
            assert decide_late(alice, wrong).status == 410
    refused = confirm(alice, asked["user_code"])
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) == WRONG_CODES_WINDOW_S
    bob = PersonAtBrowser(site, "bob")
    bob.sign_in()
    assert confirm(bob, asked["user_code"]).status == 429
    site.wait_s(599)
    asked = begin(site)
    site.wait_s(1)
    assert confirm(alice, asked["user_code"]).status == 200


def test_a_page_is_shown_so_often(site: OAuthSite, alice: PersonAtBrowser) -> None:
    asked = begin(site)
    for _ in range(MAX_OPENED):
        assert confirm(alice, asked["user_code"]).status == 200
    assert confirm(alice, asked["user_code"]).status == 400


def test_threat_15_forms_of_other_sites_are_refused(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    asked = begin(site)
    form = csrf_of(alice) | {"user_code": asked["user_code"]} | ALLOW
    assert alice.post("/device", form, origin="https://evil.example").status == 403
    assert alice.post("/device", form | {"csrf": "x"}).status == 403
    assert PersonAtBrowser(site).post("/device", form).status == 403
    assert poll(site, asked["device_code"]).json["error"] == "authorization_pending"


def test_only_the_agents_own_client_may_ask(site: OAuthSite) -> None:
    """Device codes invite phishing; nobody gets one who only registered."""
    answer = site.post_form("/device_authorization", {"client_id": site.client_id()})
    assert (answer.status, answer.json["error"]) == (400, "unauthorized_client")
    wrong = {"client_id": AGENT_CLIENT_ID, "resource": "https://other.example/"}
    assert site.post_form("/device_authorization", wrong).json["error"] == "invalid_target"


def test_there_is_room_for_so_many(store: StoreAtOnce) -> None:
    site = OAuthSite(store=store, settings=OAuthSettings(issuer=ISSUER, max_device_codes=1))
    begin(site)
    answer = site.post_form("/device_authorization", {"client_id": AGENT_CLIENT_ID})
    assert answer.status == 503
    assert answer.json["error"] == "temporarily_unavailable"


def test_an_agent_signs_in_with_a_browser_as_well(site: OAuthSite) -> None:
    """What an agent gets opens no client's door, and the reverse."""
    redirect_uri = "http://127.0.0.1:45678/callback"
    page = PersonAtBrowser(site).authorize(
        client_id=AGENT_CLIENT_ID,
        redirect_uri=redirect_uri,
        scope="agent offline_access",
        resource=TUNNEL,
    )
    assert page.status == 200
    assert "Connect a device as an agent" in page.body.decode()
    refused = PersonAtBrowser(site).authorize(client_id=AGENT_CLIENT_ID, scope="mcp")
    assert refused.status == 400  # another redirect than its own
