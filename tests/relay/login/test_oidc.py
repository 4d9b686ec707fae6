"""Signing in at a provider that does as it should, and one that is down."""

import base64
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mcptunnel.auth.oidc.errors import ProviderError, SignInError
from mcptunnel.auth.oidc.people import AllowList
from mcptunnel.auth.oidc.sign_in import pack, unpack
from mcptunnel.model import Principal
from mcptunnel.relay.login.people import Person
from tests.auth.oidc.op import CLIENT, OP
from tests.auth.signing import key_set, public_jwk
from tests.conftest import Log
from tests.relay.coroutines import begun, now, result
from tests.relay.login.fake_op import REDIRECT_URI, SECRET, FakeOp, Visitor


def test_a_person_signs_in() -> None:
    """Issuer and subject are who it is; name and verified address come along."""
    op = FakeOp()
    op.claims |= {"email": "Alice@Example.org", "email_verified": True}
    person = Visitor(op).sign_in()
    assert person == Person(Principal(OP, "alice"), "Alice A", "alice@example.org")


def test_what_the_browser_is_sent_with() -> None:
    """Code flow with state, nonce, PKCE S256, exact redirect URI, our scopes, the operator's extras."""
    visitor = Visitor(
        FakeOp(),
        scopes=("profile",),
        extra_parameters={"hd": "example.org", "state": "theirs", "response_type": "token"},
    )
    attempt, sent = visitor.begin(login_hint="alice@example.org")
    assert sent == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": REDIRECT_URI,
        "scope": "openid profile",
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": sent["code_challenge"],
        "code_challenge_method": "S256",
        "login_hint": "alice@example.org",
        "hd": "example.org",
    }
    assert visitor.begin(again=True)[1]["prompt"] == "login"


def test_the_attempt_is_kept_by_the_caller() -> None:
    """It goes through bytes, and another provider object finishes it: a relay that was started anew."""
    op = FakeOp()
    attempt, sent = Visitor(op).begin()
    kept = unpack(pack(attempt))
    assert Visitor(op).finish(kept, code="c", state=sent["state"]).principal.subject == "alice"


@pytest.mark.parametrize(
    ("methods", "form", "header"),
    [
        (None, {}, f"{CLIENT}:the%3Asecret%2F%C3%BC"),
        (["client_secret_post"], {"client_secret": SECRET}, None),
        (["private_key_jwt", "client_secret_basic"], {}, f"{CLIENT}:the%3Asecret%2F%C3%BC"),
    ],
)
def test_how_the_relay_proves_itself(
    methods: list[str] | None, form: dict[str, str], header: str | None
) -> None:
    """Basic, encoded as RFC 6749 has it, or in the form: what the provider lists."""
    op = FakeOp(token_endpoint_auth_methods_supported=methods)
    Visitor(op).sign_in()
    assert op.forms[0] == {
        "grant_type": "authorization_code",
        "code": "c0de",
        "client_id": CLIENT,
        "redirect_uri": REDIRECT_URI,
        "code_verifier": op.forms[0]["code_verifier"],
        **form,
    }
    shown = (
        {"Authorization": f"Basic {base64.b64encode(header.encode()).decode()}"} if header else {}
    )
    assert op.headers[0] == shown


def test_a_public_client_has_no_secret() -> None:
    """PKCE is its proof."""
    op = FakeOp(token_endpoint_auth_methods_supported=["none"])
    assert Visitor(op, client_secret=None).sign_in().principal.subject == "alice"
    assert op.headers == [{}]
    assert "client_secret" not in op.forms[0]


def test_documents_are_kept() -> None:
    """Ten sign-ins ask for the description and the keys once, and after an hour once more."""
    op = FakeOp()
    visitor = Visitor(op)
    for _ in range(10):
        visitor.sign_in()
    assert (op.count("openid-configuration"), op.count("/jwks")) == (1, 1)
    visitor.clock.advance(3600)
    visitor.sign_in()
    assert (op.count("openid-configuration"), op.count("/jwks")) == (2, 2)


def test_callers_share_one_fetch() -> None:
    """A hundred people who come at once after a start cause one request."""
    op = FakeOp()
    op.held[op.where] = Deferred()
    visitor = Visitor(op)
    waiting = [begun(visitor.provider.begin()) for _ in range(100)]
    assert not any(waiting)
    op.held.pop(op.where).callback(None)
    assert all(result(one) for one in waiting)
    assert op.count("openid-configuration") == 1


