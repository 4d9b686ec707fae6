"""Device codes (RFC 8628): a machine waits while a person types a short code elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, select, update

from mcptunnel.model import Principal
from mcptunnel.store.clauses import (
    delete_some,
    from_json,
    is_full,
    is_theirs,
    join_scopes,
    owner,
    principal_of,
    split_scopes,
    to_json,
)
from mcptunnel.store.oauth.tables import device_code


class DeviceState(StrEnum):
    """Where a device code stands. Only a pending one is decided, only an approved one taken."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """A device code; `details` are for the person who is asked: which machine, from where.

    The user code is short, so its hash should be one with a key. `attempts` counts `open`;
    `last_poll_s` and `interval_s` are for the pace of polling.
    """

    code_hash: bytes = field(repr=False)
    user_code_hash: bytes = field(repr=False)
    client_id: str
    resource: str
    scopes: frozenset[str]
    details: Mapping[str, Any]
    state: DeviceState = DeviceState.PENDING
    principal: Principal | None = None
    interval_s: int
    last_poll_s: float | None = None
    attempts: int = 0
    created_s: float
    expires_s: float


class DeviceCodes:
    """The device codes, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, code: DeviceCode, *, at_most: int) -> bool:
        """Store a new code; False if there are `at_most` already."""
        if is_full(self._connection, device_code, at_most):
            return False
        self._connection.execute(
            insert(device_code).values(
                code_hash=code.code_hash,
                user_code_hash=code.user_code_hash,
                client_id=code.client_id,
                resource=code.resource,
                scopes=join_scopes(code.scopes),
                details=to_json(code.details),
                state=code.state.value,
                interval_s=code.interval_s,
                last_poll_s=code.last_poll_s,
                attempts=code.attempts,
                created_s=code.created_s,
                expires_s=code.expires_s,
                **owner(code.principal),
            )
        )
        return True

    def open(self, user_code_hash: bytes, now_s: float, *, at_most: int) -> DeviceCode | None:
        """Return the pending code that a person has typed, at most so many times."""
        row = self._connection.execute(
            update(device_code)
            .where(_is_pending(user_code_hash, now_s), device_code.c.attempts < at_most)
            .values(attempts=device_code.c.attempts + 1)
            .returning(device_code)
        ).one_or_none()
        return None if row is None else _code(row)

    def approve(
        self,
        user_code_hash: bytes,
        principal: Principal,
        now_s: float,
        *,
        scopes: frozenset[str] | None = None,
    ) -> bool:
        """Let the machine act for a user, with all the scopes it asked for or these.

        False if there is no pending code: somebody has decided before.
        """
        values: dict[str, object] = {"state": DeviceState.APPROVED.value, **owner(principal)}
        if scopes is not None:
            values["scopes"] = join_scopes(scopes)
        return self._decide(user_code_hash, now_s, values)

    def deny(self, user_code_hash: bytes, now_s: float) -> bool:
        """Refuse; False if there is no pending code."""
        return self._decide(user_code_hash, now_s, {"state": DeviceState.DENIED.value})

    def poll(self, code_hash: bytes, now_s: float) -> DeviceCode | None:
        """Note that the machine asked; return the code as it was before that, or None.

        Expired ones are returned, too.
        """
        row = self._connection.execute(
            select(device_code).where(device_code.c.code_hash == code_hash).with_for_update()
        ).one_or_none()
        if row is None:
            return None
        self._connection.execute(
            update(device_code)
            .where(device_code.c.code_hash == code_hash)
            .values(last_poll_s=now_s)
        )
        return _code(row)

    def slow_down(self, code_hash: bytes, by_s: int) -> None:
        """Make the machine ask less often (RFC 8628 section 3.5)."""
        self._connection.execute(
            update(device_code)
            .where(device_code.c.code_hash == code_hash)
            .values(interval_s=device_code.c.interval_s + by_s)
        )

    def take(self, code_hash: bytes, now_s: float) -> DeviceCode | None:
        """Use an approved code: of all who try, one gets it, the others None."""
        row = self._connection.execute(
            update(device_code)
            .where(
                device_code.c.code_hash == code_hash,
                device_code.c.state == DeviceState.APPROVED.value,
                device_code.c.expires_s > now_s,
            )
            .values(state=DeviceState.TAKEN.value)
            .returning(device_code)
        ).one_or_none()
        return None if row is None else _code(row)

    def forget(self, *, principal: Principal | None = None, client_id: str | None = None) -> int:
        """Remove those approved by a user, of a client, or both; return how many there were.

        Raises ValueError for neither.
        """
        statement = delete(device_code).where(is_theirs(device_code, principal, client_id))
        return self._connection.execute(statement).rowcount

    def purge(self, now_s: float, limit: int) -> int:
        """Delete at most `limit` expired ones; return how many there were."""
        return delete_some(self._connection, device_code, device_code.c.expires_s <= now_s, limit)

    def _decide(self, user_code_hash: bytes, now_s: float, values: Mapping[str, object]) -> bool:
        changed = self._connection.execute(
            update(device_code).where(_is_pending(user_code_hash, now_s)).values(**values)
        )
        return changed.rowcount == 1


def _is_pending(user_code_hash: bytes, now_s: float) -> ColumnElement[bool]:
    return and_(
        device_code.c.user_code_hash == user_code_hash,
        device_code.c.state == DeviceState.PENDING.value,
        device_code.c.expires_s > now_s,
    )


def _code(row: Row[Any]) -> DeviceCode:
    return DeviceCode(
        code_hash=row.code_hash,
        user_code_hash=row.user_code_hash,
        client_id=row.client_id,
        resource=row.resource,
        scopes=split_scopes(row.scopes),
        details=from_json(row.details),
        state=DeviceState(row.state),
        principal=None if row.subject is None else principal_of(row),
        interval_s=row.interval_s,
        last_poll_s=row.last_poll_s,
        attempts=row.attempts,
        created_s=row.created_s,
        expires_s=row.expires_s,
    )
