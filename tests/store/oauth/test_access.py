"""Access tokens."""

import pytest
from sqlalchemy import Connection

from mcptunnel.store.database import Database
from mcptunnel.store.errors import StoreError
from mcptunnel.store.oauth.access import Access, AccessTokens
from mcptunnel.store.oauth.families import Families
from tests.store.samples import ALICE, CLIENT, access_token, digest, family


def _issue(connection: Connection) -> None:
    Families(connection).add(family(expires_s=90.0))
    AccessTokens(connection).add(access_token(expires_s=80.0))
    AccessTokens(connection).add(access_token("long", expires_s=100.0))


def _found(database: Database, secret: str, now_s: float) -> Access | None:
    return database.read(lambda c: AccessTokens(c).find(digest(secret), now_s))


def test_a_token_is_found_with_whose_it_is(database: Database) -> None:
    database.write(_issue)
    assert _found(database, "at", 79.0) == Access(
        token=access_token(expires_s=80.0),
        principal=ALICE,
        client_id=CLIENT,
        granted_s=1.0,
    )
    assert _found(database, "unknown", 2.0) is None


def test_a_token_ends_by_itself_and_with_its_family(database: Database) -> None:
    """Whichever comes first."""
    database.write(_issue)
    ends = [("at", 79.9), ("at", 80.0), ("long", 89.9), ("long", 90.0)]
    assert [_found(database, *one) is not None for one in ends] == [True, False, True, False]
    database.write(lambda c: Families(c).revoke("f1", now_s=5.0, reason=""))
    assert _found(database, "at", 6.0) is None


def test_one_token_is_revoked_and_its_sisters_live(database: Database) -> None:
    database.write(_issue)
    known = _found(database, "at", 2.0)
    hashes = ("at", "at", "unknown")

    def revoke(connection: Connection) -> list[object]:
        return [AccessTokens(connection).revoke(digest(one), 2.0) for one in hashes]

    assert database.write(revoke) == [known, None, None]
    assert _found(database, "at", 2.0) is None
    assert _found(database, "long", 2.0) is not None


def test_a_token_needs_a_family(database: Database) -> None:
    with pytest.raises(StoreError):
        database.write(lambda c: AccessTokens(c).add(access_token()))


def test_expired_tokens_go(database: Database) -> None:
    database.write(_issue)
    assert database.write(lambda c: AccessTokens(c).purge(79.0, 9)) == 0
    assert database.write(lambda c: AccessTokens(c).purge(100.0, 1)) == 1
    assert database.write(lambda c: AccessTokens(c).purge(100.0, 9)) == 1
