"""Requests to the relay are those that its authorization server takes."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from twisted.internet.defer import Deferred

from mcptunnel.agent.sign_in.answers import RelayUnavailableError, read_metadata
from mcptunnel.agent.sign_in.authorization_server import (
    DEVICE_GRANT,
    AuthorizationServer,
    authorization_url,
)
from mcptunnel.auth.agent_client import AGENT_CLIENT, AGENT_REDIRECTS
from mcptunnel.auth.clients import GrantType
from mcptunnel.auth.metadata import AUTHORIZATION_SERVER
from mcptunnel.auth.pkce import challenge_of
from mcptunnel.auth.redirects import is_registered
from mcptunnel.config.secret import Secret
from mcptunnel.net.http import FetchError
from tests.agent import error_of
from tests.agent.sign_in import (
    RELAY,
    Answer,
    FakeFetches,
    answered,
    metadata,
    refresh,
    token_answer,
    tokens,
)
from tests.agent.sign_in.test_answers import DEVICE_CODE, TestDeviceCodes, raw

SERVER = read_metadata(RELAY, 200, raw(metadata()))
CLIENT = {"client_id": "mcptunnel-agent"}
RESOURCE = {"resource": f"{RELAY}/tunnel"}
REDIRECT = "http://127.0.0.1:31999/callback"


def asking(answer: Answer) -> tuple[AuthorizationServer, FakeFetches]:
    fetches = FakeFetches(answer)
    return AuthorizationServer(RELAY, fetches), fetches


def result(work: Any) -> Any:
    """Return what a coroutine returns that never waits."""
    got: list[Any] = []
    running = Deferred.fromCoroutine(work)
    running.addCallback(got.append)
    assert got, error_of(running)
    return got[0]


def test_the_browser_is_sent_with_all_that_is_needed() -> None:
    url = authorization_url(SERVER, redirect_uri=REDIRECT, state="s", verifier="v" * 43)
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{RELAY}/authorize"
    assert parse_qs(parts.query) == {
        "response_type": ["code"],
        "client_id": ["mcptunnel-agent"],
        "redirect_uri": [REDIRECT],
        "scope": ["agent offline_access"],
        "resource": [f"{RELAY}/tunnel"],
        "state": ["s"],
        "code_challenge": [challenge_of("v" * 43)],
        "code_challenge_method": ["S256"],
    }


def test_the_relay_knows_this_client() -> None:
    """Its id, its redirect with any port, its grants."""
    assert AGENT_CLIENT.id == CLIENT["client_id"]
    assert is_registered(AGENT_REDIRECTS, REDIRECT)
    assert GrantType(DEVICE_GRANT) in AGENT_CLIENT.grant_types


def test_metadata_are_where_they_always_are() -> None:
    asked, fetches = asking(answered(metadata()))
    assert result(asked.discover()) == SERVER
    assert fetches.asked == [(RELAY + AUTHORIZATION_SERVER, {})]


def test_a_code_is_exchanged() -> None:
    asked, fetches = asking(answered(token_answer(3)))
    got = result(asked.exchange(SERVER, code="c", verifier="v", redirect_uri=REDIRECT))
    assert got == tokens(3)
    form = {
        "grant_type": "authorization_code",
        "code": "c",
        "code_verifier": "v",
        "redirect_uri": REDIRECT,
    }
    assert fetches.asked == [(f"{RELAY}/token", {**CLIENT, **RESOURCE, **form})]


def test_a_refresh_token_is_presented() -> None:
    asked, fetches = asking(answered(token_answer(3)))
    assert result(asked.renew(Secret(refresh(2)))) == tokens(3)
    form = {"grant_type": "refresh_token", "refresh_token": refresh(2)}
    assert fetches.asked == [(f"{RELAY}/token", {**CLIENT, **RESOURCE, **form})]


def test_a_device_code_is_asked_for_and_polled() -> None:
    asked, fetches = asking(answered(TestDeviceCodes.WHOLE))
    begun = asked.begin_device(SERVER, device_name="laptop", host_name="müller.local")
    assert result(begun).device_code == DEVICE_CODE
    fetches.answers = [answered(token_answer(4))]
    assert result(asked.poll_device(SERVER, DEVICE_CODE)) == tokens(4)
    names = {"device_name": "laptop", "host_name": "müller.local"}
    assert fetches.asked == [
        (
            f"{RELAY}/device_authorization",
            {**CLIENT, **RESOURCE, "scope": "agent offline_access", **names},
        ),
        (f"{RELAY}/token", {**CLIENT, "grant_type": DEVICE_GRANT, "device_code": DEVICE_CODE}),
    ]


def test_a_grant_is_given_back() -> None:
    asked, fetches = asking(answered({}))
    result(asked.revoke(Secret(refresh(2))))
    form = {"token": refresh(2), "token_type_hint": "refresh_token"}
    assert fetches.asked == [(f"{RELAY}/revoke", {**CLIENT, **form})]


def test_a_revocation_that_was_not_taken_is_told() -> None:
    asked, _ = asking(answered({}, 503))
    told = error_of(Deferred.fromCoroutine(asked.revoke(Secret(refresh()))))
    assert isinstance(told, RelayUnavailableError)


@pytest.mark.parametrize("method", ["discover", "renew"])
def test_no_answer_is_no_verdict(method: str) -> None:
    asked, _ = asking(FetchError("relay.test:443: nothing listens there"))
    work: Any = asked.discover() if method == "discover" else asked.renew(Secret(refresh()))
    told = error_of(Deferred.fromCoroutine(work))
    assert isinstance(told, RelayUnavailableError)
    assert str(told) == "relay.test:443: nothing listens there"
