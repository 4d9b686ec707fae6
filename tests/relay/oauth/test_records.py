"""What is kept says the same when it is read again."""

from typing import Any

import pytest

from mcptunnel.auth.consent import Consent
from mcptunnel.auth.device_grants import DeviceState
from mcptunnel.auth.grants import FamilyId, Lifetimes, begin_family
from mcptunnel.auth.registration import register
from mcptunnel.relay.oauth.records import (
    kept_client,
    kept_consent,
    kept_family,
    known_code,
    known_consent,
    known_family,
    known_grant,
    registered_client,
    registration_answer,
)
from mcptunnel.store.oauth import device_codes
from mcptunnel.store.oauth.codes import AuthCodes
from mcptunnel.store.oauth.device_codes import DeviceCode
from tests.relay.oauth.parts import ALICE, APP, CALLBACK, ISSUER, Parts

JWKS = {"keys": [{"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}]}


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"client_name": "App", "client_uri": "https://app.example"},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"token_endpoint_auth_method": "client_secret_post"},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": JWKS},
        {
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks_uri": "https://app.example/keys.json",
            "token_endpoint_auth_signing_alg": "ES256",
        },
        {"grant_types": ["authorization_code"]},
    ],
)
def test_a_client_is_the_same_when_it_comes_back(metadata: dict[str, Any]) -> None:
    made = register(
        {"redirect_uris": [CALLBACK], **metadata}, client_id="id", random=b"r" * 32, now_s=5.0
    )
    kept = kept_client(made, now_s=5.0, expires_s=9.0)
    assert registered_client(kept) == made.client
    assert "client_secret" not in kept.metadata
    assert "client_id" not in kept.metadata
    assert registration_answer(kept).items() <= dict(made.answer).items()


def test_a_family_is_the_same_when_it_comes_back() -> None:
    family = begin_family(
        FamilyId("f"),
        ALICE,
        APP,
        resource=ISSUER,
        scopes=("mcp", "offline_access"),
        now_s=1.0,
        lifetimes=Lifetimes(),
    )
    assert known_family(kept_family(family)) == family


def test_a_consent_is_the_same_when_it_comes_back() -> None:
    given = Consent(
        principal=ALICE,
        client_id=APP.id,
        redirect_uri=CALLBACK,
        resource=ISSUER,
        scopes=frozenset({"mcp"}),
    )
    assert known_consent(kept_consent(given, 1.0)) == given


def test_a_code_is_bound_as_it_was(parts: Parts) -> None:
    minted = parts.code()
    kept = parts.database.read(lambda connection: AuthCodes(connection).find(minted.hash))
    assert kept is not None
    code = known_code(kept)
    assert (code.hash, code.client_id, code.redirect_uri) == (minted.hash, APP.id, CALLBACK)
    assert (code.family, code.scopes, code.used_s) == ("family", ("mcp",), None)


def test_every_state_of_a_device_grant_is_known() -> None:
    states = set()
    for state in device_codes.DeviceState:
        kept = DeviceCode(
            code_hash=b"h" * 32,
            user_code_hash=b"u" * 32,
            client_id="c",
            resource=ISSUER,
            scopes=frozenset({"agent"}),
            details={},
            state=state,
            interval_s=5,
            created_s=1.0,
            expires_s=2.0,
        )
        states.add(known_grant(kept, FamilyId("f")).state)
    assert states == set(DeviceState)
