"""Authorization codes."""

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import Connection

from mcptunnel.store.database import Database
from mcptunnel.store.oauth.codes import AuthCodes, CodeTake, CodeTaken, CodeUsed
from mcptunnel.store.oauth.families import Families, Family
from tests.store.samples import ALICE, BOB, CLIENT, auth_code, digest, family, race


def _exchange(connection: Connection, secret: str) -> CodeTake | Family:
    """As the token endpoint does it: the family in the same transaction, or the revocation."""
    taken = AuthCodes(connection).take(digest(secret), 2.0)
    if isinstance(taken, CodeTaken):
        Families(connection).add(family())
    elif isinstance(taken, CodeUsed):
        revoked = Families(connection).revoke(taken.code.family_id, now_s=3.0, reason="replay")
        return revoked or taken
    return taken


def test_a_code_is_taken_once_and_then_told_as_used(database: Database) -> None:
    code = auth_code()

    def life(connection: Connection) -> list[object]:
        codes = AuthCodes(connection)
        codes.add(code)
        return [
            codes.find(code.code_hash),
            codes.take(digest("other"), 2.0),
            codes.take(code.code_hash, 2.0),
            codes.take(code.code_hash, 3.0),
            codes.take(code.code_hash, 99.0),
            codes.find(code.code_hash),
        ]

    used = replace(code, used_s=2.0)
    assert database.write(life) == [
        code,
        None,
        CodeTaken(used),
        CodeUsed(used),
        CodeUsed(used),
        used,
    ]


def test_an_expired_code_is_not_taken(database: Database) -> None:
    """From the very second on; and then it does not count as used."""
    database.write(lambda c: AuthCodes(c).add(auth_code()))
    assert database.write(lambda c: AuthCodes(c).take(digest("ac"), 61.0)) is None
    assert isinstance(database.write(lambda c: AuthCodes(c).take(digest("ac"), 60.9)), CodeTaken)


@pytest.mark.parametrize("secret", "abcde")
def test_of_all_who_take_a_code_at_once_one_gets_it(database: Database, secret: str) -> None:
    """And all others see it used, with its family there to revoke; nobody meets a lock."""
    database.write(lambda c: AuthCodes(c).add(auth_code(secret)))
    got = race(database, partial(_exchange, secret=secret))
    kinds = [type(one) for one in got]
    assert kinds.count(CodeTaken) == 1
    assert kinds.count(Family) == 1
    assert kinds.count(CodeUsed) == len(got) - 2
    left = database.read(lambda c: Families(c).find("f1"))
    assert left is not None
    assert left.revoked_s == 3.0


def test_codes_of_a_user_or_client_can_be_removed(database: Database) -> None:
    def life(connection: Connection) -> list[int]:
        codes = AuthCodes(connection)
        codes.add(auth_code("1"))
        codes.add(auth_code("2", client_id="other"))
        codes.add(auth_code("3", principal=BOB))
        codes.add(auth_code("4", principal=BOB, client_id="other"))
        return [
            codes.forget(principal=ALICE, client_id=CLIENT),
            codes.forget(principal=BOB),
            codes.forget(client_id="other"),
            codes.forget(client_id="other"),
        ]

    assert database.write(life) == [1, 2, 1, 0]


def test_used_codes_are_kept_as_long_as_asked_for(database: Database) -> None:
    def life(connection: Connection) -> list[int]:
        codes = AuthCodes(connection)
        for secret in "abc":
            codes.add(auth_code(secret))
        return [codes.purge(expired_before_s=time_s, limit=2) for time_s in (61.0, 62.0, 62.0)]

    assert database.write(life) == [0, 2, 1]


def test_a_code_does_not_show_its_hash() -> None:
    """Not even the hash belongs into a log."""
    assert repr(digest("ac")) not in repr(auth_code())
