"""Answers that look like a provider's and must not be believed (threats 1, 9 and 28)."""

from collections.abc import Callable
from typing import Any

import jwt
import pytest

from mcptunnel.auth.oidc.errors import ProviderError, SignInError
from tests.auth.oidc.op import CLIENT, OP
from tests.auth.signing import key_set, public_jwk, sign
from tests.conftest import Log
from tests.relay.login.fake_op import NOW_S, FakeOp, Visitor

CLAIMS: dict[str, Any] = {
    "iss": OP,
    "aud": CLIENT,
    "sub": "alice",
    "iat": NOW_S,
    "exp": NOW_S + 300,
    "nonce": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
}
HMAC_KEY = "a secret of at least thirty-two bytes"

Corruption = Callable[[FakeOp], object]


def claims(**changes: Any) -> Corruption:
    return lambda op: op.token_claims.update(changes)


def signed(algorithm: str, key: str) -> Corruption:
    def corrupt(op: FakeOp) -> None:
        op.id_token = jwt.encode(CLAIMS, key, algorithm=algorithm, headers={"kid": "k0"})

    return corrupt


def by_public_key(op: FakeOp) -> None:
    """Sign with HMAC under the text of the public key, as a confused verifier would have it."""
    op.keys = key_set(public_jwk("ES256", 0, kid="k0"))
    op.id_token = jwt.encode(
        CLAIMS, op.keys["keys"][0]["x"] * 2, algorithm="HS256", headers={"kid": "k0"}
    )


def with_own_key(op: FakeOp) -> None:
    op.id_token = sign(CLAIMS, "ES256", 7, jwk=public_jwk("ES256", 7, kid="k7"), kid="k7")


def another_kid(op: FakeOp) -> None:
    op.header = {"kid": "nobody"}


def another_key(op: FakeOp) -> None:
    op.key = 3


def at_hash(op: FakeOp) -> None:
    op.token_claims["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA"


CORRUPTIONS: dict[str, Corruption] = {
    "iss of another": claims(iss="https://evil.example"),
    "iss with a slash": claims(iss=f"{OP}/"),
    "no iss": claims(iss=None),
    "aud of another": claims(aud="another"),
    "aud empty": claims(aud=[]),
    "no aud": claims(aud=None),
    "aud of several, azp of another": claims(aud=[CLIENT, "b"], azp="b"),
    "aud of several, no azp": claims(aud=[CLIENT, "b"]),
    "nonce of another": claims(nonce="b"),
    "no nonce": claims(nonce=None),
    "expired": claims(exp=NOW_S - 61),
    "no exp": claims(exp=None),
    "exp is a text": claims(exp="2099"),
    "from tomorrow": claims(iat=NOW_S + 86_400),
    "no iat": claims(iat=None),
    "not yet": claims(nbf=NOW_S + 3600),
    "no sub": claims(sub=None),
    "sub is a number": claims(sub=7),
    "endless sub": claims(sub="x" * 256),
    "alg none": signed("none", ""),
    "alg HS256": signed("HS256", HMAC_KEY),
    "alg HS256 by the public key": by_public_key,
    "the key in the header": with_own_key,
    "kid of nobody": another_kid,
    "signed by another key": another_key,
    "at_hash of another": at_hash,
    "no token": lambda op: setattr(op, "id_token", "a.b.c"),
    "endless token": lambda op: setattr(op, "id_token", "x" * 20_000),
}


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_an_id_token_that_is_not_believed(corruption: str, log: Log) -> None:
    """The person is told no details; the log has the reason, and not the token."""
    op = FakeOp()
    CORRUPTIONS[corruption](op)
    with pytest.raises(SignInError, match=r"^The provider's answer cannot be trusted$"):
        Visitor(op).sign_in()
    assert "sign-in refused: The provider's answer cannot be trusted (" in log
    assert not any("eyJ" in line for line in log.lines)


def test_the_nonce_of_these_tests_is_right() -> None:
    """Else the tokens that are made here would be refused for another reason."""
    op = FakeOp()
    op.id_token = sign(CLAIMS, "ES256", 0, kid="k0")
    assert Visitor(op).sign_in().principal.subject == "alice"


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"state": "another"}, "did not begin to sign in"),
        ({"state": None}, "not valid"),
        ({"iss": "https://evil.example"}, "another provider"),
        ({"iss": f"{OP}/"}, "another provider"),
        ({"code": None}, "no code"),
        ({"error": "access_denied", "error_description": "No <b>way"}, "No <b>way"),
        ({"error": "temporarily_unavailable"}, "temporarily_unavailable"),
    ],
)
def test_callbacks_that_are_refused(parameters: dict[str, str | None], match: str) -> None:
    """State and issuer have to be right; denial and the provider's errors are told. No code is sent."""
    op = FakeOp()
    with pytest.raises(SignInError, match=match):
        Visitor(op).sign_in(**parameters)
    assert op.forms == []


def test_a_provider_that_sends_iss_always_has_to() -> None:
    """To leave it out would be a way around the check (RFC 9207, 2.4)."""
    op = FakeOp(authorization_response_iss_parameter_supported=True)
    with pytest.raises(SignInError, match="another provider"):
        Visitor(op).sign_in()
    assert Visitor(op).sign_in(iss=OP).principal.subject == "alice"


def test_a_callback_that_nobody_began() -> None:
    """Signing somebody in as somebody else (login CSRF) needs an attempt of this browser."""
    visitor = Visitor(FakeOp())
    _, sent = visitor.begin()
    with pytest.raises(SignInError, match="did not begin"):
        visitor.finish(None, code="c", state=sent["state"])


def test_an_attempt_ends_after_ten_minutes() -> None:
    """A page that was left open is no use later."""
    visitor = Visitor(FakeOp())
    attempt, sent = visitor.begin()
    visitor.skew_s = 601
    with pytest.raises(SignInError, match="too long"):
        visitor.finish(attempt, code="c", state=sent["state"])


def test_again_means_again() -> None:
    """With `again`, the person has to have signed in since; a provider that ignores it is not believed."""
    op = FakeOp()
    visitor = Visitor(op)
    for auth_time, is_believed in ((NOW_S, True), (NOW_S - 3600, False), (None, False)):
        op.token_claims["auth_time"] = auth_time
        attempt, sent = visitor.begin(again=True)
        if is_believed:
            visitor.finish(attempt, code="c", state=sent["state"])
            continue
        with pytest.raises(SignInError):
            visitor.finish(attempt, code="c", state=sent["state"])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"issuer": "https://evil.example"}, "calls itself 'https://evil.example'"),
        ({"token_endpoint": "http://op.example/token"}, "not encrypted"),
        ({"jwks_uri": None}, "no jwks_uri"),
        ({"id_token_signing_alg_values_supported": ["HS256", "none"]}, "signs with none of"),
    ],
)
def test_descriptions_that_are_refused(changes: dict[str, Any], match: str) -> None:
    """The operator reads what to change."""
    op = FakeOp()
    op.document |= changes
    with pytest.raises(ProviderError, match=match):
        Visitor(op).begin()
