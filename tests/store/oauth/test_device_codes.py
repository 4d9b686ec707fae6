"""Device codes."""

from dataclasses import replace

import pytest
from sqlalchemy import Connection

from mcptunnel.store.database import Database
from mcptunnel.store.oauth.device_codes import DeviceCodes, DeviceState
from tests.store.samples import ALICE, BOB, CLIENT, device_code, digest, race

_CODE, _USER = digest("dc"), digest("BCDF-GHJK")


def _add(database: Database) -> None:
    assert database.write(lambda c: DeviceCodes(c).add(device_code(), at_most=9))


def test_a_code_is_approved_and_taken_once(database: Database) -> None:
    """Nothing is taken before somebody approved, and the first decision counts."""
    _add(database)

    def life(connection: Connection) -> list[object]:
        codes = DeviceCodes(connection)
        return [
            codes.take(_CODE, 2.0),
            codes.approve(digest("WRNG-CODE"), ALICE, 2.0),
            codes.approve(_USER, ALICE, 2.0, scopes=frozenset({"agent"})),
            codes.approve(_USER, BOB, 2.0),
            codes.deny(_USER, 2.0),
            codes.take(_CODE, 3.0),
            codes.take(_CODE, 3.0),
        ]

    taken = replace(
        device_code(), principal=ALICE, scopes=frozenset({"agent"}), state=DeviceState.TAKEN
    )
    assert database.write(life) == [None, False, True, False, False, taken, None]


def test_a_denied_or_expired_code_is_not_taken(database: Database) -> None:
    _add(database)
    other = device_code("dc2", "other")
    database.write(lambda c: DeviceCodes(c).add(other, at_most=9))

    def life(connection: Connection) -> list[object]:
        codes = DeviceCodes(connection)
        return [
            codes.deny(_USER, 2.0),
            codes.approve(_USER, ALICE, 2.0),
            codes.take(_CODE, 2.0),
            codes.approve(other.user_code_hash, ALICE, 601.0),
            codes.approve(other.user_code_hash, ALICE, 600.0),
            codes.take(other.code_hash, 601.0),
        ]

    assert database.write(life) == [True, False, None, False, True, None]
    denied = database.write(lambda c: DeviceCodes(c).poll(_CODE, 3.0))
    assert denied is not None
    assert denied.state is DeviceState.DENIED


def test_a_user_code_is_opened_only_so_often(database: Database) -> None:
    """And only while nobody has decided."""
    _add(database)

    def life(connection: Connection) -> list[object]:
        codes = DeviceCodes(connection)
        told: list[object] = [codes.open(_USER, 2.0, at_most=2) for _ in range(3)]
        told.append(codes.open(digest("other"), 2.0, at_most=2))
        codes.approve(_USER, ALICE, 2.0)
        return [*told, codes.open(_USER, 2.0, at_most=9)]

    first = replace(device_code(), attempts=1)
    assert database.write(life) == [first, replace(first, attempts=2), None, None, None]


def test_a_poll_tells_when_the_one_before_was(database: Database) -> None:
    """So that its pace can be judged; and it can be slowed down."""
    _add(database)

    def life(connection: Connection) -> list[object]:
        codes = DeviceCodes(connection)
        told: list[object] = [codes.poll(digest("other"), 2.0), codes.poll(_CODE, 2.0)]
        codes.slow_down(_CODE, 5)
        return [*told, codes.poll(_CODE, 700.0)]

    slower = replace(device_code(), last_poll_s=2.0, interval_s=10)
    assert database.write(life) == [None, device_code(), slower]


@pytest.mark.parametrize("secret", "abcde")
def test_of_all_who_take_at_once_one_gets_it(database: Database, secret: str) -> None:
    """Nobody meets a lock."""
    database.write(lambda c: DeviceCodes(c).add(device_code(secret), at_most=9))
    database.write(lambda c: DeviceCodes(c).approve(_USER, ALICE, 2.0))
    got = race(database, lambda c: DeviceCodes(c).take(digest(secret), 3.0))
    assert sum(one is not None for one in got) == 1


def test_of_all_who_decide_at_once_one_does(database: Database) -> None:
    """Two people at two screens do not both approve."""
    _add(database)
    people = iter([ALICE, BOB] * 4)
    got = race(database, lambda c: DeviceCodes(c).approve(_USER, next(people), 2.0))
    assert got.count(True) == 1


def test_of_all_who_poll_at_once_one_is_first(database: Database) -> None:
    """The others see that somebody polled just now."""
    _add(database)
    got = race(database, lambda c: DeviceCodes(c).poll(_CODE, 2.0))
    assert [one is not None and one.last_poll_s for one in got].count(None) == 1


def test_codes_end_with_user_client_and_time(database: Database) -> None:
    def life(connection: Connection) -> list[object]:
        codes = DeviceCodes(connection)
        for n in range(4):
            codes.add(device_code(f"d{n}", f"u{n}"), at_most=9)
        codes.approve(digest("u0"), ALICE, 2.0)
        codes.approve(digest("u1"), BOB, 2.0)
        return [
            codes.forget(principal=ALICE),
            codes.forget(principal=BOB, client_id="other"),
            codes.purge(600.0, 9),
            codes.purge(601.0, 1),
            codes.forget(client_id=CLIENT),
        ]

    assert database.write(life) == [1, 0, 0, 1, 2]


def test_there_are_only_so_many(database: Database) -> None:
    _add(database)
    assert not database.write(lambda c: DeviceCodes(c).add(device_code("x", "y"), at_most=1))
