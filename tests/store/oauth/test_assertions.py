"""The ids of client assertions."""

from sqlalchemy import Connection

from mcptunnel.store.database import Database
from mcptunnel.store.oauth.assertions import Assertions
from tests.store.samples import digest, race


def test_an_assertion_is_used_once_until_it_expires(database: Database) -> None:
    """After that it is refused for its age, and its id may come again."""
    uses = [("a", 1.0), ("a", 9.9), ("b", 2.0), ("a", 10.0), ("a", 11.0)]

    def use(connection: Connection) -> list[bool]:
        assertions = Assertions(connection)
        return [assertions.use(digest(key), expires_s=at_s + 9, now_s=at_s) for key, at_s in uses]

    assert database.write(use) == [True, False, True, True, False]


def test_of_all_who_use_it_at_once_one_may(database: Database) -> None:
    got = race(database, lambda c: Assertions(c).use(digest("a"), expires_s=9.0, now_s=1.0))
    assert got.count(True) == 1


def test_expired_ones_go(database: Database) -> None:
    def life(connection: Connection) -> list[int]:
        assertions = Assertions(connection)
        for key in "abc":
            assertions.use(digest(key), expires_s=9.0, now_s=1.0)
        return [assertions.purge(at_s, 2) for at_s in (8.0, 9.0, 9.0)]

    assert database.write(life) == [0, 2, 1]
