"""The audit log: who did what and when, read in pages, kept for a while."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    func,
    insert,
    select,
)

from mcptunnel.model import Principal
from mcptunnel.store.clauses import delete_some, from_json, is_of, owner, principal_of, to_json
from mcptunnel.store.columns import issuer, subject, time, words
from mcptunnel.store.tables import metadata

audit_event = Table(
    "audit_event",
    metadata,
    # SQLite counts by itself only in a column whose type is INTEGER.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    time("at_s"),
    Column("event", String(64), nullable=False),
    issuer(nullable=True),
    subject(nullable=True),
    Column("client_id", Text),
    Column("address", Text),
    words("detail"),
    Index("audit_event_at", "at_s"),
    Index("audit_event_principal", "issuer", "subject", "id"),
)

SIGN_IN_REFUSED: Final = "user.refused"
"""What anybody can do in the name of a user whose name they know."""

AUTHORIZATION_REFUSED: Final = "authorization.refused"
"""What any web site can do with the browser of a user who is signed in."""

_SECRET: Final = re.compile(r"(mcpt_[a-z]{2}_)[0-9A-Za-z_~.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """Something that happened at `at_s`; `detail` is a JSON object without secrets.

    Texts that look like a token of ours are cut after the prefix when they are stored.
    """

    at_s: float
    event: str
    principal: Principal | None = None
    client_id: str | None = None
    address: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Logged:
    """An event and its number, which grows with time."""

    id: int
    event: AuditEvent


class AuditLog:
    """The events, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, event: AuditEvent) -> None:
        """Store an event."""
        self._connection.execute(
            insert(audit_event).values(
                at_s=event.at_s,
                event=event.event,
                client_id=event.client_id,
                address=event.address,
                detail=_SECRET.sub(r"\1…", to_json(event.detail)),
                **owner(event.principal),
            )
        )

    def page(
        self,
        *,
        limit: int,
        before: int | None = None,
        principal: Principal | None = None,
        event: str | None = None,
    ) -> Sequence[Logged]:
        """Return at most `limit` events, newest first, with numbers below `before`."""
        query = select(audit_event).order_by(audit_event.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(audit_event.c.id < before)
        if principal is not None:
            query = query.where(is_of(audit_event, principal))
        if event is not None:
            query = query.where(audit_event.c.event == event)
        return [_logged(row) for row in self._connection.execute(query)]

    def after(self, number: int, *, limit: int) -> Sequence[Logged]:
        """Return at most `limit` events, oldest first, with numbers above this one."""
        query = select(audit_event).where(audit_event.c.id > number)
        query = query.order_by(audit_event.c.id).limit(limit)
        return [_logged(row) for row in self._connection.execute(query)]

    def newest(self, *, before_s: float) -> int:
        """Return the number of the newest event before a time; 0 if there is none."""
        query = select(func.max(audit_event.c.id)).where(audit_event.c.at_s < before_s)
        return self._connection.execute(query).scalar_one() or 0

    def trim(self, *, at_most: int, before_s: float, limit: int) -> int:
        """Delete up to `limit` events that are older than `before_s` or beyond the newest `at_most`.

        Those that strangers can cause (without a user, or refused in a user's name) count by themselves, and
        half as many are kept: nobody is to push out what people did. Returns how many there were.
        """
        refused = audit_event.c.event.in_((SIGN_IN_REFUSED, AUTHORIZATION_REFUSED))
        nobodys = audit_event.c.subject.is_(None) | refused
        surplus = _beyond(at_most, ~nobodys) | _beyond(at_most // 2, nobodys)
        old = audit_event.c.at_s < before_s
        return delete_some(self._connection, audit_event, old | surplus, limit)


def _beyond(at_most: int, which: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether an event is one of those, and not among their newest `at_most`."""
    query = select(audit_event.c.id).where(which).order_by(audit_event.c.id.desc())
    return which & (audit_event.c.id <= query.limit(1).offset(at_most).scalar_subquery())


def _logged(row: Row[Any]) -> Logged:
    return Logged(
        row.id,
        AuditEvent(
            at_s=row.at_s,
            event=row.event,
            principal=None if row.subject is None else principal_of(row),
            client_id=row.client_id,
            address=row.address,
            detail=from_json(row.detail),
        ),
    )
