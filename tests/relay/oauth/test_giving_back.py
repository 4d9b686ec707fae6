"""What clients give back ends, here and in all that is open."""

import pytest

from mcptunnel.auth.clients import Client
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.oauth.bearer import credential_id
from mcptunnel.relay.oauth.giving_back import GivingBack
from mcptunnel.store.oauth.access import AccessTokens
from tests.relay.coroutines import now
from tests.relay.oauth.parts import APP, Parts, form


def give_back(parts: Parts, token: str, client: Client = APP) -> None:
    now(GivingBack(parts.around).take(form(token=token), client, "192.0.2.1"))


def is_good(parts: Parts, token_hash: bytes) -> bool:
    found = parts.database.read(
        lambda connection: AccessTokens(connection).find(token_hash, parts.now_s)
    )
    return found is not None


def test_an_access_token_ends_alone(parts: Parts) -> None:
    tokens = parts.grant()
    give_back(parts, tokens.access.text)
    assert parts.revoked == [Revoked(credential_id=credential_id(tokens.access.hash))]
    assert not is_good(parts, tokens.access.hash)
    assert [event.event for event in parts.events()] == ["token.revoked"]


def test_a_refresh_token_ends_the_grant_once(parts: Parts) -> None:
    tokens = parts.grant()
    give_back(parts, tokens.refresh.text)
    give_back(parts, tokens.refresh.text)
    assert parts.revoked == [Revoked(grant_id="family")]
    assert not is_good(parts, tokens.access.hash)
    assert [event.event for event in parts.events()] == ["grant.revoked"]


@pytest.mark.parametrize("kind", ["access", "refresh"])
def test_a_token_of_another_client_stays(parts: Parts, kind: str) -> None:
    tokens = parts.grant()
    other = Client(id="other", kind=APP.kind, name="", redirect_uris=())
    give_back(parts, getattr(tokens, kind).text, other)
    assert not parts.revoked
    assert is_good(parts, tokens.access.hash)


@pytest.mark.parametrize("prefix", ["mcpt_at_", "mcpt_rt_", "mcpt_ac_", "mcpt_ci_", ""])
def test_what_is_not_known_harms_nothing(parts: Parts, prefix: str) -> None:
    give_back(parts, prefix + "0" * 43)
    assert not parts.revoked
    assert not parts.events()
