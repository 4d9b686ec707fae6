"""Refresh tokens: rotated once, reused in bounds."""

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import Connection

from mcptunnel.store.database import Database
from mcptunnel.store.oauth.families import Families, Family
from mcptunnel.store.oauth.refresh import (
    AlreadyRotated,
    NotRotated,
    RefreshTokens,
    Rotated,
    Rotation,
    Successor,
)
from tests.store.samples import digest, family, race


def _new(secret: str, expires_s: float = 500.0) -> Successor:
    return Successor(token_hash=digest(secret), expires_s=expires_s)


def _begin(connection: Connection) -> None:
    Families(connection).add(family())
    RefreshTokens(connection).add("f1", _new("1"), 1.0)


def _rotate(connection: Connection, old: str, new: str, now_s: float) -> Rotation:
    return RefreshTokens(connection).rotate(digest(old), _new(new), now_s)


def _reuse(connection: Connection, new: str, *, since_s: float, at_most: int) -> Family | None:
    return RefreshTokens(connection).reuse(
        digest("1"), _new(new), rotated_since_s=since_s, at_most=at_most, now_s=9.0
    )


def test_a_token_is_rotated_once_and_its_successor_then(database: Database) -> None:
    database.write(_begin)
    used = replace(family(), last_used_s=1.0)
    assert database.write(lambda c: _rotate(c, "1", "2", 5.0)) == Rotated(used)
    again = database.write(lambda c: _rotate(c, "1", "3", 6.0))
    assert again == AlreadyRotated(replace(family(), last_used_s=5.0), 5.0, 0)
    assert database.read(lambda c: RefreshTokens(c).find(digest("3"))) is None
    assert isinstance(database.write(lambda c: _rotate(c, "2", "3", 7.0)), Rotated)
    token = database.read(lambda c: RefreshTokens(c).find(digest("2")))
    assert token is not None
    assert (token.created_s, token.expires_s, token.rotated_s) == (5.0, 500.0, 7.0)
    assert token.family.last_used_s == 7.0


def test_what_cannot_be_rotated_says_why(database: Database) -> None:
    """A token ends by itself, or with its family."""
    database.write(_begin)
    rotations = [("nothing", 2.0), ("1", 500.0), ("1", 1000.0)]
    told = [
        database.write(partial(_rotate, old=old, new="x", now_s=at_s)) for old, at_s in rotations
    ]
    assert told == [NotRotated.UNKNOWN, NotRotated.EXPIRED, NotRotated.EXPIRED]
    database.write(lambda c: _rotate(c, "1", "2", 2.0))
    assert database.write(lambda c: _rotate(c, "1", "x", 500.0)) is NotRotated.EXPIRED
    database.write(lambda c: Families(c).revoke("f1", now_s=3.0, reason=""))
    for secret in "12":
        got = database.write(partial(_rotate, old=secret, new="x", now_s=4.0))
        assert got is NotRotated.REVOKED
    assert database.read(lambda c: RefreshTokens(c).find(digest("x"))) is None


def test_a_token_that_was_rotated_lately_is_reused_in_bounds(database: Database) -> None:
    """Each time is counted, and brings a successor of the same family."""
    database.write(_begin)
    assert database.write(lambda c: _reuse(c, "0", since_s=0.0, at_most=9)) is None
    database.write(lambda c: _rotate(c, "1", "2", 5.0))

    def reuse(connection: Connection) -> list[bool]:
        return [
            _reuse(connection, "a", since_s=5.1, at_most=2) is not None,
            _reuse(connection, "b", since_s=5.0, at_most=2) is not None,
            _reuse(connection, "c", since_s=4.0, at_most=2) is not None,
            _reuse(connection, "d", since_s=4.0, at_most=2) is not None,
        ]

    assert database.write(reuse) == [False, True, True, False]
    again = database.write(lambda c: _rotate(c, "1", "x", 9.0))
    assert again == AlreadyRotated(replace(family(), last_used_s=9.0), 5.0, 2)
    found = database.read(
        lambda c: [RefreshTokens(c).find(digest(one)) is not None for one in "abcd"]
    )
    assert found == [False, True, True, False]
    database.write(lambda c: Families(c).revoke("f1", now_s=9.0, reason=""))
    assert database.write(lambda c: _reuse(c, "e", since_s=0.0, at_most=9)) is None


@pytest.mark.parametrize("first", "abcde")
def test_of_all_who_rotate_at_once_one_does(database: Database, first: str) -> None:
    """The others learn when, and nobody meets a lock; one successor is stored."""
    database.write(_begin)
    database.write(lambda c: RefreshTokens(c).add("f1", _new(f"first {first}"), 1.0))
    successors = iter("abcdefgh")
    got = race(database, lambda c: _rotate(c, f"first {first}", next(successors), 5.0))
    assert sum(isinstance(one, Rotated) for one in got) == 1
    assert sum(isinstance(one, AlreadyRotated) for one in got) == len(got) - 1
    stored = database.read(
        lambda c: [one for one in "abcdefgh" if RefreshTokens(c).find(digest(one))]
    )
    assert len(stored) == 1


def test_of_all_who_reuse_at_once_no_more_do_than_allowed(database: Database) -> None:
    database.write(_begin)
    database.write(lambda c: _rotate(c, "1", "2", 5.0))
    successors = iter("abcdefgh")
    got = race(database, lambda c: _reuse(c, next(successors), since_s=0.0, at_most=3))
    assert sum(one is not None for one in got) == 3


def test_a_rotation_beside_a_revocation_leaves_nothing_alive(database: Database) -> None:
    """Whichever comes first: the successor belongs to a family that has ended."""
    database.write(_begin)
    turns = iter(range(8))

    def change(connection: Connection) -> object:
        turn = next(turns)
        if turn % 2:
            return Families(connection).revoke("f1", now_s=5.0, reason="")
        return _rotate(connection, "1", str(turn + 10), 5.0)

    race(database, change)
    for secret in ["1", *map(str, range(10, 18))]:
        got = database.write(partial(_rotate, old=secret, new=f"{secret}x", now_s=6.0))
        assert got in (NotRotated.REVOKED, NotRotated.UNKNOWN)


def test_rotated_tokens_stay_until_they_expire(database: Database) -> None:
    database.write(_begin)
    database.write(lambda c: _rotate(c, "1", "2", 2.0))
    assert database.write(lambda c: RefreshTokens(c).purge(499.0, 9)) == 0
    assert database.write(lambda c: RefreshTokens(c).purge(500.0, 1)) == 1
