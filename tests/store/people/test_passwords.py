"""The passwords of local users."""

import pytest
from sqlalchemy import Connection

from mcptunnel.store.database import Database
from mcptunnel.store.people.passwords import Password, Passwords

_OLD, _NEW = "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$b2xk", "$argon2id$v=19$m=9,t=1,p=1$c2FsdA$bmV3"


def test_a_password_is_replaced_and_forgotten(database: Database) -> None:
    def life(connection: Connection) -> list[object]:
        passwords = Passwords(connection)
        told: list[object] = [passwords.find("alice"), passwords.count()]
        passwords.put("alice", _OLD, 1.0)
        passwords.put("alice", _NEW, 2.0)
        told += [passwords.find("alice"), passwords.find("bob"), passwords.count()]
        return [*told, passwords.forget("alice"), passwords.forget("alice"), passwords.count()]

    assert database.write(life) == [None, 0, Password(_NEW, 2.0), None, 1, True, False, 0]


def test_a_hash_is_made_stronger_only_if_the_password_is_the_same(database: Database) -> None:
    """A password that was changed meanwhile is not replaced by the old one."""

    def life(connection: Connection) -> list[object]:
        passwords = Passwords(connection)
        passwords.put("alice", _OLD, 1.0)
        return [
            passwords.rehash("alice", _OLD, _NEW),
            passwords.rehash("alice", _OLD, _OLD),
            passwords.find("alice"),
        ]

    assert database.write(life) == [True, False, Password(_NEW, 1.0)]


def test_a_password_in_the_clear_is_refused(database: Database) -> None:
    """And not quoted."""
    for store in (
        lambda c: Passwords(c).put("alice", "hunter2", 1.0),
        lambda c: Passwords(c).rehash("alice", _OLD, "hunter2"),
    ):
        with pytest.raises(ValueError, match="no argon2 hash") as caught:
            database.write(store)
        assert "hunter2" not in str(caught.value)
    assert "argon2" not in repr(Password(_OLD, 1.0))
