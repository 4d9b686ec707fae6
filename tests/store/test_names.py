"""The names of tools in the store."""

import random
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from mcptunnel.model import Principal
from mcptunnel.store.database import Database
from mcptunnel.store.names import Names

_T = TypeVar("_T")
_TOOL = "tool"
_ALICE, _BOB = Principal("local", "alice"), Principal("local", "bob")


def _do(database: Database, work: Callable[[Names], _T]) -> _T:
    return database.write(lambda connection: work(Names(connection)))


def test_names_come_back_by_user_and_age(database: Database) -> None:
    newer, older = ("b__t", "i1", "b", "t"), ("z__ü🙂", "i1", "z", "ü🙂")
    _do(database, lambda names: names.bind(_ALICE, _TOOL, [older], 1.0))
    _do(database, lambda names: names.bind(_ALICE, _TOOL, [newer], 2.0))
    _do(database, lambda names: names.bind(_BOB, _TOOL, [("b__t", "i9", "b", "t")], 1.5))
    _do(database, lambda names: names.bind(_BOB, _TOOL, [], 3.0))
    assert _do(database, Names.list) == {
        (_ALICE, _TOOL): [older, newer],
        (_BOB, _TOOL): [("b__t", "i9", "b", "t")],
    }


def test_a_name_once_bound_is_not_bound_to_another_place(database: Database) -> None:
    _do(database, lambda names: names.bind(_ALICE, _TOOL, [("n", "i1", "s", "t")], 1.0))
    _do(database, lambda names: names.bind(_ALICE, _TOOL, [("n", "i2", "s", "t")], 2.0))
    assert _do(database, Names.list) == {(_ALICE, _TOOL): [("n", "i1", "s", "t")]}


def test_names_are_forgotten_of_one_user_alone(database: Database) -> None:
    rows = [(name, "i1", "s", "t") for name in ("n", "m")]
    _do(database, lambda names: names.bind(_ALICE, _TOOL, rows, 1.0))
    _do(database, lambda names: names.bind(_BOB, _TOOL, rows, 1.0))
    _do(database, lambda names: names.forget(_ALICE, _TOOL, ["n", "never"]))
    assert _do(database, Names.list) == {
        (_ALICE, _TOOL): [("m", "i1", "s", "t")],
        (_BOB, _TOOL): [("m", "i1", "s", "t"), ("n", "i1", "s", "t")],
    }


def test_a_name_may_mean_one_thing_in_each_table(database: Database) -> None:
    row = ("n", "i1", "s", "t")
    for kind in ("tool", "prompt", "uri"):
        _do(database, partial(Names.bind, principal=_ALICE, kind=kind, rows=[row], now_s=1.0))
    _do(database, lambda names: names.change(_ALICE, "prompt", [], ["n"], 2.0))
    assert _do(database, Names.list) == {(_ALICE, kind): [row] for kind in ("tool", "uri")}


def test_a_uri_may_be_long(database: Database) -> None:
    """Longer than what fits into an index, whatever a compression makes of it."""
    chance = random.Random(1)
    uri = "file:///" + "".join(chr(chance.randrange(0x4E00, 0x9FFF)) for _ in range(20_000))
    rows = [(uri + end, "i1", "s", uri) for end in "ab"]
    _do(database, lambda names: names.bind(_ALICE, "uri", rows, 1.0))
    assert _do(database, Names.list) == {(_ALICE, "uri"): rows}
    _do(database, lambda names: names.forget(_ALICE, "uri", [rows[0][0]]))
    assert _do(database, Names.list) == {(_ALICE, "uri"): rows[1:]}


def test_a_name_with_nul_is_left_out(database: Database) -> None:
    """PostgreSQL could not hold it; a server's odd name does not keep the others from being stored."""
    rows = [("n\0", "i1", "s", "t"), ("n", "i1", "s", "t\0"), ("m", "i1", "s", "t")]
    _do(database, lambda names: names.bind(_ALICE, _TOOL, rows, 1.0))
    _do(database, lambda names: names.forget(_ALICE, _TOOL, ["n\0"]))
    assert _do(database, Names.list) == {(_ALICE, _TOOL): rows[2:]}


def test_all_names_of_a_device_are_forgotten_and_free(database: Database) -> None:
    """Of every kind; those of other devices, and of the same installation of others, stay."""
    rows = [("a", "i1", "s", "t"), ("b", "i2", "s", "t")]
    for principal in (_ALICE, _BOB):
        for kind in (_TOOL, "uri"):
            _do(database, partial(Names.bind, principal=principal, kind=kind, rows=rows, now_s=1.0))
    _do(database, lambda names: names.forget_device(_ALICE, "i1"))
    _do(database, lambda names: names.bind(_ALICE, _TOOL, [("a", "i2", "s", "t")], 2.0))
    assert _do(database, lambda names: names.list()) == {
        (_ALICE, _TOOL): [("b", "i2", "s", "t"), ("a", "i2", "s", "t")],
        (_ALICE, "uri"): [("b", "i2", "s", "t")],
        (_BOB, _TOOL): rows,
        (_BOB, "uri"): rows,
    }
