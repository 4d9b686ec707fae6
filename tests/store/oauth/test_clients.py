"""The OAuth clients in the store."""

from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from mcptunnel.store.database import Database
from mcptunnel.store.oauth.clients import Client, ClientKind, Clients
from tests.store.samples import client, digest


def _register(connection: Connection, new: Client, at_most: int = 9) -> Client | None:
    return Clients(connection).register(new, at_most=at_most, evict_before_s=100.0)


def test_a_client_is_found_until_it_expires_unused(database: Database) -> None:
    new = client("c1", expires_s=10.0)

    def life(connection: Connection) -> list[object]:
        clients = Clients(connection)
        return [
            _register(connection, new),
            clients.find("c1", 9.0),
            clients.find("c1", 10.0),
            clients.list(10.0),
            clients.find("c2", 2.0),
        ]

    assert database.write(life) == [new, new, None, [], None]


def test_a_client_that_was_used_stays(database: Database) -> None:
    database.write(lambda c: _register(c, client("c1", expires_s=10.0)))

    def use(connection: Connection) -> Client | None:
        for now_s in (5.0, 9.0, 7.0):
            Clients(connection).touch("c1", now_s)
        return Clients(connection).find("c1", 999.0)

    assert database.write(use) == replace(client("c1", expires_s=None), last_used_s=9.0)


def test_the_same_metadata_are_the_same_client(database: Database) -> None:
    """A program that registers at every start does not fill the table."""
    first = client("c1", expires_s=10.0)
    again = replace(first, id="c2", created_s=5.0, expires_s=15.0)
    late = replace(first, id="c3", created_s=15.0, expires_s=25.0)
    got = [database.write(partial(_register, new=new)) for new in (first, again, late)]
    assert got == [first, replace(first, expires_s=15.0), late]
    database.write(lambda c: Clients(c).touch("c3", 16.0))
    used = database.write(lambda c: _register(c, replace(late, id="c4", created_s=17.0)))
    assert used == replace(late, last_used_s=16.0, expires_s=None)


def test_a_client_with_a_secret_is_never_found_again(database: Database) -> None:
    """Its secret cannot be told a second time."""
    first = replace(client("c1"), secret_hash=digest("secret"))
    others = [replace(first, id="c2"), replace(first, id="c3", secret_hash=None)]
    for new in [first, *others]:
        assert database.write(partial(_register, new=new)) == new
    assert database.read(lambda c: Clients(c).find("c1", 2.0)) == first
    assert "secret_hash" not in repr(first)


def test_a_full_table_loses_the_oldest_that_nobody_used(database: Database) -> None:
    """Never one that is in use, was made by the operator, or registered a moment ago."""

    def life(connection: Connection) -> list[object]:
        clients = Clients(connection)
        for number in range(4):
            _register(connection, client(f"c{number}", created_s=float(number)), at_most=4)
        clients.touch("c0", 5.0)
        clients.put(replace(client("c1"), kind=ClientKind.STATIC, expires_s=None))
        told: list[object] = [
            _register(connection, client("new1", created_s=100.0), at_most=4),
            sorted(one.id for one in clients.list(6.0)),
            _register(connection, client("new2", created_s=100.0), at_most=4),
            _register(connection, client("new3", created_s=100.0), at_most=4),
        ]
        return [*told, sorted(one.id for one in clients.list(6.0))]

    assert database.write(life) == [
        client("new1", created_s=100.0),
        ["c0", "c1", "c3", "new1"],
        client("new2", created_s=100.0),
        None,
        ["c0", "c1", "new1", "new2"],
    ]


def test_a_document_that_changed_replaces_what_was_known(database: Database) -> None:
    """When it was first seen and last used is kept."""
    first = replace(client("https://c"), kind=ClientKind.CIMD)
    newer = replace(first, metadata={"client_name": "newer"}, created_s=50.0, expires_s=None)

    def life(connection: Connection) -> Client | None:
        clients = Clients(connection)
        clients.put(first)
        clients.touch("https://c", 5.0)
        clients.put(newer)
        return clients.find("https://c", 60.0)

    assert database.write(life) == replace(newer, created_s=1.0, last_used_s=5.0)


def test_clients_are_listed_by_age_and_go(database: Database) -> None:
    def life(connection: Connection) -> list[object]:
        clients = Clients(connection)
        clients.put(client("idle", created_s=3.0, expires_s=None))
        clients.put(client("unused", created_s=2.0, expires_s=10.0))
        clients.put(
            replace(client("static", created_s=1.0, expires_s=None), kind=ClientKind.STATIC)
        )
        for name in ("idle", "static"):
            clients.touch(name, 5.0)
        listed = [one.id for one in clients.list(6.0)]
        return [
            listed,
            clients.purge(9.0, unused_since_s=4.0, limit=9),
            clients.purge(10.0, unused_since_s=4.0, limit=9),
            clients.purge(10.0, unused_since_s=5.0, limit=9),
            clients.forget("static"),
            clients.forget("static"),
        ]

    assert database.write(life) == [["static", "unused", "idle"], 0, 1, 1, True, False]
