"""Authorization requests under way."""

from dataclasses import replace

import pytest
from sqlalchemy import Connection

from mcptunnel.store.database import Database
from mcptunnel.store.errors import StoreError
from mcptunnel.store.oauth.requests import AuthRequest, AuthRequests
from mcptunnel.store.people.browsers import BrowserSessions
from tests.store.samples import auth_request, browser_session, digest, race

_ID, _STATE = digest("request"), digest("state")


@pytest.fixture(autouse=True)
def _request(database: Database) -> None:
    def add(connection: Connection) -> None:
        for name in ("s1", "s2"):
            BrowserSessions(connection).add(browser_session(name, name, None), at_most=9)
        AuthRequests(connection).add(auth_request(), at_most=9)

    database.write(add)


def _leave(connection: Connection, state_hash: bytes = _STATE, session_id: str = "s1") -> bool:
    return AuthRequests(connection).go_upstream(
        _ID, session_id, state_hash=state_hash, sealed="nonce and verifier", now_s=2.0
    )


def test_a_request_belongs_to_its_session(database: Database) -> None:
    """Another browser neither sees it nor ends it."""

    def look(connection: Connection) -> list[AuthRequest | None]:
        requests = AuthRequests(connection)
        return [
            requests.find(_ID, "s2", 2.0),
            requests.take(_ID, "s2", 2.0),
            requests.find(_ID, "s1", 601.0),
            requests.take(_ID, "s1", 601.0),
            requests.find(_ID, "s1", 2.0),
            requests.take(_ID, "s1", 2.0),
            requests.take(_ID, "s1", 2.0),
        ]

    request = auth_request()
    assert database.write(look) == [None, None, None, None, request, request, None]


def test_of_all_who_consent_at_once_one_does(database: Database) -> None:
    """A button that is pressed twice makes one code."""
    got = race(database, lambda c: AuthRequests(c).take(_ID, "s1", 2.0))
    assert sum(one is not None for one in got) == 1


def test_the_way_over_the_provider_is_gone_once(database: Database) -> None:
    """The state is used up by the session that left with it, and by no other."""

    def go(connection: Connection) -> list[object]:
        requests = AuthRequests(connection)
        return [
            _leave(connection, session_id="s2"),
            requests.come_back(_STATE, "s1", 2.0),
            _leave(connection),
            requests.come_back(_STATE, "s2", 2.0),
            requests.come_back(_STATE, "s1", 601.0),
            requests.come_back(_STATE, "s1", 3.0),
            requests.come_back(_STATE, "s1", 3.0),
        ]

    back = replace(auth_request(), sealed_upstream="nonce and verifier")
    assert database.write(go) == [False, None, True, None, None, back, None]


def test_only_the_last_way_counts(database: Database) -> None:
    """Who goes back and starts again is not confused with the first try."""

    def go(connection: Connection) -> list[object]:
        _leave(connection)
        _leave(connection, digest("another"))
        requests = AuthRequests(connection)
        back = [requests.come_back(digest(one), "s1", 3.0) for one in ("state", "another")]
        return [one is not None for one in back]

    assert database.write(go) == [False, True]


def test_of_all_who_come_back_at_once_one_does(database: Database) -> None:
    database.write(_leave)
    got = race(database, lambda c: AuthRequests(c).come_back(_STATE, "s1", 3.0))
    assert sum(one is not None for one in got) == 1


def test_there_are_only_so_many_and_the_one_that_ends_first_gives_way(database: Database) -> None:
    def crowd(connection: Connection) -> list[bool]:
        requests = AuthRequests(connection)
        requests.add(replace(auth_request("later"), expires_s=700.0), at_most=2)
        requests.add(replace(auth_request("last"), expires_s=800.0), at_most=2)
        names = ("request", "later", "last")
        return [requests.find(digest(name), "s1", 2.0) is not None for name in names]

    assert database.write(crowd) == [False, True, True]


def test_one_takes_the_place_of_another_even_if_that_is_over(database: Database) -> None:
    again = replace(auth_request(), created_s=700.0, expires_s=900.0)

    def put(connection: Connection) -> AuthRequest | None:
        AuthRequests(connection).replace(again, at_most=9)
        return AuthRequests(connection).find(_ID, "s1", 700.0)

    assert database.write(put) == again


def test_whoever_follows_a_link_twice_at_once_has_it(database: Database) -> None:
    """Two tabs: neither fails."""
    held = auth_request("held")
    race(database, lambda c: AuthRequests(c).replace(held, at_most=99))
    assert database.read(lambda c: AuthRequests(c).find(digest("held"), "s1", 2.0)) == held


def test_there_is_none_without_a_session(database: Database) -> None:
    with pytest.raises(StoreError):
        database.write(lambda c: AuthRequests(c).add(auth_request("x", "nobody"), at_most=9))


def test_expired_requests_go(database: Database) -> None:
    purged = [database.write(lambda c: AuthRequests(c).purge(600.0, 9))]
    purged += [database.write(lambda c: AuthRequests(c).purge(601.0, 9)) for _ in range(2)]
    assert purged == [0, 1, 0]
