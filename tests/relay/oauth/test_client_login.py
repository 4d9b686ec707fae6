"""Clients that prove themselves; above all those that sign, with keys that may be new."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from mcptunnel.auth.client_assertions import ASSERTION_TYPE
from mcptunnel.auth.clients import AuthMethod, Client, ClientKind
from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.parameters import Parameters
from mcptunnel.relay.oauth.client_login import ClientLogin
from mcptunnel.relay.oauth.clients import ClientDirectory, PinnedDocuments
from tests.relay.coroutines import now
from tests.relay.oauth.parts import APP, ISSUER, Parts, form

URL = "https://app.example/client.json"
SIGNER = replace(
    APP,
    id=URL,
    kind=ClientKind.DOCUMENT,
    auth_methods=(AuthMethod.PRIVATE_KEY_JWT,),
    jwks_uri="https://app.example/keys.json",
)


FROM = "192.0.2.1"


class Keys:
    """Key sets: the one that is known, and the one that is found when it is asked for again."""

    def __init__(
        self, known: Mapping[str, Any] | None, newer: Mapping[str, Any] | None = None
    ) -> None:
        self._known = known
        self._newer = newer
        self.asked_again = 0

    async def keys(self, client: Client, *, asker: str) -> Mapping[str, Any] | None:
        return self._known

    async def newer_keys(self, client: Client, *, asker: str) -> Mapping[str, Any] | None:
        self.asked_again += 1
        return self._newer


def new_key(name: str) -> tuple[ec.EllipticCurvePrivateKey, dict[str, Any]]:
    key = ec.generate_private_key(ec.SECP256R1())
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    return key, {"keys": [public | {"kid": name, "alg": "ES256"}]}


def signed(parts: Parts, key: ec.EllipticCurvePrivateKey, name: str, jti: str = "1") -> Parameters:
    claims = {
        "iss": URL,
        "sub": URL,
        "aud": ISSUER,
        "iat": int(parts.now_s),
        "exp": int(parts.now_s) + 60,
        "jti": jti,
    }
    text = jwt.encode(claims, key, algorithm="ES256", headers={"kid": name})
    return form(client_assertion=text, client_assertion_type=ASSERTION_TYPE)


def login(parts: Parts, keys: Keys) -> ClientLogin:
    directory = ClientDirectory(parts.around, PinnedDocuments({URL: SIGNER}))
    return ClientLogin(parts.around, directory, keys)


def check_failed(parts: Parts, keys: Keys, parameters: Parameters) -> None:
    with pytest.raises(OAuthError) as raised:
        now(login(parts, keys).client(parameters, None, FROM))
    assert raised.value.code is ErrorCode.INVALID_CLIENT


def test_a_public_client_only_says_who_it_is(parts: Parts) -> None:
    assert now(login(parts, Keys(None)).client(form(client_id=APP.id), None, FROM)) == APP
    check_failed(parts, Keys(None), form(client_id="unknown"))
    check_failed(parts, Keys(None), form())


def test_a_client_that_signs_proves_itself_once_for_each_assertion(parts: Parts) -> None:
    key, known = new_key("a")
    keys = Keys(known)
    parameters = signed(parts, key, "a")
    assert now(login(parts, keys).client(parameters, None, FROM)) == SIGNER
    check_failed(parts, keys, parameters)
    assert now(login(parts, keys).client(signed(parts, key, "a", "2"), None, FROM)) == SIGNER
    assert not keys.asked_again


def test_a_new_key_is_looked_for(parts: Parts) -> None:
    _, old = new_key("a")
    key, new = new_key("b")
    keys = Keys(old, new)
    assert now(login(parts, keys).client(signed(parts, key, "b"), None, FROM)) == SIGNER
    assert keys.asked_again == 1


def test_without_a_newer_key_it_stays_refused(parts: Parts) -> None:
    _, old = new_key("a")
    key, _ = new_key("b")
    check_failed(parts, Keys(old), signed(parts, key, "b"))
    check_failed(parts, Keys(None), signed(parts, key, "b"))
    check_failed(parts, Keys(old, old), signed(parts, key, "b"))


def test_an_odd_id_of_an_assertion_harms_nothing(parts: Parts) -> None:
    """Half of a surrogate pair cannot be encoded as UTF-8."""
    key, known = new_key("a")
    assert (
        now(login(parts, Keys(known)).client(signed(parts, key, "a", "\ud800"), None, FROM))
        == SIGNER
    )


def test_what_fails_otherwise_is_not_looked_up_again(parts: Parts) -> None:
    key, known = new_key("a")
    keys = Keys(known)
    parts.clock.advance(-1000)
    parameters = signed(parts, key, "a")
    parts.clock.advance(1000)
    check_failed(parts, keys, parameters)
    assert not keys.asked_again
