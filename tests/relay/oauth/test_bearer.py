"""Access tokens as bearer tokens: what they open, and when their use is noted."""

import pytest

from mcptunnel.relay.access import Revoked
from mcptunnel.relay.oauth.bearer import TOUCH_EVERY_S, AccessTokenCheck, credential_id
from mcptunnel.store.errors import StoreError
from mcptunnel.store.oauth.families import Families
from tests.conftest import LoggedFailures
from tests.relay.coroutines import now
from tests.relay.oauth.parts import ALICE, APP, ISSUER, Parts


@pytest.fixture
def check(parts: Parts) -> AccessTokenCheck:
    return AccessTokenCheck(parts.around.store, parts.clock.seconds)


def last_used_s(parts: Parts) -> float:
    family = parts.database.read(lambda connection: Families(connection).find("family"))
    assert family is not None
    return family.last_used_s


def test_a_token_gives_what_was_granted(parts: Parts, check: AccessTokenCheck) -> None:
    tokens = parts.grant()
    access = now(check.find(tokens.access.text))
    assert access is not None
    assert (access.principal, access.client_id, access.grant_id) == (ALICE, APP.id, "family")
    assert access.credential_id == credential_id(tokens.access.hash)
    assert access.scopes == {"mcp"}
    assert access.audience == ISSUER
    assert access.expires_s == parts.now_s + 3600
    assert access.granted_s == parts.now_s
    assert Revoked(grant_id="family").takes_holder(str(ALICE), access.client)
    assert tokens.access.text not in repr(access)


@pytest.mark.parametrize("text", ["nonsense", "mcpt_at_x", "mcpt_at_" + "0" * 43, ""])
def test_other_texts_give_nothing(check: AccessTokenCheck, text: str) -> None:
    assert now(check.find(text)) is None


def test_a_refresh_token_opens_nothing(parts: Parts, check: AccessTokenCheck) -> None:
    assert now(check.find(parts.grant().refresh.text)) is None


def test_what_has_ended_gives_nothing(parts: Parts, check: AccessTokenCheck) -> None:
    token = parts.grant().access.text
    parts.database.write(
        lambda connection: Families(connection).revoke("family", now_s=parts.now_s, reason="x")
    )
    assert now(check.find(token)) is None
    other = parts.grant("second").access.text
    parts.clock.advance(3600)
    assert now(check.find(other)) is None


def test_a_use_is_noted_now_and_then(parts: Parts, check: AccessTokenCheck) -> None:
    access = now(check.find(parts.grant().access.text))
    assert access is not None
    begun_s = parts.now_s
    parts.clock.advance(10)
    check.used(access)
    parts.clock.advance(TOUCH_EVERY_S - 1)
    check.used(access)
    assert last_used_s(parts) == begun_s + 10
    parts.clock.advance(1)
    check.used(access)
    assert last_used_s(parts) == begun_s + 10 + TOUCH_EVERY_S
    check.revoked(Revoked(grant_id="family"))
    check.revoked(Revoked(principal=ALICE))


def test_a_use_that_cannot_be_noted_is_logged(
    parts: Parts,
    check: AccessTokenCheck,
    monkeypatch: pytest.MonkeyPatch,
    logged_failures: LoggedFailures,
) -> None:
    access = now(check.find(parts.grant().access.text))
    assert access is not None

    def fails(_change: object) -> None:
        raise StoreError("full")

    monkeypatch.setattr(parts.database, "write", fails)
    check.used(access)
    assert logged_failures.take(StoreError)
