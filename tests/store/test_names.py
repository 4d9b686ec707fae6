"""The names of tools in the store."""

from collections.abc import Callable
from typing import TypeVar

from mcptunnel.model import Principal
from mcptunnel.store.database import Database
from mcptunnel.store.names import Names

_T = TypeVar("_T")
_ALICE, _BOB = Principal("local", "alice"), Principal("local", "bob")


def _do(database: Database, work: Callable[[Names], _T]) -> _T:
    return database.write(lambda connection: work(Names(connection)))


def test_names_come_back_by_user_and_age(database: Database) -> None:
    newer, older = ("b__t", "i1", "b", "t"), ("z__ü🙂", "i1", "z", "ü🙂")
    _do(database, lambda names: names.bind(_ALICE, [older], 1.0))
    _do(database, lambda names: names.bind(_ALICE, [newer], 2.0))
    _do(database, lambda names: names.bind(_BOB, [("b__t", "i9", "b", "t")], 1.5))
    _do(database, lambda names: names.bind(_BOB, [], 3.0))
    assert _do(database, Names.list) == {
        _ALICE: [older, newer],
        _BOB: [("b__t", "i9", "b", "t")],
    }


def test_a_name_once_bound_is_not_bound_to_another_place(database: Database) -> None:
    _do(database, lambda names: names.bind(_ALICE, [("n", "i1", "s", "t")], 1.0))
    _do(database, lambda names: names.bind(_ALICE, [("n", "i2", "s", "t")], 2.0))
    assert _do(database, Names.list) == {_ALICE: [("n", "i1", "s", "t")]}


def test_names_are_forgotten_of_one_user_alone(database: Database) -> None:
    rows = [(name, "i1", "s", "t") for name in ("n", "m")]
    _do(database, lambda names: names.bind(_ALICE, rows, 1.0))
    _do(database, lambda names: names.bind(_BOB, rows, 1.0))
    _do(database, lambda names: names.forget(_ALICE, ["n", "never"]))
    assert _do(database, Names.list) == {
        _ALICE: [("m", "i1", "s", "t")],
        _BOB: [("m", "i1", "s", "t"), ("n", "i1", "s", "t")],
    }
