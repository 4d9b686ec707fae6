"""Pieces of statements that the classes of the store share."""

import json
from collections.abc import Collection, Mapping
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, delete, func, select

from mcptunnel.model import Principal


def is_of(table: Table, principal: Principal) -> ColumnElement[bool]:
    """Whether a row is a user's."""
    return and_(table.c.issuer == principal.issuer, table.c.subject == principal.subject)


def is_theirs(
    table: Table, principal: Principal | None, client_id: str | None
) -> ColumnElement[bool]:
    """Whether a row is a user's, a client's, or of both. Raises ValueError for neither."""
    if client_id is None:
        if principal is None:
            raise ValueError("neither a user nor a client")
        return is_of(table, principal)
    of_client: ColumnElement[bool] = table.c.client_id == client_id
    return of_client if principal is None else is_of(table, principal) & of_client


def principal_of(row: Row[Any]) -> Principal:
    """Return the user whose row it is."""
    return Principal(row.issuer, row.subject)


def owner(principal: Principal | None) -> dict[str, str | None]:
    """Return the values of a row's columns for its user."""
    if principal is None:
        return {"issuer": None, "subject": None}
    return {"issuer": principal.issuer, "subject": principal.subject}


def join_scopes(scopes: Collection[str]) -> str:
    """Return scopes as one text, always in the same order (RFC 6749 section 3.3)."""
    return " ".join(sorted(scopes))


def split_scopes(text: str) -> frozenset[str]:
    """Return the scopes in a text."""
    return frozenset(text.split())


def to_json(document: Mapping[str, Any]) -> str:
    """Return a document as text in ASCII, the same for equal documents."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def from_json(text: str) -> dict[str, Any]:
    """Return what `to_json` wrote."""
    return cast("dict[str, Any]", json.loads(text))


def is_full(connection: Connection, table: Table, at_most: int) -> bool:
    """Tell whether a table has that many rows.

    Relays that write at the same moment to one PostgreSQL may each add the last one.
    """
    (key,) = table.primary_key
    rows = select(key).limit(at_most).subquery()
    return connection.execute(select(func.count()).select_from(rows)).scalar_one() >= at_most


def delete_some(
    connection: Connection, table: Table, condition: ColumnElement[bool], limit: int
) -> int:
    """Delete at most `limit` rows that meet the condition; return how many there were."""
    (key,) = table.primary_key
    chosen = select(key).where(condition).limit(limit)
    return connection.execute(delete(table).where(key.in_(chosen))).rowcount
