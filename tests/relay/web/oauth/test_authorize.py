"""`/authorize` and `/consent`: who is asked, what is shown, where the browser goes (threats 1 to 6, 9, 14 to 16)."""

import re
from html import unescape

import pytest

from mcptunnel.auth.grants import Lifetimes
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.relay.oauth.settings import REQUEST_LIFETIME_S, OAuthSettings
from mcptunnel.relay.web.oauth.authorize import MAX_POSTED_CHARS
from mcptunnel.store.people.users import Users
from mcptunnel.store.revocation import end_client
from tests.relay.store_at_once import StoreAtOnce
from tests.relay.web.oauth.site import (
    CALLBACK,
    CHALLENGE,
    ISSUER,
    OAuthSite,
    PersonAtBrowser,
    authorize_path,
    form_of,
    is_own,
    parameters_of,
    tokens,
)

LOOPBACK = "http://localhost:1234/cb"


@pytest.fixture
def alice(site: OAuthSite) -> PersonAtBrowser:
    return PersonAtBrowser(site)


def test_threat_01_every_client_needs_consent_before_there_is_a_code(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    """Also when the person is signed in already, and has agreed to another client with the same redirect."""
    alice.grant(site.client_id())
    page = alice.authorize(client_id=site.client_id(client_name="Other"))
    assert page.status == 200
    assert "Other" in page.body.decode()


def test_threat_01_a_code_is_only_for_the_session_that_was_asked(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    page = alice.authorize(client_id=site.client_id())
    mallory = PersonAtBrowser(site, "mallory")
    other = mallory.authorize(client_id=site.client_id())
    stolen = form_of(page) | {"csrf": form_of(other)["csrf"], "decision": "allow"}
    assert mallory.post("/consent", stolen).status == 410
    assert mallory.get(f"/authorize?request={stolen['request']}").status == 410
    assert alice.answer_consent(page).status == 303


def test_threat_02_consent_is_remembered_for_exactly_the_same(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    client_id = site.client_id(redirect_uris=[CALLBACK, f"{CALLBACK}2"])
    alice.grant(client_id, scope="mcp")
    again = alice.authorize(client_id=client_id, scope="mcp")
    assert again.status == 303
    assert tokens(site, client_id, parameters_of(again)["code"]).status == 200
    for asked in (
        {"scope": "mcp offline_access"},
        {"resource": f"{ISSUER}/servers/files/mcp"},
        {"redirect_uri": f"{CALLBACK}2"},
        {"prompt": "consent"},
    ):
        assert alice.authorize(client_id=client_id, **asked).status == 200, asked
    assert PersonAtBrowser(site, "bob").authorize(client_id=client_id).status == 200


@pytest.mark.parametrize(
    "redirect_uri", ["http://127.0.0.1:9/cb", "http://localhost/cb", "cursor://anysphere/callback"]
)
def test_threat_02_programs_on_the_own_machine_are_asked_every_time(
    site: OAuthSite, alice: PersonAtBrowser, redirect_uri: str
) -> None:
    client_id = site.client_id(redirect_uris=[redirect_uri])
    alice.grant(client_id, redirect_uri=redirect_uri)
    assert alice.authorize(client_id=client_id, redirect_uri=redirect_uri).status == 200


def test_threat_02_forgotten_clients_are_asked_again(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    client_id = site.client_id()
    alice.grant(client_id)
    principal = Principal(LOCAL_ISSUER, "alice")
    site.store.database.write(
        lambda connection: end_client(
            connection, client_id, principal=principal, now_s=site.joined.epoch_s(), reason="test"
        )
    )
    assert alice.authorize(client_id=client_id).status == 200


def test_threat_03_the_page_says_who_asks_and_where_the_answer_goes(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    """A name with a direction mark and tags cannot pretend to be something else."""
    client_id = site.client_id(client_name="Evil\u202e<b>Bank</b>")
    text = alice.authorize(client_id=client_id).body.decode()
    assert "Evil&lt;b&gt;Bank&lt;/b&gt;" in text
    assert "\u202e" not in text
    assert "app.example" in text
    assert "Alice" in text


@pytest.mark.parametrize(
    "parameters",
    [
        {"client_id": "unknown"},
        {"client_id": ""},
        {"client_id": "x" * 600},
        {"redirect_uri": ""},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": f"{CALLBACK}/"},
        {"redirect_uri": f"{CALLBACK}?x=y"},
        {"redirect_uri": f"{CALLBACK}#f"},
        {"redirect_uri": "https://app.example@evil.example/callback"},
        {"redirect_uri": "javascript:alert(1)"},
    ],
)
def test_threat_04_open_redirect_nobody_is_sent_to_a_stranger(
    site: OAuthSite, alice: PersonAtBrowser, parameters: dict[str, str]
) -> None:
    """Otherwise a link with another redirect would be enough to take an account over."""
    answer = alice.authorize(**{"client_id": site.client_id(), **parameters})
    assert answer.status == 400
    assert "location" not in answer.headers
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_threat_04_open_redirect_what_comes_twice_is_not_believed(
    site: OAuthSite, alice: PersonAtBrowser, name: str
) -> None:
    path = authorize_path(client_id=site.client_id()) + f"&{name}=https://evil.example"
    answer = alice.get(path)
    assert answer.status == 400
    assert "location" not in answer.headers


def test_threat_05_no_referrer_tells_the_code(site: OAuthSite, alice: PersonAtBrowser) -> None:
    answer = alice.answer_consent(alice.authorize(client_id=site.client_id()))
    assert answer.status == 303
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"response_type": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"resource": "https://other.example/mcp"}, "invalid_target"),
        ({"resource": f"{ISSUER}/nothing"}, "invalid_target"),
        ({"resource": f"{ISSUER}/mcp#f"}, "invalid_target"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"request_uri": "https://a.example"}, "request_uri_not_supported"),
        ({"prompt": "none"}, "login_required"),
        ({"prompt": "none login"}, "invalid_request"),
    ],
)
def test_threat_06_pkce_downgrade_and_other_mistakes_reach_the_client(
    site: OAuthSite, alice: PersonAtBrowser, parameters: dict[str, str], error: str
) -> None:
    """Threat 9 as well: with `iss` and `state`, in errors, too."""
    client_id = site.client_id(redirect_uris=[LOOPBACK])
    answer = alice.authorize(client_id=client_id, redirect_uri=LOOPBACK, **parameters)
    assert answer.status == 303
    assert answer.headers["location"].startswith(f"{LOOPBACK}?")
    sent = parameters_of(answer)
    assert sent["error"] == error
    assert sent["iss"] == ISSUER
    assert sent["state"] == "state of the client"


