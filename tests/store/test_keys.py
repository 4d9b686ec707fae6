"""The keys in the store."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from mcptunnel.auth.keys import RANDOM_BYTES, IssuedKey, KeyId, Scope, hash_secret, matches, parse
from mcptunnel.model import Principal
from mcptunnel.store.database import Database
from mcptunnel.store.errors import StoreError
from mcptunnel.store.keys import Keys

_T = TypeVar("_T")
_ALICE, _BOB = Principal("local", "alice"), Principal("local", "bob")


def _do(database: Database, work: Callable[[Keys], _T]) -> _T:
    return database.write(lambda connection: work(Keys(connection)))


def _issue(database: Database, number: int, principal: Principal = _ALICE) -> IssuedKey:
    random = bytes([number]) * RANDOM_BYTES
    return _do(
        database,
        lambda keys: keys.issue(principal, Scope.MCP, "cursor", random=random, now_s=float(number)),
    )


def test_an_issued_key_is_found_by_its_text(database: Database) -> None:
    issued = _issue(database, 1)
    parsed = parse(issued.text)
    assert parsed is not None
    stored = _do(database, lambda keys: keys.find_by_id(parsed.id))
    assert stored is not None
    assert stored.record == issued.record
    assert matches(parsed, stored.secret_hash)
    assert stored.record.principal == _ALICE
    assert stored.record.created_s == 1.0


def test_only_a_hash_is_in_the_file(tmp_path: Path) -> None:
    with Database(tmp_path / "x.db") as database:
        parsed = parse(_issue(database, 1).text)
        assert parsed is not None
        content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert hash_secret(parsed.secret) in content
    assert parsed.secret.encode() not in content


def test_an_unknown_key_is_none(database: Database) -> None:
    assert _do(database, lambda keys: keys.find_by_id(KeyId("nothing"))) is None


def test_an_id_is_given_once(database: Database) -> None:
    _issue(database, 1)
    with pytest.raises(StoreError):
        _issue(database, 1, _BOB)


def test_lists_are_per_user_or_whole_oldest_first(database: Database) -> None:
    second, first, other = (
        _issue(database, 2).record,
        _issue(database, 1).record,
        _issue(database, 3, _BOB).record,
    )
    assert _do(database, lambda keys: keys.list()) == [first, second, other]
    assert _do(database, lambda keys: keys.list(_ALICE)) == [first, second]
    assert _do(database, lambda keys: keys.list(Principal("elsewhere", "alice"))) == []


def test_a_key_is_revoked_once_and_for_good(database: Database) -> None:
    key_id = _issue(database, 1).record.id
    assert _do(database, lambda keys: keys.revoke(key_id, 5.0))
    assert not _do(database, lambda keys: keys.revoke(key_id, 6.0))
    assert not _do(database, lambda keys: keys.revoke(KeyId("nothing"), 6.0))
    stored = _do(database, lambda keys: keys.find_by_id(key_id))
    assert stored is not None
    assert stored.record.revoked_s == 5.0
    assert not stored.record.allows(Scope.MCP)


def test_last_used_only_goes_forward(database: Database) -> None:
    key_id = _issue(database, 1).record.id
    for now_s in (5.0, 9.0, 7.0):
        _do(database, partial(Keys.touch, key_id=key_id, now_s=now_s))
    stored = _do(database, lambda keys: keys.find_by_id(key_id))
    assert stored is not None
    assert stored.record.last_used_s == 9.0
