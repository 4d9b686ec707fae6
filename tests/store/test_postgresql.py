"""A PostgreSQL database as the store: found by URL, made once, and discreet about itself."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, insert

from mcptunnel.store.audit import AuditEvent, AuditLog
from mcptunnel.store.database import Database
from mcptunnel.store.errors import StoreError
from mcptunnel.store.oauth.clients import Clients
from mcptunnel.store.people.tables import invitation
from mcptunnel.store.postgresql import PostgresqlDatabase
from tests.postgresql import another_database
from tests.store.samples import digest


def test_relays_that_start_at_once_make_one_store(postgresql_url: str) -> None:
    """They take turns, and the second one finds the tables made."""
    with another_database(postgresql_url, "fresh") as url, ThreadPoolExecutor(3) as threads:
        for database in threads.map(lambda _: Database(url), range(3)):
            database.close()


@pytest.mark.parametrize("url", ["mysql://db/x", "postgresql+psycopg2://db/x", "no url, s3cret"])
def test_another_url_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(StoreError, match=r"^the store's URL") as caught:
        Database(url)
    assert url not in str(caught.value)


def test_a_server_that_does_not_answer_is_named_without_the_password(free_port: int) -> None:
    """Nor with what else is in the URL."""
    url = f"postgresql://u:s3cret@127.0.0.1:{free_port}/db?application_name=s3cret&sslmode=disable"
    with pytest.raises(StoreError, match=r"the store 127\.0\.0\.1/db failed") as caught:
        Database(url)
    assert "s3cret" not in str(caught.value)


def test_without_the_driver_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"install mcptunnel\[postgresql\]"):
        Database("postgresql://127.0.0.1/db")


def test_an_error_does_not_quote_the_row(postgresql_url: str) -> None:
    """PostgreSQL would say which values it did not take."""

    def change(connection: Connection) -> None:
        values = {"token_hash": digest("x"), "kind": "setup", "label": "s3cret"}
        connection.execute(insert(invitation).values(**values))

    with Database(postgresql_url) as database, pytest.raises(StoreError) as caught:
        database.write(change)
    assert "null value" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_nul_character_is_another_one(postgresql_url: str) -> None:
    """Strangers send it, in a client's id for one: what they ask for is unknown, and no failure."""

    def change(connection: Connection) -> None:
        clients = Clients(connection)
        assert clients.find("a\0b", 1.0) is None
        AuditLog(connection).add(AuditEvent(at_s=1.0, event="e", client_id="a\0b"))

    with Database(postgresql_url) as database:
        database.write(change)
        (logged,) = database.read(lambda connection: AuditLog(connection).page(limit=1))
    assert logged.event.client_id == "a\ufffdb"


def test_a_server_is_not_waited_for_forever() -> None:
    """Unless its URL says how long."""
    for query, wanted in (("", "10"), ("?connect_timeout=3", "3")):
        place = PostgresqlDatabase(f"postgresql://u@192.0.2.1/db{query}")
        engine = place.engine(1)
        assert engine.url.query["connect_timeout"] == wanted
        engine.dispose()