def test_key_rotation() -> None:
    """A key that is new is fetched, when the last fetch is a minute ago; then it is known."""
    op = FakeOp()
    visitor = Visitor(op)
    visitor.sign_in()
    op.key, op.header = 1, {"kid": "k1"}
    op.keys = key_set(public_jwk("ES256", 1, kid="k1"))
    with pytest.raises(SignInError, match="cannot be trusted"):
        visitor.sign_in()
    assert op.count("/jwks") == 1  # not more often than once a minute (threat 28)
    visitor.clock.advance(60)
    for _ in range(3):
        visitor.sign_in()
    assert op.count("/jwks") == 2


def test_a_new_key_of_the_same_name() -> None:
    """Some providers call every key alike: then it is the signature that is wrong."""
    op = FakeOp()
    visitor = Visitor(op)
    visitor.sign_in()
    op.key = 1
    op.keys = key_set(public_jwk("ES256", 1, kid="k0"))
    visitor.clock.advance(60)
    assert visitor.sign_in().principal.subject == "alice"


def test_unknown_keys_do_not_make_a_storm() -> None:
    """However many tokens with unknown keys come, the keys are fetched once a minute."""
    op = FakeOp()
    visitor = Visitor(op)
    op.key, op.header = 1, {"kid": "stranger"}
    for _ in range(30):
        visitor.clock.advance(10)
        with pytest.raises(SignInError):
            visitor.sign_in()
    assert op.count("/jwks") <= 6


def test_keys_that_cannot_be_fetched_again() -> None:
    """The old ones still count for those who come with them."""
    op = FakeOp()
    visitor = Visitor(op)
    visitor.sign_in()
    visitor.clock.advance(60)
    op.down.add(op.document["jwks_uri"])
    op.key, op.header = 1, {"kid": "k1"}
    with pytest.raises(ProviderError, match="nothing listens"):
        visitor.sign_in()
    op.key, op.header = 0, {"kid": "k0"}
    assert visitor.sign_in().principal.subject == "alice"


def test_userinfo_when_claims_are_missing() -> None:
    """A thin ID token, as of Okta, and of Keycloak's lightweight ones, is completed."""
    op = FakeOp()
    op.claims = {"sub": "alice"}
    op.userinfo = {"sub": "alice", "name": "Alice U", "email": "a@x.org", "email_verified": True}
    person = Visitor(op, allowed=AllowList(emails=("a@x.org",))).sign_in()
    assert person == Person(Principal(OP, "alice"), "Alice U", "a@x.org")


def test_no_userinfo_when_nothing_is_missing() -> None:
    """One request less for each sign-in."""
    op = FakeOp()
    op.claims |= {"email": "a@x.org", "email_verified": False}
    assert Visitor(op).sign_in().email is None
    assert op.count("/userinfo") == 0


def test_userinfo_cannot_overrule_the_id_token() -> None:
    """What is signed counts, and another person's userinfo ends the sign-in."""
    op = FakeOp()
    op.claims |= {"groups": ["guests"]}
    op.userinfo = {"sub": "alice", "groups": ["admins"], "email": "x@x.org"}
    with pytest.raises(SignInError):
        Visitor(op, allowed=AllowList(groups=("admins",))).sign_in()
    op.userinfo["sub"] = "bob"
    with pytest.raises(SignInError, match="two different people"):
        Visitor(op).sign_in()


def test_a_userinfo_endpoint_that_fails_grants_nothing(log: Log) -> None:
    """Who needs nothing of it comes in; who needs the groups does not."""
    op = FakeOp()
    assert Visitor(op).sign_in().display_name == "Alice A"
    assert "no userinfo: the provider answered 404 text/html" in log
    op.down.add(op.document["userinfo_endpoint"])
    with pytest.raises(SignInError):
        Visitor(op, allowed=AllowList(groups=("staff",))).sign_in()


@pytest.mark.parametrize(
    ("allowed", "is_in"),
    [
        (AllowList(users=("alice",)), True),
        (AllowList(users=("bob",)), False),
        (AllowList(emails=("a@x.org",)), True),
        (AllowList(domains=("x.org",)), True),
        (AllowList(domains=("y.org",)), False),
        (AllowList(groups=("staff",)), True),
        (AllowList(groups=("admins",)), False),
    ],
)
def test_allow_lists(allowed: AllowList, is_in: bool, log: Log) -> None:
    """Each is enough; who is on none is told, and the log says who it was."""
    op = FakeOp()
    op.claims |= {"email": "a@x.org", "email_verified": True, "groups": ["staff"]}
    visitor = Visitor(op, allowed=allowed)
    if is_in:
        assert visitor.sign_in().principal == Principal(OP, "alice")
        return
    with pytest.raises(SignInError):
        visitor.sign_in()
    assert f"not admitted: {OP}|alice" in log


