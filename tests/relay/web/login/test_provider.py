"""Signing in at a provider: there and back, in one browser, once."""

from urllib.parse import urlencode

import pytest

from mcptunnel.auth.oidc.errors import ProviderError, SignInError
from mcptunnel.model import Principal
from mcptunnel.relay.web.login.provider import sign_in_path
from tests.relay.coroutines import now
from tests.relay.web.login.site import PROVIDER, ProviderSite, Visitor, query_of

BOB = Principal(PROVIDER, "bob")


def leave(visitor: Visitor, path: str = "/login?next=/device") -> str:
    """Go to the provider; return the state."""
    answer = visitor.get(path)
    assert answer.status == 303, answer.body
    assert answer.headers["location"].startswith(f"{PROVIDER}/auth?")
    return query_of(answer)["state"]


def test_there_and_back(provider_site: ProviderSite) -> None:
    bob = Visitor(provider_site)
    state = leave(bob)
    answer = bob.get(f"/callback?state={state}&code=bob")
    assert (answer.status, answer.headers["location"]) == (303, "/device")
    assert bob.is_signed_in() or bob.get("/login?next=/x").headers["location"] == "/x"
    (event,) = provider_site.events()
    assert (event.event, event.principal, event.detail) == (
        "user.signed_in",
        BOB,
        {"way": "oidc"},
    )
    (user,) = now(provider_site.users.list())
    assert (user.display_name, user.email) == ("Bob", "bob@example.org")


def test_threat_1_a_callback_is_good_once(provider_site: ProviderSite) -> None:
    bob = Visitor(provider_site)
    state = leave(bob)
    before = Visitor(provider_site, cookies=dict(bob.cookies))
    assert bob.get(f"/callback?state={state}&code=bob").status == 303
    for again in (bob, before):
        assert again.get(f"/callback?state={state}&code=mallory").status == 403
    assert [user.principal for user in now(provider_site.users.list())] == [BOB]


def test_threat_14_a_callback_belongs_to_the_browser_that_left(
    provider_site: ProviderSite,
) -> None:
    """A callback URL of the attacker's own sign-in signs no victim in; and is not used up by that."""
    attacker, victim = Visitor(provider_site), Visitor(provider_site)
    state = leave(attacker)
    leave(victim)
    assert victim.get(f"/callback?state={state}&code=mallory").status == 403
    assert Visitor(provider_site).get(f"/callback?state={state}&code=mallory").status == 403
    assert now(provider_site.users.list()) == []
    assert attacker.get(f"/callback?state={state}&code=mallory").status == 303


def test_threat_14_the_secret_is_another_one_afterwards(provider_site: ProviderSite) -> None:
    bob = Visitor(provider_site)
    state = leave(bob)
    planted = dict(bob.cookies)
    bob.get(f"/callback?state={state}&code=bob")
    assert bob.cookies != planted
    assert Visitor(provider_site, cookies=planted).get("/login").headers["location"] != "/"


def test_a_sign_in_takes_ten_minutes_at_most(provider_site: ProviderSite) -> None:
    bob = Visitor(provider_site)
    state = leave(bob)
    provider_site.joined.clock.advance(601)
    assert bob.get(f"/callback?state={state}&code=bob").status == 403


def test_two_tabs_may_sign_in_at_once(provider_site: ProviderSite) -> None:
    bob = Visitor(provider_site)
    states = [leave(bob, f"/login?next=/{n}&again=1") for n in range(2)]
    answers = [bob.get(f"/callback?state={state}&code=bob") for state in reversed(states)]
    assert [answer.headers["location"] for answer in answers] == ["/1", "/0"]


@pytest.mark.parametrize("query", ["", "state=x", "code=bob", "state=&code=bob", "error=denied"])
def test_a_callback_that_nobody_began(provider_site: ProviderSite, query: str) -> None:
    bob = Visitor(provider_site)
    leave(bob)
    assert bob.get(f"/callback?{query}").status == 403
    assert Visitor(provider_site).get(f"/callback?{query}").status == 403
    assert provider_site.told() == [], "or anybody could fill the audit log"


