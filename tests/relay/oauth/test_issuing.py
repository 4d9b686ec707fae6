"""Tokens that are kept in one transaction, and families that end once."""

from dataclasses import replace

from mcptunnel.auth.clients import GrantType
from mcptunnel.auth.grants import FamilyId
from mcptunnel.auth.tokens import hash_token
from mcptunnel.model import Principal
from mcptunnel.relay.oauth.issuing import end, may_come_in, new_tokens
from mcptunnel.store.oauth.access import AccessTokens
from mcptunnel.store.oauth.refresh import RefreshTokens
from mcptunnel.store.people.users import Users
from tests.relay.oauth.parts import ALICE, APP, Parts


def test_new_tokens_are_of_their_kinds_and_not_shown(parts: Parts) -> None:
    tokens = new_tokens(parts.around)
    assert tokens.access.text.startswith("mcpt_at_")
    assert tokens.refresh.text.startswith("mcpt_rt_")
    assert tokens.access.hash == hash_token(tokens.access.text)
    assert tokens.access.text not in repr(tokens)


def test_a_family_begins_with_both_tokens(parts: Parts) -> None:
    tokens = parts.grant()
    database = parts.database
    access = database.read(lambda c: AccessTokens(c).find(tokens.access.hash, parts.now_s))
    refresh = database.read(lambda c: RefreshTokens(c).find(tokens.refresh.hash))
    assert access is not None
    assert refresh is not None
    assert access.token.family_id == refresh.family.id == "family"


def test_without_refreshing_there_is_one_token(parts: Parts) -> None:
    once = replace(APP, grant_types=frozenset({GrantType.AUTHORIZATION_CODE}))
    tokens = parts.grant(client=once)
    assert parts.database.read(lambda c: RefreshTokens(c).find(tokens.refresh.hash)) is None


def test_a_family_ends_once(parts: Parts) -> None:
    parts.grant()
    family = FamilyId("family")

    def ended(family_id: FamilyId | None) -> FamilyId | None:
        return parts.database.write(lambda c: end(c, family_id, now_s=parts.now_s, reason="x"))

    assert [ended(family), ended(family), ended(None), ended(FamilyId("no"))] == [
        family,
        None,
        None,
        None,
    ]


def test_only_who_is_known_and_not_disabled_may_come_in(parts: Parts) -> None:
    def may(principal: Principal) -> bool:
        return parts.database.read(lambda c: may_come_in(c, principal))

    assert may(ALICE)
    assert not may(Principal("local", "bob"))
    parts.database.write(lambda c: Users(c).disable(ALICE, 1.0))
    assert not may(ALICE)
