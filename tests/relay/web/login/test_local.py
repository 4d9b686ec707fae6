"""Signing in by name and password."""

import pytest
from argon2 import PasswordHasher

from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.relay.login.throttle import PAIR
from mcptunnel.store.people.passwords import Password, Passwords
from mcptunnel.store.people.users import Users
from tests.relay.coroutines import now
from tests.relay.web.login.site import PASSWORD, LoginSite, Visitor, fields_of
from tests.relay.web.oauth.site import authorize_path, parameters_of

ANNA = Principal(LOCAL_ISSUER, "anna")


def test_a_person_signs_in_and_goes_on(site: LoginSite) -> None:
    anna = Visitor(site)
    assert not anna.is_signed_in()
    answer = anna.log_in("anna", next_path="/device?x=1")
    assert (answer.status, answer.headers["location"]) == (303, "/device?x=1")
    assert anna.is_signed_in()
    assert site.told()[-1] == "user.signed_in"
    assert site.events()[-1].principal == ANNA


def test_the_name_may_be_typed_otherwise(site: LoginSite) -> None:
    """Telephones begin with a capital; keyboards differ in how they make umlauts."""
    Visitor(site).choose(site.link(), "jürgen 🦊")
    for typed in ("Jürgen 🦊", " ju\u0308rgen 🦊 "):
        assert Visitor(site).log_in(typed, PASSWORD.replace("ä", "a\u0308")).status == 303


@pytest.mark.parametrize(
    ("name", "password"),
    [("anna", "wrong"), ("anna", ""), ("nobody", PASSWORD), ("", ""), ("anna", PASSWORD + " ")],
)
def test_threat_31_who_is_wrong_is_not_told_what(site: LoginSite, name: str, password: str) -> None:
    """The same status and sentence for an unknown name and a wrong password."""
    visitor = Visitor(site)
    answer = visitor.log_in(name, password)
    assert answer.status == 403
    assert "The user name or the password is wrong." in answer.body.decode()
    assert fields_of(answer)["password"] == ""
    assert not visitor.is_signed_in()
    (refused,) = [event for event in site.events() if event.event == "user.refused"]
    assert refused.principal == (ANNA if name == "anna" else None)
    assert "nobody" not in str(refused), "it may be a password in the wrong field"


def test_threat_13_guessing_ends_in_429(site: LoginSite) -> None:
    """Also for names that nobody has, and for the right password after that."""
    for name in ("anna", "nobody"):
        visitor = Visitor(site)
        for _ in range(int(PAIR.burst)):
            assert visitor.log_in(name, "wrong").status == 403
        answer = visitor.log_in(name, PASSWORD)
        assert answer.status == 429
        assert 0 < int(answer.headers["retry-after"]) <= 60
        assert "Too many attempts" in answer.body.decode()
        assert not visitor.is_signed_in()
    site.joined.clock.advance(61)
    assert Visitor(site).log_in("anna").status == 303


def test_threat_14_a_planted_cookie_is_not_signed_in(site: LoginSite) -> None:
    """Fixation: the attacker's session, given to the victim, is another one after the sign-in."""
    attacker = Visitor(site)
    attacker.get("/login")
    victim = Visitor(site, cookies=dict(attacker.cookies))
    assert victim.log_in("anna").status == 303
    assert victim.is_signed_in()
    assert not attacker.is_signed_in()
    assert attacker.cookies != victim.cookies


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
def test_threat_15_a_form_of_another_site_signs_nobody_in(
    site: LoginSite, headers: dict[str, str]
) -> None:
    """Signing a victim in as the attacker is an attack, too."""
    visitor = Visitor(site)
    form = fields_of(visitor.get("/login")) | {"username": "anna", "password": PASSWORD}
    assert visitor.post("/login", form, **headers).status == 403
    assert visitor.post("/login", form | {"csrf": "x"}).status == 403
    assert Visitor(site).post("/login", form).status == 403
    assert not visitor.is_signed_in()
    assert visitor.post("/login", form, sec_fetch_site="same-origin").status == 303


def test_threat_16_no_page_can_be_framed(site: LoginSite) -> None:
    answer = Visitor(site).get("/login")
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/login", "/logout", "/setup", "/invite", "/reset"])
def test_threat_24_another_host_gets_nothing(site: LoginSite, path: str) -> None:
    for host in ("evil.example", "relay.test.evil.example", "127.0.0.1"):
        answer = site.send("GET", path, headers={"host": host})
        assert answer.status == 421
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "x"]
)
def test_threat_4_nobody_is_sent_elsewhere(site: LoginSite, wanted: str) -> None:
    assert Visitor(site).log_in("anna", next_path=wanted).headers["location"] == "/"
    visitor = Visitor(site)
    form = fields_of(visitor.get("/login")) | {"username": "anna", "password": PASSWORD}
    assert visitor.post("/login", form | {"next": wanted}).headers["location"] == "/"


def test_a_disabled_user_is_told_only_with_the_right_password(site: LoginSite) -> None:
    anna = Visitor(site)
    anna.log_in("anna")
    assert now(site.users.disable(ANNA))
    assert not anna.is_signed_in()
    assert "is wrong" in Visitor(site).log_in("anna", "wrong").body.decode()
    answer = Visitor(site).log_in("anna")
    assert answer.status == 403
    assert "may not sign in" in answer.body.decode()
    assert now(site.users.enable(ANNA))
    assert Visitor(site).log_in("anna").status == 303
    assert {"user.disabled", "user.enabled"} <= set(site.told())


def test_a_weak_hash_is_made_anew_with_the_password(site: LoginSite) -> None:
    weak = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    site.store.database.write(lambda c: Passwords(c).put("anna", weak, 1.0))
    assert Visitor(site).log_in("anna", "wrong").status == 403
    assert stored(site).argon2 == weak
    assert Visitor(site).log_in("anna").status == 303
    assert stored(site).argon2 != weak
    assert Visitor(site).log_in("anna").status == 303


def test_a_hint_is_shown_in_the_form(site: LoginSite) -> None:
    page = Visitor(site).get("/login?login_hint=J%C3%B6rg%E2%80%AE%22%3E")
    assert fields_of(page)["username"] == 'Jörg">'


def test_who_has_to_prove_it_again_sees_the_form(site: LoginSite) -> None:
    anna = Visitor(site)
    anna.log_in("anna")
    assert anna.get("/login?next=/device").headers["location"] == "/device"
    assert anna.get("/login?next=/device&again=1").status == 200


def test_signing_in_leads_on_to_the_consent(site: LoginSite) -> None:
    """A client's request waits in the browser's session, through the sign-in, for its own code."""
    anna = Visitor(site)
    answer = anna.get(authorize_path(client_id=site.client_id()))
    assert answer.headers["location"].startswith("/login?next=%2Fauthorize%3Frequest%3D")
    page = anna.get(answer.headers["location"])
    form = fields_of(page) | {"username": "anna", "password": PASSWORD}
    answer = anna.post("/login", form)
    consent = anna.get(answer.headers["location"])
    assert consent.status == 200
    assert "anna" in consent.body.decode()
    assert parameters_of(anna.answer_consent(consent))["code"].startswith("mcpt_ac_")


def test_the_passwords_are_nowhere_in_the_store(site: LoginSite) -> None:
    user = site.store.database.read(lambda connection: Users(connection).find(ANNA))
    assert user is not None
    assert PASSWORD not in repr((user, stored(site), site.events()))
    assert PASSWORD not in stored(site).argon2


def stored(site: LoginSite) -> Password:
    found = site.store.database.read(lambda connection: Passwords(connection).find("anna"))
    assert found is not None
    return found
