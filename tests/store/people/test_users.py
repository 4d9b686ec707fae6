"""The users in the store."""

from sqlalchemy import Connection

from mcptunnel.store.database import Database
from mcptunnel.store.people.users import User, Users
from tests.store.samples import ALICE, BOB


def _seen(connection: Connection, now_s: float, email: str | None = None) -> User:
    return Users(connection).seen(ALICE, display_name=f"at {now_s}", email=email, now_s=now_s)


def test_a_user_is_remembered_as_last_told(database: Database) -> None:
    """A later sign-in tells the name and the address anew; an address that is gone goes."""
    database.write(lambda c: _seen(c, 1.0, "a@example.org"))
    told = database.write(lambda c: _seen(c, 5.0))
    assert told == User(
        principal=ALICE, display_name="at 5.0", email=None, created_s=1.0, last_seen_s=5.0
    )
    assert database.read(lambda c: Users(c).find(ALICE)) == told
    assert database.read(lambda c: Users(c).find(BOB)) is None


def test_a_disabled_user_stays_disabled_when_seen_again(database: Database) -> None:
    """Only `enable` changes that, and each happens once."""

    def life(connection: Connection) -> list[object]:
        users = Users(connection)
        return [
            users.disable(ALICE, 2.0),
            _seen(connection, 1.0).disabled_s,
            users.disable(ALICE, 2.0),
            users.disable(ALICE, 3.0),
            _seen(connection, 4.0).disabled_s,
            users.enable(ALICE),
            users.enable(ALICE),
            _seen(connection, 5.0).disabled_s,
        ]

    assert database.write(life) == [False, None, True, False, 2.0, True, False, None]


def test_users_are_listed_by_age_and_can_be_forgotten(database: Database) -> None:
    def change(connection: Connection) -> list[bool]:
        users = Users(connection)
        users.seen(BOB, display_name="", email=None, now_s=1.0)
        users.seen(ALICE, display_name="", email=None, now_s=2.0)
        users.seen(BOB, display_name="", email=None, now_s=3.0)
        assert [user.principal for user in users.list()] == [BOB, ALICE]
        return [users.forget(BOB), users.forget(BOB)]

    assert database.write(change) == [True, False]
    (left,) = database.read(lambda c: Users(c).list())
    assert left.principal == ALICE
