"""Links to become a user, or to choose another password."""

import pytest

from mcptunnel.auth.keys import RANDOM_BYTES, Scope
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.relay.login.changes import INVITATION_S, RESET_S, SETUP_S, NotPossibleError
from mcptunnel.store.keys import Keys
from mcptunnel.store.people.invitations import InvitationKind
from mcptunnel.store.people.users import Users
from tests.relay.coroutines import now
from tests.relay.store_at_once import StoreAtOnce
from tests.relay.web.login.site import PASSWORD, LoginSite, Visitor, fields_of

SETUP, INVITATION, RESET = InvitationKind.SETUP, InvitationKind.INVITATION, InvitationKind.RESET
ANNA = Principal(LOCAL_ISSUER, "anna")


def users(site: LoginSite) -> list[str]:
    found = site.store.database.read(lambda connection: Users(connection).list())
    return [user.principal.subject for user in found]


def test_the_first_user_comes_by_the_setup_link(new_site: LoginSite) -> None:
    visitor = Visitor(new_site)
    answer = visitor.choose(new_site.link(SETUP), "Jörg 🦊")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert visitor.is_signed_in()
    assert users(new_site) == ["Jörg 🦊"]
    assert new_site.told() == ["relay.setup_offered", "user.created", "user.signed_in"]
    assert Visitor(new_site).log_in("jörg 🦊").status == 303


@pytest.mark.parametrize(("kind", "path"), [(SETUP, "/setup"), (INVITATION, "/invite")])
def test_the_token_leaves_the_url_at_once(
    new_site: LoginSite, kind: InvitationKind, path: str
) -> None:
    """What stays in the address bar, the history and a Referer has no secret."""
    visitor, link = Visitor(new_site), new_site.link(kind)
    answer = visitor.get(link)
    assert (answer.status, answer.headers["location"]) == (303, path)
    assert answer.headers["referrer-policy"] == "no-referrer"
    page = visitor.get(path)
    token = link.partition("=")[2]
    assert page.status == 200
    assert token not in page.body.decode()
    assert page.headers["referrer-policy"] == "no-referrer"
    assert Visitor(new_site).get(path).status == 410, "it is this browser's"


def test_looking_at_a_link_uses_nothing_up(new_site: LoginSite) -> None:
    """Programs look at links in messages before people do."""
    link = new_site.link(SETUP)
    for _ in range(3):
        assert Visitor(new_site).open(link).status == 200
    assert Visitor(new_site).choose(link, "anna").status == 303


def test_a_setup_link_makes_one_user_however_many_try(new_site: LoginSite) -> None:
    """All have the form open before the first sends it."""
    link = new_site.link(SETUP)
    visitors = [Visitor(new_site) for _ in range(5)]
    forms = [
        fields_of(visitor.open(link))
        | {"username": f"user{n}", "password": PASSWORD, "password_again": PASSWORD}
        for n, visitor in enumerate(visitors)
    ]
    sent = zip(visitors, forms, strict=True)
    answers = [visitor.post("/setup", form).status for visitor, form in sent]
    assert answers == [303, 410, 410, 410, 410]
    assert users(new_site) == ["user0"]
    assert not visitors[1].is_signed_in()


def test_there_is_no_setup_once_there_is_a_user(site: LoginSite) -> None:
    with pytest.raises(NotPossibleError, match="has a user already"):
        site.link(SETUP)


def test_an_older_setup_link_is_worth_nothing(new_site: LoginSite) -> None:
    first, second = new_site.link(SETUP), new_site.link(SETUP)
    assert Visitor(new_site).get(first).status == 410
    assert Visitor(new_site).open(second).status == 200


