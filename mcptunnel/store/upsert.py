"""INSERT … ON CONFLICT: the same SQL in SQLite and PostgreSQL, a construct of each in SQLAlchemy."""

from typing import TypeAlias

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

Insert: TypeAlias = postgresql.Insert | sqlite.Insert
"""Has `on_conflict_do_nothing` and `on_conflict_do_update`."""


def insert_into(connection: Connection, table: Table) -> Insert:
    """Return an INSERT for whichever database `connection` is of."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
