"""A store in a PostgreSQL database, which several relays may share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from mcptunnel.store.errors import StoreError
from mcptunnel.store.migrate import migrate

# Any number will do, as long as every mcptunnel takes the same.
_MIGRATION_LOCK = 7_112_025_336

# Two transactions waited for each other, and the server ended one of them.
_PASSING = frozenset({"40001", "40P01"})

CONNECT_TIMEOUT_S: Final = 10
"""How long a server that does not answer is waited for, unless the URL has a `connect_timeout`."""


class PostgresqlDatabase:
    """The database at a `postgresql://` URL. Raises `StoreError` for a URL that is none.

    The password may be in the URL, or wherever libpq looks for it (PGPASSWORD, ~/.pgpass).
    """

    attempts = 4
    """How often a change is tried when others are in its way."""

    def __init__(self, url: str) -> None:
        try:
            self._url = make_url(url)
        except ArgumentError:
            raise StoreError("the store's URL is not a URL") from None
        if self._url.drivername not in {"postgresql", "postgres"}:
            raise StoreError("the store's URL must begin with postgresql://")
        timeout = {"connect_timeout": str(CONNECT_TIMEOUT_S), **self._url.query}
        self._url = self._url.set(drivername="postgresql+psycopg", query=timeout)
        # Not the whole URL: a password may be in its user part and in its query.
        self._name = f"{self._url.host or 'local'}/{self._url.database or ''}"

    def engine(self, connections: int) -> Engine:
        """Return the connections, for reading and writing alike."""
        try:
            engine = create_engine(
                self._url,
                pool_size=connections,
                max_overflow=0,
                pool_pre_ping=True,
                hide_parameters=True,
            )
        except ImportError as error:
            raise StoreError(
                "a store in PostgreSQL needs psycopg: install mcptunnel[postgresql]"
            ) from error
        event.listen(engine, "connect", _replace_nul)
        return engine

    def writing(self, engine: Engine) -> Engine:
        """Return the connections that write: the same, readers and writers do not meet here."""
        return engine

    def migrate(self, engine: Engine) -> None:
        """Make the tables; relays that start at once take turns."""
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _MIGRATION_LOCK})
            migrate(connection)

    def is_passing(self, error: DBAPIError) -> bool:
        """Tell whether the same change may succeed when it is tried again."""
        return getattr(error.orig, "sqlstate", None) in _PASSING

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn what the database says into a `StoreError` that names it."""
        try:
            yield
        except DBAPIError as error:
            # The rest of what the server says quotes the row.
            diagnosis = getattr(error.orig, "diag", None)
            reason = getattr(diagnosis, "message_primary", None) or error.orig
            raise StoreError(f"the store {self._name} failed: {reason}") from None


def _replace_nul(connection: Any, _record: object) -> None:
    """Have NUL characters written as U+FFFD: strangers send them, and PostgreSQL's texts have none."""
    from psycopg.types.string import StrDumperUnknown  # noqa: PLC0415 - it is optional

    class Dumper(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", "\ufffd"))

    connection.adapters.register_dumper(str, Dumper)