@pytest.mark.parametrize(
    ("kind", "lifetime_s"), [(SETUP, SETUP_S), (INVITATION, INVITATION_S), (RESET, RESET_S)]
)
def test_a_link_is_short_lived(store: StoreAtOnce, kind: InvitationKind, lifetime_s: float) -> None:
    site = LoginSite(store=store)
    if kind is RESET:
        Visitor(site).choose(site.link(SETUP), "anna")
    link = site.link(kind, "anna" if kind is RESET else None)
    visitor = Visitor(site)
    assert visitor.open(link).status == 200
    site.joined.clock.advance(lifetime_s + 1)
    assert Visitor(site).get(link).status == 410
    assert visitor.open(link).status == 410


@pytest.mark.parametrize("kind", [SETUP, INVITATION, RESET])
def test_threat_31_an_unknown_a_used_and_a_foreign_link_are_the_same(
    store: StoreAtOnce, kind: InvitationKind
) -> None:
    site = LoginSite(store=store)
    used = site.link(SETUP)
    Visitor(site).choose(used, "anna")
    other = {SETUP: "/setup", INVITATION: "/invite", RESET: "/reset"}[kind]
    foreign = site.link(INVITATION if kind is RESET else RESET, None if kind is RESET else "anna")
    tokens = [
        used.partition("=")[2],
        foreign.partition("=")[2],
        "mcpt_iv_" + "x" * 43,
        "nonsense",
    ]
    bodies = {Visitor(site).get(f"{other}?token={token}").body for token in tokens}
    assert len(bodies) == 1
    assert Visitor(site).get(f"{other}?token={tokens[2]}").status == 410


def test_a_second_user_is_invited(site: LoginSite) -> None:
    visitor, link = Visitor(site), site.link()
    page = visitor.open(link)
    assert "invites you" in page.body.decode()
    assert visitor.choose(link, "Bär 🐻").status == 303
    assert visitor.is_signed_in()
    assert set(users(site)) == {"anna", "Bär 🐻"}
    assert Visitor(site).get(link).status == 410
    assert {"user.invited", "user.created"} <= set(site.told())


def test_an_invitation_may_be_for_a_name(site: LoginSite) -> None:
    visitor, link = Visitor(site), site.link(name="Bär 🐻")
    page = visitor.open(link)
    assert fields_of(page)["username"] == "Bär 🐻"
    assert " readonly" in page.body.decode()
    visitor.fill_in("/invite", page, username="x", password=PASSWORD, password_again=PASSWORD)
    assert set(users(site)) == {"anna", "Bär 🐻"}


@pytest.mark.parametrize("name", ["anna", "ANNA", "\uff41nna", " anna "])
def test_nobody_becomes_somebody_else(site: LoginSite, name: str) -> None:
    visitor, link = Visitor(site), site.link()
    answer = visitor.choose(link, name)
    assert answer.status == 400
    assert "This name is taken." in answer.body.decode()
    assert not visitor.is_signed_in()
    assert Visitor(site).log_in("anna").status == 303, "with the old password"
    assert visitor.choose(link, "bert").status == 303, "the link is still good"


def test_nobody_gets_what_keys_of_that_name_have(site: LoginSite) -> None:
    """Keys are made for names that nobody signs in with; a guest must not become their owner."""
    bot = Principal(LOCAL_ISSUER, "bot")
    site.store.database.write(
        lambda connection: Keys(connection).issue(
            bot, Scope.MCP, "x", random=bytes(RANDOM_BYTES), now_s=1.0
        )
    )
    link = site.link()
    assert Visitor(site).choose(link, "bot").status == 400
    assert Visitor(site).choose(site.link(name="bot"), "bot").status == 303, "unless it is meant"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"username": ""}, "Choose a name."),
        ({"username": "a\u202eb"}, "cannot be shown"),
        ({"username": "x" * 65}, "more than 64 characters"),
        ({"password": "short", "password_again": "short"}, "fewer than 10 characters"),
        ({"password_again": "other"}, "The two passwords differ."),
        ({"password": "bertbertbert", "username": "BertBertBert"}, "Everybody would try"),
        ({"password": "x" * 300, "password_again": "x" * 300}, "more than 256 characters"),
    ],
)
def test_what_is_wrong_is_told_and_can_be_corrected(
    site: LoginSite, fields: dict[str, str], told: str
) -> None:
    visitor = Visitor(site)
    page = visitor.open(site.link())
    good = {"username": "bert", "password": PASSWORD, "password_again": PASSWORD}
    answer = visitor.fill_in("/invite", page, **(good | fields))
    assert answer.status == 400
    assert told in answer.body.decode()
    assert fields_of(answer)["password"] == ""
    assert visitor.fill_in("/invite", answer, **good).status == 303


