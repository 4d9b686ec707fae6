"""Browser sessions: who is signed in, for how long, and which forms are theirs."""

from dataclasses import replace

import pytest
from twisted.internet.task import Clock

from mcptunnel.auth.parameters import Parameters
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.relay.login.browsers import (
    CookieBrowsers,
    KeptOutError,
    SessionLimits,
    SessionOverError,
)
from mcptunnel.relay.login.people import Person
from mcptunnel.relay.oauth.throttling import BusyError
from mcptunnel.relay.web.browser import Browser, Browsers
from mcptunnel.store.people.browsers import BrowserSessions
from mcptunnel.store.people.users import Users
from mcptunnel.store.revocation import end_user
from tests.relay.coroutines import now
from tests.relay.login.chance import Chance
from tests.relay.login.visits import Jar
from tests.relay.store_at_once import StoreAtOnce

URL = "https://relay.example"
NAME = "__Host-mcptunnel"
JOERG = Person(Principal(LOCAL_ISSUER, "jörg"), "Jörg 🦊", None)
LIMITS = SessionLimits(idle_s=100.0, lifetime_s=1000.0, anonymous_s=300.0, at_most=3)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make(
    store: StoreAtOnce,
    clock: Clock,
    *,
    url: str = URL,
    limits: SessionLimits = LIMITS,
    secret: bytes = b"s" * 32,
    random: Chance | None = None,
) -> CookieBrowsers:
    return CookieBrowsers(
        store,
        url,
        limits,
        secret=lambda: secret,
        random=random or Chance(),
        epoch_s=clock.seconds,
    )


@pytest.fixture
def browsers(store: StoreAtOnce, clock: Clock) -> CookieBrowsers:
    return make(store, clock)


def begin(browsers: Browsers, jar: Jar) -> Browser:
    request = jar.request()
    browser = now(browsers.ensure(request))
    jar.keep(request)
    return browser


def sign_in(browsers: Browsers, jar: Jar, person: Person = JOERG) -> Browser:
    request = jar.request()
    browser = now(browsers.ensure(request))
    jar.keep(request)
    request = jar.request()
    renewed = now(browsers.signed_in(request, browser, person))
    jar.keep(request)
    return renewed


def of(browsers: Browsers, jar: Jar) -> Browser | None:
    return now(browsers.of(jar.request()))


def test_a_session_begins_before_anybody_signs_in(browsers: CookieBrowsers) -> None:
    jar = Jar()
    assert of(browsers, jar) is None
    browser = begin(browsers, jar)
    assert browser.principal is None
    assert of(browsers, jar) == browser
    request = jar.request()
    assert now(browsers.ensure(request)) == browser
    assert request.cookies == []
    assert browser.csrf not in repr(browser)


def test_the_store_has_only_hashes_and_sealed_texts(
    browsers: CookieBrowsers, store: StoreAtOnce
) -> None:
    jar = Jar()
    browser = sign_in(browsers, jar)
    (session,) = store.database.read(
        lambda connection: BrowserSessions(connection).list(JOERG.principal, 0.0)
    )
    assert jar.cookies[NAME].encode() not in session.secret_hash
    assert browser.csrf not in session.sealed_csrf
    assert browser.session_id not in jar.cookies[NAME]


def test_threat_14_a_planted_cookie_is_worth_nothing_after_the_sign_in(
    browsers: CookieBrowsers, clock: Clock
) -> None:
    """Fixation: whoever knew the cookie from before has no session, and the form's token is new."""
    jar = Jar()
    before = begin(browsers, jar)
    planted = Jar(dict(jar.cookies))
    clock.advance(5.0)
    after = sign_in(browsers, jar)
    assert planted.cookies[NAME] != jar.cookies[NAME]
    assert of(browsers, planted) is None
    assert of(browsers, jar) == after
    assert (after.session_id, after.principal) == (before.session_id, JOERG.principal)
    assert (after.display_name, after.signed_in_s) == ("Jörg 🦊", 5.0)
    assert after.csrf != before.csrf
    with pytest.raises(SessionOverError):
        now(browsers.signed_in(planted.request(), before, JOERG))


def test_signing_in_again_renews_the_secret_again(browsers: CookieBrowsers) -> None:
    jar = Jar()
    sign_in(browsers, jar)
    first = Jar(dict(jar.cookies))
    sign_in(browsers, jar)
    assert of(browsers, first) is None
    assert of(browsers, jar) is not None


def test_a_session_is_renewed_only_in_its_own_browser(browsers: CookieBrowsers) -> None:
    mine, theirs = Jar(), Jar()
    browser, other = begin(browsers, mine), begin(browsers, theirs)
    with pytest.raises(SessionOverError):
        now(browsers.signed_in(theirs.request(), browser, JOERG))
    with pytest.raises(SessionOverError):
        now(browsers.signed_in(Jar().request(), browser, JOERG))
    assert of(browsers, theirs) == other


def test_threat_14_a_session_ends_when_it_is_not_used(
    browsers: CookieBrowsers, clock: Clock
) -> None:
    jar = Jar()
    browser = sign_in(browsers, jar)
    for _ in range(5):
        clock.advance(99.0)
        assert of(browsers, jar) == browser
    clock.advance(100.0)
    assert of(browsers, jar) is None


