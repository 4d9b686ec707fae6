"""A PostgreSQL database as the store: found by URL, made once, and discreet about itself."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, create_engine, insert, make_url, text

from mcptunnel.store.database import Database
from mcptunnel.store.errors import StoreError
from mcptunnel.store.people.tables import invitation
from tests.store.samples import digest


def test_relays_that_start_at_once_make_one_store(postgresql_url: str) -> None:
    """They take turns, and the second one finds the tables made."""
    url = make_url(postgresql_url).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE fresh"))
    fresh = url.set(drivername="postgresql", database="fresh")
    text_of_fresh = fresh.render_as_string(hide_password=False)
    with ThreadPoolExecutor(3) as threads:
        for database in threads.map(lambda _: Database(text_of_fresh), range(3)):
            database.close()
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE fresh"))
    engine.dispose()


@pytest.mark.parametrize("url", ["mysql://db/x", "postgresql+psycopg2://db/x", "no url, s3cret"])
def test_another_url_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(StoreError, match=r"^the store's URL") as caught:
        Database(url)
    assert url not in str(caught.value)


def test_a_server_that_does_not_answer_is_named_without_the_password(free_port: int) -> None:
    """Nor with what else is in the URL."""
    pytest.importorskip("psycopg")
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
