"""Browser sessions."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from mcptunnel.store.database import Database
from mcptunnel.store.oauth.requests import AuthRequests
from mcptunnel.store.people.browsers import BrowserSession, BrowserSessions
from tests.store.samples import ALICE, BOB, auth_request, browser_session, digest, race


def _open(database: Database, *sessions: BrowserSession) -> None:
    for session in sessions:
        assert database.write(partial(_add, session=session))


def _add(connection: Connection, session: BrowserSession) -> bool:
    return BrowserSessions(connection).add(session, at_most=100)


def _renew(connection: Connection, old: str, new: str) -> BrowserSession | None:
    return BrowserSessions(connection).renew(
        digest(old),
        digest(new),
        principal=ALICE,
        sealed_csrf="another",
        expires_s=2000.0,
        now_s=7.0,
    )


def _close_all(connection: Connection, but: str | None) -> Sequence[str]:
    return BrowserSessions(connection).close_all(ALICE, but=but)


def test_a_session_is_found_by_its_cookie_until_it_ends(database: Database) -> None:
    session = browser_session()
    _open(database, session)
    find = [(digest("cookie"), 999.0), (digest("cookie"), 1000.0), (digest("other"), 2.0)]
    found = database.read(lambda c: [BrowserSessions(c).find(*one) for one in find])
    assert found == [session, None, None]
    assert "cookie" not in repr(session)
    assert "sealed" not in repr(session).replace("sealed_csrf", "")


def test_signing_in_gives_another_cookie_and_keeps_the_request(database: Database) -> None:
    """A cookie that somebody planted before the sign-in opens nothing after it."""
    before = browser_session(principal=None)
    _open(database, before)
    database.write(lambda c: AuthRequests(c).add(auth_request(), at_most=9))
    after = database.write(lambda c: _renew(c, "cookie", "fresh"))
    assert after == replace(
        before,
        secret_hash=digest("fresh"),
        principal=ALICE,
        sealed_csrf="another",
        last_used_s=7.0,
        expires_s=2000.0,
    )
    assert database.read(lambda c: BrowserSessions(c).find(digest("cookie"), 8.0)) is None
    assert database.read(lambda c: BrowserSessions(c).find(digest("fresh"), 8.0)) == after
    request = database.read(lambda c: AuthRequests(c).find(digest("request"), "s1", 8.0))
    assert request == auth_request()


def test_of_all_who_renew_a_session_at_once_one_does(database: Database) -> None:
    _open(database, browser_session())
    got = race(database, lambda c: _renew(c, "cookie", "fresh"))
    assert sum(one is not None for one in got) == 1


def test_a_user_sees_and_ends_their_own_sessions(database: Database) -> None:
    first, second = browser_session("s1", "1"), browser_session("s2", "2")
    _open(database, first, second, browser_session("s3", "3", BOB))
    _open(database, browser_session("s4", "4", None))

    def life(connection: Connection) -> list[object]:
        sessions = BrowserSessions(connection)
        for now_s in (5.0, 3.0):
            sessions.touch("s2", now_s)
        listed = [(one.id, one.last_used_s) for one in sessions.list(ALICE, 9.0)]
        return [
            listed,
            sessions.list(ALICE, 1000.0),
            sessions.close(BOB, "s1"),
            sessions.close(None, "s1"),
            sessions.close(ALICE, "s1"),
            sessions.close(ALICE, "s1"),
            sessions.close(None, "s4"),
            [one.id for one in sessions.list(ALICE, 9.0)],
            [one.id for one in sessions.list(BOB, 9.0)],
        ]

    assert database.write(life) == [
        [("s2", 5.0), ("s1", 1.0)],
        [],
        False,
        False,
        True,
        False,
        True,
        ["s2"],
        ["s3"],
    ]


def test_all_sessions_of_a_user_end_but_the_one_in_use(database: Database) -> None:
    _open(database, *(browser_session(f"s{n}", f"{n}") for n in range(3)))
    _open(database, browser_session("b", "b", BOB))
    ended = [database.write(partial(_close_all, but=but)) for but in ("s1", None, None)]
    assert ended == [["s0", "s2"], ["s1"], []]
    assert len(database.read(lambda c: BrowserSessions(c).list(BOB, 2.0))) == 1


def test_with_a_session_its_requests_end(database: Database) -> None:
    _open(database, browser_session())
    database.write(lambda c: AuthRequests(c).add(auth_request(), at_most=9))
    database.write(lambda c: BrowserSessions(c).close(ALICE, "s1"))
    assert database.read(lambda c: AuthRequests(c).find(digest("request"), "s1", 2.0)) is None


def test_there_are_only_so_many(database: Database) -> None:
    _open(database, browser_session())
    more = browser_session("s2", "2")
    assert not database.write(lambda c: BrowserSessions(c).add(more, at_most=1))
    assert database.write(lambda c: BrowserSessions(c).add(more, at_most=2))


def test_expired_and_idle_sessions_go(database: Database) -> None:
    _open(database, *(browser_session(f"s{n}", f"{n}") for n in range(4)))
    database.write(lambda c: BrowserSessions(c).touch("s0", 500.0))

    def purge(connection: Connection) -> list[int]:
        sessions = BrowserSessions(connection)
        return [
            sessions.purge(2.0, idle_since_s=0.5, limit=9),
            sessions.purge(2.0, idle_since_s=1.0, limit=2),
            sessions.purge(2.0, idle_since_s=1.0, limit=2),
            sessions.purge(1000.0, idle_since_s=1.0, limit=2),
        ]

    assert database.write(purge) == [0, 2, 1, 1]