def test_why_somebody_is_refused_reaches_the_person_and_the_log(
    provider_site: ProviderSite,
) -> None:
    bob = Visitor(provider_site)
    state = leave(bob)
    provider_site.provider.broken = SignInError("You are not on the list <of> those")
    answer = bob.get(f"/callback?state={state}&code=bob")
    assert answer.status == 403
    assert "You are not on the list &lt;of&gt; those." in answer.body.decode()
    assert "/login?next=%2Fdevice&amp;again=1" in answer.body.decode()
    (event,) = provider_site.events()
    assert event.detail == {"way": "oidc", "reason": "You are not on the list <of> those"}


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (SignInError("No"), "denied"),
        (SignInError("Maintenance", is_temporary=True), "unavailable"),
        (ProviderError("down"), "unavailable"),
    ],
)
def test_an_application_that_waits_can_be_told(
    provider_site: ProviderSite, fault: Exception, why: str
) -> None:
    """The page leads back to it, where one waits; elsewhere there is no such link."""
    for path, is_waiting in (("/authorize?request=abc", True), ("/device", False)):
        bob = Visitor(provider_site)
        state = leave(bob, f"/login?{urlencode({'next': path})}")
        provider_site.provider.broken = fault
        page = bob.get(f"/callback?state={state}&code=bob").body.decode()
        provider_site.provider.broken = None
        assert ("Back to the application" in page) is is_waiting
        assert (f'href="{path}&amp;left={why}"' in page) is is_waiting


def test_a_provider_that_is_down_is_told_without_its_reason(provider_site: ProviderSite) -> None:
    bob = Visitor(provider_site)
    state = leave(bob)
    provider_site.provider.broken = ProviderError("connection refused by 10.0.0.7")
    for path in (f"/callback?state={state}&code=bob", "/login?next=/device&again=1"):
        answer = bob.get(path)
        assert answer.status == 503
        assert "idp.example" in answer.body.decode()
        assert "10.0.0.7" not in answer.body.decode()


def test_what_the_client_wants_reaches_the_provider(provider_site: ProviderSite) -> None:
    bob = Visitor(provider_site)
    leave(bob, "/login?again=1&login_hint=b%C3%B6b")
    assert provider_site.provider.begun == [{"again": True, "login_hint": "böb"}]


def test_who_is_signed_in_goes_on_unless_they_are_to_prove_it(provider_site: ProviderSite) -> None:
    bob = Visitor(provider_site)
    bob.get(f"/callback?state={leave(bob)}&code=bob")
    assert bob.get("/login?next=/device").headers["location"] == "/device"
    leave(bob, sign_in_path("/device"))


def test_a_disabled_user_is_kept_out(provider_site: ProviderSite) -> None:
    bob = Visitor(provider_site)
    bob.get(f"/callback?state={leave(bob)}&code=bob")
    assert now(provider_site.users.disable(BOB))
    answer = bob.get(f"/callback?state={leave(bob)}&code=bob")
    assert answer.status == 403
    assert "may not sign in" in answer.body.decode()
    assert "Back to the application" not in answer.body.decode()
    assert provider_site.events()[-1].detail == {"way": "oidc", "reason": "disabled"}


def test_an_application_hears_of_a_user_who_is_kept_out(provider_site: ProviderSite) -> None:
    bob = Visitor(provider_site)
    bob.get(f"/callback?state={leave(bob)}&code=bob")
    now(provider_site.users.disable(BOB))
    state = leave(bob, f"/login?{urlencode({'next': '/authorize?request=abc'})}")
    page = bob.get(f"/callback?state={state}&code=bob").body.decode()
    assert 'href="/authorize?request=abc&amp;left=denied"' in page


def test_there_are_no_passwords_beside_a_provider(provider_site: ProviderSite) -> None:
    assert Visitor(provider_site).get("/setup").status == 404
    assert Visitor(provider_site).post("/login", {"username": "x"}).status == 405