def test_threat_15_another_site_cannot_send_the_form(site: LoginSite) -> None:
    visitor = Visitor(site)
    form = fields_of(visitor.open(site.link())) | {
        "username": "bert",
        "password": PASSWORD,
        "password_again": PASSWORD,
    }
    assert visitor.post("/invite", form, sec_fetch_site="cross-site").status == 403
    assert visitor.post("/invite", form | {"csrf": "x"}).status == 403
    assert Visitor(site).post("/invite", form).status == 403
    assert users(site) == ["anna"]


def test_threat_14_who_follows_a_link_gets_another_cookie(site: LoginSite) -> None:
    visitor = Visitor(site)
    visitor.open(site.link())
    planted = Visitor(site, cookies=dict(visitor.cookies))
    visitor.choose(site.link(), "bert")
    assert visitor.is_signed_in()
    assert not planted.is_signed_in()


def test_another_password_ends_what_the_old_one_reached(site: LoginSite) -> None:
    anna, link = Visitor(site), site.link(RESET, "ANNA")
    anna.log_in("anna")
    visitor = Visitor(site)
    page = visitor.open(link)
    assert fields_of(page)["username"] == "anna"
    assert visitor.choose(link, "anna", "another password").status == 303
    assert visitor.is_signed_in()
    assert not anna.is_signed_in()
    assert site.all_revoked[-1].principal == ANNA
    assert Visitor(site).log_in("anna").status == 403
    assert Visitor(site).log_in("anna", "another password").status == 303
    assert "user.password_chosen" in site.told()


def test_who_is_signed_in_here_is_told_that_the_password_is_another_one(site: LoginSite) -> None:
    """All sessions end with the old password, this one as well: so the form to sign in comes, and no refusal."""
    anna, link = Visitor(site), site.link(RESET, "anna")
    anna.log_in("anna")
    answer = anna.choose(link, "anna", "another password")
    assert answer.status == 303
    page = anna.open(answer.headers["location"])
    assert page.status == 200
    assert anna.fill_in("/login", page, username="anna", password="another password").status == 303
    assert anna.is_signed_in()


def test_a_disabled_user_gets_no_other_password(site: LoginSite) -> None:
    """Neither by a link from before, nor by a new one."""
    before = site.link(RESET, "anna")
    assert now(site.users.disable(ANNA))
    visitor = Visitor(site)
    assert visitor.get(before).status == 410
    assert visitor.choose(site.link(RESET, "anna"), "anna", "another password").status == 410


def test_a_name_that_is_gone_is_free_again(site: LoginSite) -> None:
    link = site.link(RESET, "anna")
    assert now(site.users.remove(ANNA))
    assert Visitor(site).get(link).status == 410
    assert Visitor(site).log_in("anna").status == 403
    assert Visitor(site).choose(site.link(SETUP), "anna", "another password").status == 303


@pytest.mark.parametrize("path", ["/setup", "/invite", "/reset"])
def test_without_tls_links_work_only_on_the_machine_itself(store: StoreAtOnce, path: str) -> None:
    """The connections of these tests come from 192.168.1.1."""
    site = LoginSite(store=store, is_private=False)
    answer = Visitor(site).get(f"{path}?token=x")
    assert answer.status == 403
    assert "for all to read" in answer.body.decode()
