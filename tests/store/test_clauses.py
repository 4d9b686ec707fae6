"""The shared pieces of statements."""

import pytest
from sqlalchemy import Connection, insert, select

from mcptunnel.store.clauses import (
    delete_some,
    from_json,
    is_full,
    is_theirs,
    join_scopes,
    owner,
    split_scopes,
    to_json,
)
from mcptunnel.store.database import Database
from mcptunnel.store.oauth.tables import assertion, consent
from tests.store.samples import ALICE, digest


def _fill(connection: Connection) -> None:
    rows = [{"key": digest(str(n)), "expires_s": float(n)} for n in range(5)]
    connection.execute(insert(assertion), rows)


def test_no_more_is_deleted_than_allowed(database: Database) -> None:
    """And nothing that does not meet the condition."""

    def change(connection: Connection) -> list[int]:
        _fill(connection)
        due = assertion.c.expires_s < 3.0
        return [delete_some(connection, assertion, due, 2) for _ in range(3)]

    assert database.write(change) == [2, 1, 0]
    left = database.read(lambda connection: connection.execute(select(assertion)).all())
    assert {row.expires_s for row in left} == {3.0, 4.0}


def test_a_table_is_full_from_a_number_on(database: Database) -> None:
    database.write(_fill)
    full = database.read(lambda c: [is_full(c, assertion, at_most) for at_most in (4, 5, 6)])
    assert full == [True, True, False]


def test_documents_and_scopes_come_back() -> None:
    """Equal ones are equal texts, whatever is in them."""
    odd = {"b": ["\x00", "\ud800", "ü🙂"], "a": None}
    assert from_json(to_json(odd)) == odd
    assert to_json({"a": 1, "b": 2}) == to_json({"b": 2, "a": 1})
    assert to_json(odd).isascii()
    assert split_scopes(join_scopes({"mcp", "offline_access"})) == {"mcp", "offline_access"}
    assert split_scopes(join_scopes(())) == frozenset()


def test_rows_of_nobody_in_particular_are_an_error() -> None:
    """A revocation that forgot to say whose must not be one of everything."""
    with pytest.raises(ValueError, match="neither"):
        is_theirs(consent, None, None)
    assert owner(None) == {"issuer": None, "subject": None}
    assert owner(ALICE) == {"issuer": "local", "subject": "alice"}