def test_threat_14_a_session_ends_at_last_however_much_it_is_used(
    browsers: CookieBrowsers, clock: Clock
) -> None:
    jar = Jar()
    sign_in(browsers, jar)
    for _ in range(19):
        clock.advance(50.0)
        assert of(browsers, jar) is not None
    clock.advance(50.0)
    assert of(browsers, jar) is None


def test_an_anonymous_session_is_short(browsers: CookieBrowsers, clock: Clock) -> None:
    jar = Jar()
    begin(browsers, jar)
    for _ in range(5):
        clock.advance(50.0)
        assert of(browsers, jar) is not None
    clock.advance(50.0)
    assert of(browsers, jar) is None


def test_signing_out_ends_the_session_and_takes_the_cookie(browsers: CookieBrowsers) -> None:
    jar = Jar()
    browser = sign_in(browsers, jar)
    stolen = Jar(dict(jar.cookies))
    request = jar.request()
    now(browsers.sign_out(request, browser))
    jar.keep(request)
    assert jar.cookies == {}
    assert of(browsers, stolen) is None


def test_a_disabled_user_has_no_session_and_gets_none(
    browsers: CookieBrowsers, store: StoreAtOnce
) -> None:
    jar = Jar()
    sign_in(browsers, jar)
    store.database.write(lambda connection: Users(connection).disable(JOERG.principal, 1.0))
    assert of(browsers, jar) is None
    other = Jar()
    browser = begin(browsers, other)
    with pytest.raises(KeptOutError):
        now(browsers.signed_in(other.request(), browser, JOERG))
    assert of(browsers, other) == browser


def test_whoever_ends_a_user_ends_the_sessions(
    browsers: CookieBrowsers, store: StoreAtOnce
) -> None:
    jar = Jar()
    browser = sign_in(browsers, jar)
    ended = store.database.write(lambda c: end_user(c, JOERG.principal, now_s=1.0, reason="x"))
    assert ended.sessions == [browser.session_id]
    assert of(browsers, jar) is None


def test_there_is_room_for_so_many(browsers: CookieBrowsers) -> None:
    for _ in range(LIMITS.at_most):
        begin(browsers, Jar())
    with pytest.raises(BusyError):
        now(browsers.ensure(Jar().request()))


def test_with_another_secret_of_the_relay_everybody_signs_in_anew(
    store: StoreAtOnce, clock: Clock, browsers: CookieBrowsers
) -> None:
    jar = Jar()
    sign_in(browsers, jar)
    assert of(make(store, clock, secret=b"t" * 32), jar) is None


def test_the_browser_says_what_it_is_in_one_clean_line(
    browsers: CookieBrowsers, store: StoreAtOnce
) -> None:
    jar = Jar()
    request = jar.request(user_agent="Fire\u202efox\t 9 " + "x" * 500)
    browser = now(browsers.ensure(request))
    jar.keep(request)
    now(browsers.signed_in(jar.request(), browser, JOERG))
    (session,) = store.database.read(
        lambda connection: BrowserSessions(connection).list(JOERG.principal, 0.0)
    )
    assert session.label.startswith("Firefox 9 x")
    assert len(session.label) == 120


@pytest.mark.parametrize(
    ("headers", "is_fine"),
    [
        ({}, True),
        ({"origin": URL, "sec_fetch_site": "same-origin"}, True),
        ({"origin": "HTTPS://relay.example"}, True),
        ({"origin": "null", "sec_fetch_site": "same-origin"}, True),
        ({"origin": "null"}, True),
        ({"sec_fetch_site": "none"}, True),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "https://sub.relay.example"}, False),
        ({"origin": "http://relay.example"}, False),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "same-site"}, False),
        ({"origin": "null", "sec_fetch_site": "cross-site"}, False),
        ({"origin": URL, "sec_fetch_site": "whatever"}, False),
    ],
)
def test_threat_15_a_form_comes_from_our_own_pages(
    browsers: CookieBrowsers, headers: dict[str, str], is_fine: bool
) -> None:
    """A page without a referrer, as ours are, has the origin `null` in its forms' requests."""
    jar = Jar()
    browser = begin(browsers, jar)
    request = jar.request(**headers)
    fault = browsers.post_fault(request, browser, Parameters({"csrf": browser.csrf}))
    assert (fault is None) is is_fine


def test_threat_15_a_form_has_the_token_of_its_session(browsers: CookieBrowsers) -> None:
    jar = Jar()
    browser, other = begin(browsers, jar), begin(browsers, Jar())
    forms = [
        Parameters({}),
        Parameters({"csrf": other.csrf}),
        Parameters({"csrf": browser.csrf + "x"}),
        Parameters({"csrf": "ü"}),
        Parameters({}, frozenset({"csrf"})),
    ]
    for form in forms:
        assert browsers.post_fault(jar.request(), browser, form)
    right = Parameters({"csrf": browser.csrf})
    assert browsers.post_fault(jar.request(), None, right)
    assert browsers.post_fault(jar.request(), replace(browser, csrf="y" * 43), right)


def test_on_loopback_all_names_of_the_machine_are_one_origin(
    store: StoreAtOnce, clock: Clock
) -> None:
    browsers = make(store, clock, url="http://localhost:8787")
    jar = Jar()
    browser = begin(browsers, jar)
    form = Parameters({"csrf": browser.csrf})
    assert browsers.post_fault(jar.request(origin="http://127.0.0.1:8787"), browser, form) is None
    assert browsers.post_fault(jar.request(origin="http://127.0.0.1:8788"), browser, form)