def test_an_unverified_address_that_is_another_users() -> None:
    """It admits nobody, identifies nobody, and is shown as nobody's."""
    op = FakeOp()
    op.claims = {"sub": "mallory", "name": "M", "email": "a@x.org", "email_verified": False}
    for settings in (
        {"allowed": AllowList(emails=("a@x.org",))},
        {"allowed": AllowList(domains=("x.org",))},
        {"user_claim": "email"},
    ):
        with pytest.raises(SignInError):
            Visitor(op, **settings).sign_in()
    assert Visitor(op).sign_in() == Person(Principal(OP, "mallory"), "M", None)


def test_names_are_made_safe() -> None:
    """A name is anybody's choice: no line breaks, no text that runs backwards, no novel."""
    op = FakeOp()
    op.claims["name"] = "Al\u202eice\n" + "x" * 500
    name = Visitor(op).sign_in().display_name
    assert name.startswith("Alice x")
    assert len(name) == 100


@pytest.mark.parametrize("part", ["where", "token_endpoint"])
def test_a_provider_that_is_down(part: str) -> None:
    """The operator reads why."""
    op = FakeOp()
    op.down.add(op.where if part == "where" else op.document[part])
    with pytest.raises(ProviderError, match=r"cannot be reached: op\.example:443: nothing listens"):
        Visitor(op).sign_in()


def test_nobody_waits_for_a_provider_that_is_down() -> None:
    """It is asked again after 1, 2, 4, ... 60 s; in between the answer is there at once."""
    op = FakeOp()
    op.down.add(op.where)
    visitor = Visitor(op)
    for _ in range(6000):
        with pytest.raises(ProviderError):
            now(visitor.provider.begin())
        visitor.clock.advance(0.1)
    assert 10 <= op.count("openid-configuration") <= 16
    op.down.clear()
    visitor.clock.advance(60)
    assert visitor.sign_in().principal.subject == "alice"


def test_the_relay_starts_without_its_provider(log: Log) -> None:
    """The log says that nobody can sign in, once for each reason, and when it is over."""
    op = FakeOp()
    op.down.add(op.where)
    visitor = Visitor(op)
    visitor.provider.start()
    assert log.count("nobody can sign in for now: The provider cannot be reached") == 1
    visitor.clock.pump([1] * 100)
    assert log.count("nobody can sign in") == 1
    op.down.clear()
    visitor.clock.pump([1] * 60)
    assert f"people sign in at {OP}" in log
    assert visitor.clock.getDelayedCalls() == []


@pytest.mark.parametrize("is_held", [False, True])
def test_stop(is_held: bool) -> None:
    """No timer and no fetch is left, whether it was being asked or waited for."""
    op = FakeOp()
    op.down.add(op.where)
    if is_held:
        op.held[op.where] = Deferred()
    visitor = Visitor(op)
    visitor.provider.start()
    visitor.provider.stop()
    visitor.provider.stop()
    assert visitor.clock.getDelayedCalls() == []
    assert all(one.called for one in op.held.values())


@pytest.mark.parametrize(
    ("answer", "error", "match"),
    [
        ((400, {"error": "invalid_grant"}), SignInError, "took too long, or came twice"),
        ((401, {"error": "invalid_client"}), ProviderError, "client_id or its secret"),
        ((400, {"error": "server_error"}), ProviderError, "server_error"),
        ((200, {"access_token": "x"}), ProviderError, "no id_token"),
    ],
)
def test_refusals_of_the_token_endpoint(
    answer: tuple[int, dict[str, Any]], error: type[Exception], match: str, log: Log
) -> None:
    """A person can try again, or the operator has to look; no secret is told."""
    op = FakeOp()
    op.token_answer = answer
    with pytest.raises(error, match=match):
        Visitor(op).sign_in()
    assert match in " ".join(log.lines)
    assert SECRET not in " ".join(log.lines)
    assert "c0de" not in " ".join(log.lines)
