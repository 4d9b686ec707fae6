"""API keys made and ended, each with its line in the audit log: by a running relay, and by commands without one."""

from enum import StrEnum

from sqlalchemy import Connection

from mcptunnel.auth.keys import IssuedKey, KeyId, KeyRecord, Scope
from mcptunnel.model import Principal
from mcptunnel.store.audit import AuditEvent, AuditLog
from mcptunnel.store.keys import Keys


class Event(StrEnum):
    """What can happen to a key."""

    CREATED = "key.created"
    REVOKED = "key.revoked"


def make_key(
    connection: Connection,
    principal: Principal,
    scope: Scope,
    name: str,
    *,
    random: bytes,
    now_s: float,
) -> IssuedKey:
    """Make and store a key (`Keys.issue`)."""
    issued = Keys(connection).issue(principal, scope, name, random=random, now_s=now_s)
    _audit(connection, Event.CREATED, issued.record, now_s)
    return issued


def end_key(connection: Connection, key_id: KeyId, now_s: float) -> bool:
    """End a key for good; False when there is none, or it was revoked before."""
    keys = Keys(connection)
    stored = keys.find_by_id(key_id)
    if stored is None or not keys.revoke(key_id, now_s):
        return False
    _audit(connection, Event.REVOKED, stored.record, now_s)
    return True


def _audit(connection: Connection, event: Event, key: KeyRecord, now_s: float) -> None:
    detail = {"key": key.id, "scope": key.scope.value, "name": key.name}
    AuditLog(connection).add(
        AuditEvent(at_s=now_s, event=event.value, principal=key.principal, detail=detail)
    )