def test_threat_04_open_redirect_a_mistake_on_purpose_leads_nowhere(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    """Anyone can register a redirect to a trap; a link to the relay that is wrong must not lead into it.

    The person sees where it leads, and can go on (RFC 9700, 4.11.2). A client that they agreed to before
    is told at once.
    """
    client_id = site.client_id(client_name="<b>App</b>")
    for _ in range(2):
        for wrong in ({"response_type": "x"}, {"prompt": "none", "scope": "mcp offline_access"}):
            answer = alice.authorize(client_id=client_id, **wrong)
            assert answer.status == 400
            assert "location" not in answer.headers
            page = unescape(answer.body.decode())
            assert "Go on to app.example" in page
            assert f'href="{CALLBACK}?error=' in page
            assert "iss=http" in page
        alice.sign_in()
    alice.grant(client_id)
    told = alice.authorize(client_id=client_id, prompt="none", scope="mcp offline_access")
    assert parameters_of(told)["error"] == "consent_required"


def test_a_no_reaches_the_client(site: OAuthSite, alice: PersonAtBrowser) -> None:
    answer = alice.answer_consent(alice.authorize(client_id=site.client_id()), "deny")
    assert parameters_of(answer)["error"] == "access_denied"
    assert parameters_of(answer)["iss"] == ISSUER
    assert [event.event for event in site.events()][-1] == "consent.denied"


def test_what_is_no_decision_is_a_no(site: OAuthSite, alice: PersonAtBrowser) -> None:
    answer = alice.answer_consent(alice.authorize(client_id=site.client_id()), "")
    assert parameters_of(answer)["error"] == "access_denied"


def test_a_consent_counts_once(site: OAuthSite, alice: PersonAtBrowser) -> None:
    page = alice.authorize(client_id=site.client_id())
    assert alice.answer_consent(page).status == 303
    assert alice.answer_consent(page).status == 410


def test_threat_14_another_user_in_the_same_browser_has_another_form(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    """What alice was asked is not answered for bob, who signed in meanwhile."""
    page = alice.authorize(client_id=site.client_id())
    alice.user = "bob"
    alice.sign_in()
    assert alice.answer_consent(page).status == 403


def test_threat_15_a_form_of_another_site_is_refused(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    page = alice.authorize(client_id=site.client_id())
    form = form_of(page) | {"decision": "allow"}
    assert alice.post("/consent", form, origin="https://evil.example").status == 403
    assert alice.post("/consent", form, sec_fetch_site="cross-site").status == 403
    assert alice.post("/consent", form | {"csrf": "x"}).status == 403
    assert alice.post("/consent", {**form, "csrf": ""}).status == 403
    assert PersonAtBrowser(site).post("/consent", form).status == 403
    assert alice.post("/consent", form).status == 303


def test_threat_15_to_open_a_page_decides_nothing(site: OAuthSite, alice: PersonAtBrowser) -> None:
    page = alice.authorize(client_id=site.client_id())
    form = form_of(page)
    answer = alice.get(f"/consent?request={form['request']}&csrf={form['csrf']}&decision=allow")
    assert answer.status == 405
    assert alice.get(f"/authorize?request={form['request']}").status == 200


@pytest.mark.parametrize(
    ("redirect_uri", "source"),
    [
        (CALLBACK, "https://app.example"),
        ("http://localhost:1234/cb", "http://localhost:1234"),
        ("http://[::1]/cb", "http:"),
        ("cursor://anysphere/callback", "cursor:"),
    ],
)
def test_threat_16_the_page_cannot_be_framed_and_may_redirect_to_the_client(
    site: OAuthSite, alice: PersonAtBrowser, redirect_uri: str, source: str
) -> None:
    client_id = site.client_id(redirect_uris=[redirect_uri])
    page = alice.authorize(client_id=client_id, redirect_uri=redirect_uri)
    policy = page.headers["content-security-policy"]
    assert f"form-action 'self' {source};" in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["x-frame-options"] == "DENY"


def test_the_sign_in_comes_between_and_nothing_of_the_request_is_lost(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    answer = alice.get(authorize_path(client_id=site.client_id(), login_hint="al@example.org"))
    assert answer.status == 303
    assert answer.headers["location"].startswith("/login?next=%2Fauthorize%3Frequest%3D")
    assert "login_hint=al%40example.org" in answer.headers["location"]
    assert CHALLENGE not in answer.headers["location"]
    page = alice.follow(answer.headers["location"])
    assert parameters_of(alice.answer_consent(page))["state"] == "state of the client"


def test_prompt_login_asks_a_person_who_is_signed_in_once(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    alice.sign_in()
    site.wait_s(5)
    answer = alice.get(authorize_path(client_id=site.client_id(), prompt="login"))
    assert answer.headers["location"].startswith("/login?")
    assert "again=1" in answer.headers["location"]
    assert alice.follow(answer.headers["location"]).status == 200


def test_prompt_none_asks_nobody(site: OAuthSite, alice: PersonAtBrowser) -> None:
    """Without a page, but for a client that nobody here knows (threat 4)."""
    own = {"redirect_uri": LOOPBACK, "client_id": site.client_id(redirect_uris=[LOOPBACK])}
    assert parameters_of(alice.authorize(prompt="none", **own))["error"] == "login_required"
    alice.sign_in()
    assert parameters_of(alice.authorize(prompt="none", **own))["error"] == "consent_required"
    client_id = site.client_id()
    alice.grant(client_id)
    assert "code" in parameters_of(alice.authorize(client_id=client_id, prompt="none"))


def test_max_age_asks_whoever_signed_in_too_long_ago(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    client_id = site.client_id()
    alice.sign_in()
    site.wait_s(100)
    assert alice.get(authorize_path(client_id=client_id, max_age="200")).status == 200
    assert alice.get(authorize_path(client_id=client_id, max_age="50")).status == 303


def test_a_request_waits_for_so_long(site: OAuthSite, alice: PersonAtBrowser) -> None:
    page = alice.authorize(client_id=site.client_id())
    site.wait_s(REQUEST_LIFETIME_S)
    assert alice.answer_consent(page).status == 410


def test_the_request_can_be_posted(site: OAuthSite, alice: PersonAtBrowser) -> None:
    """OpenID Connect Core, 3.1.2.1; a page of the client's sends the form, so its origin is another."""
    alice.sign_in()
    path, _, query = authorize_path(client_id=site.client_id()).partition("?")
    answer = alice.send(
        "POST",
        path,
        query.encode(),
        {"content-type": "application/x-www-form-urlencoded", "origin": "https://app.example"},
    )
    assert answer.status == 200


def test_threat_14_a_form_of_another_site_ends_no_session(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    """It comes without the cookie (SameSite=Lax), and must not set another one in its place.

    The browser asks again with GET, which brings the cookie: who is signed in need not sign in again.
    """
    alice.sign_in()
    path, _, query = authorize_path(client_id=site.client_id()).partition("?")
    fields = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "cross-site"}
    answer = site.send("POST", path, query.encode(), fields)
    assert answer.status == 303
    assert "set-cookie" not in answer.headers
    assert "Alice" in alice.get(answer.headers["location"]).body.decode()
    long = site.send("POST", path, f"{query}&x={'y' * MAX_POSTED_CHARS}".encode(), fields)
    assert long.status == 413
    assert "set-cookie" not in long.headers


def test_unknown_parameters_are_ignored(site: OAuthSite, alice: PersonAtBrowser) -> None:
    page = alice.authorize(client_id=site.client_id(), access_type="offline", nonce="n", ui="x")
    assert page.status == 200


def test_threat_27_strangers_who_ask_keep_nobody_out(store: StoreAtOnce) -> None:
    """There is room for so many requests; then the oldest ends."""
    site = OAuthSite(store=store, settings=OAuthSettings(issuer=ISSUER, max_requests=2))
    client_id = site.client_id()
    pages = []
    for user in ("alice", "bob", "carol"):
        person = PersonAtBrowser(site, user)
        pages.append((person, person.authorize(client_id=client_id)))
        site.wait_s(1)
    statuses = [person.answer_consent(page).status for person, page in pages]
    assert statuses == [410, 303, 303]


def test_a_user_who_is_kept_out_gets_no_code(site: OAuthSite, alice: PersonAtBrowser) -> None:
    """Neither by the form that is open, nor by consent that is remembered."""
    client_id = site.client_id()
    alice.grant(client_id)
    page = alice.authorize(client_id=client_id, prompt="consent")
    principal = Principal(LOCAL_ISSUER, "alice")
    site.store.database.write(lambda connection: Users(connection).disable(principal, 1.0))
    assert "location" not in alice.answer_consent(page).headers
    answer = alice.get(authorize_path(client_id=client_id))
    assert is_own(answer.headers["location"])


def test_a_code_lives_for_a_minute(store: StoreAtOnce) -> None:
    site = OAuthSite(
        store=store, settings=OAuthSettings(issuer=ISSUER, lifetimes=Lifetimes(code_s=60.0))
    )
    client_id = site.client_id()
    code = PersonAtBrowser(site).grant(client_id)
    site.wait_s(60)
    answer = tokens(site, client_id, code)
    assert answer.status == 400
    assert answer.json["error"] == "invalid_grant"


def test_somebody_else_can_sign_in_and_is_asked_the_same(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    """The page offers to sign out; what is kept ends with the session, so the way back asks anew."""
    page = alice.authorize(client_id=site.client_id())
    (path,) = re.findall(r'name="next" value="(/authorize[^"]*)"', page.body.decode())
    alice.cookies.clear()
    alice.user = "bob"
    assert "Bob" in alice.follow(unescape(path)).body.decode()


def test_refusals_are_noted_with_their_reason_if_somebody_is_signed_in(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    client_id = site.client_id()
    alice.authorize(client_id=client_id, code_challenge="")
    before = len(site.events())
    alice.sign_in()
    alice.authorize(client_id=client_id, redirect_uri="https://evil.example")
    alice.authorize(client_id=client_id, code_challenge="")
    alice.authorize(client_id="\u00e4")
    events = site.events()[before:]
    assert {event.event for event in events} == {"authorization.refused"}
    assert [event.client_id for event in events] == [client_id, client_id, None]
    reasons = [event.detail["reason"] for event in events]
    assert "an address that is not its own" in reasons[0]
    assert reasons[1] == "invalid_request"


@pytest.mark.parametrize(
    ("why", "error"), [("denied", "access_denied"), ("unavailable", "temporarily_unavailable")]
)
def test_that_nobody_signed_in_reaches_the_client(
    site: OAuthSite, alice: PersonAtBrowser, why: str, error: str
) -> None:
    """By its own redirect, with `iss`; and the person may still sign in after all."""
    own = "http://127.0.0.1:1234/cb"
    client_id = site.client_id(redirect_uris=[own])
    asked = alice.get(authorize_path(client_id=client_id, redirect_uri=own, state="st"))
    kept = parameters_of(asked)["next"]
    left = alice.get(f"{kept}&left={why}")
    assert left.status == 303
    assert left.headers["location"].startswith(f"{own}?")
    told = parameters_of(left)
    assert (told["error"], told["iss"], told["state"]) == (error, ISSUER, "st")
    assert "code" not in told
    alice.sign_in()
    assert alice.answer_consent(alice.get(kept)).status == 303


def test_threat_04_open_redirect_who_leaves_is_told_where_to(
    site: OAuthSite, alice: PersonAtBrowser
) -> None:
    """Anybody registers a client: nobody is sent there by a page of ours that does not say where it is.

    Whoever has agreed to the client before knows it.
    """
    client_id = site.client_id()
    kept = parameters_of(alice.get(authorize_path(client_id=client_id)))["next"]
    told = alice.get(f"{kept}&left=denied")
    assert told.status == 400
    assert "location" not in told.headers
    assert "Go on to app.example" in told.body.decode()
    assert f'href="{CALLBACK}?error=access_denied&amp;' in told.body.decode()
    alice.grant(client_id)
    site.wait_s(1)
    kept = parameters_of(alice.get(authorize_path(client_id=client_id, prompt="login")))["next"]
    alice.sign_in()
    assert alice.get(f"{kept}&left=denied").headers["location"].startswith(f"{CALLBACK}?")


def test_threat_04_nobody_else_leaves_a_request(site: OAuthSite, alice: PersonAtBrowser) -> None:
    """Nor for a reason that is none of ours."""
    asked = alice.get(authorize_path(client_id=site.client_id()))
    kept = parameters_of(asked)["next"]
    assert PersonAtBrowser(site, "mallory").get(f"{kept}&left=denied").status == 410
    assert alice.get(f"{kept}&left=%0d%0a").status == 410
