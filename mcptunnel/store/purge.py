"""Removing what is over, a bounded number of rows at a time, so that nobody waits long."""

from dataclasses import dataclass

from sqlalchemy import Connection

from mcptunnel.store.audit import AuditLog
from mcptunnel.store.oauth.access import AccessTokens
from mcptunnel.store.oauth.assertions import Assertions
from mcptunnel.store.oauth.clients import Clients
from mcptunnel.store.oauth.codes import AuthCodes
from mcptunnel.store.oauth.device_codes import DeviceCodes
from mcptunnel.store.oauth.documents import ClientDocuments
from mcptunnel.store.oauth.families import Families
from mcptunnel.store.oauth.refresh import RefreshTokens
from mcptunnel.store.oauth.requests import AuthRequests
from mcptunnel.store.people.browsers import BrowserSessions
from mcptunnel.store.people.invitations import Invitations


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long things are kept beyond their use, in seconds, and how many audit events."""

    used_codes_s: float = 3600.0
    revoked_families_s: float = 7 * 86400.0
    spent_families_s: float = 86400.0
    idle_sessions_s: float = 7 * 86400.0
    unused_clients_s: float = 180 * 86400.0
    stale_documents_s: float = 2 * 86400.0
    audit_s: float = 90 * 86400.0
    audit_events: int = 100_000


def purge(connection: Connection, retention: Retention, *, now_s: float, limit: int) -> int:
    """Delete at most `limit` rows of each kind.

    Returns the largest number that was deleted of one kind: `limit` means that there may be more.
    """
    return max(
        AccessTokens(connection).purge(now_s, limit),
        RefreshTokens(connection).purge(now_s, limit),
        AuthCodes(connection).purge(expired_before_s=now_s - retention.used_codes_s, limit=limit),
        Families(connection).purge(
            now_s,
            revoked_before_s=now_s - retention.revoked_families_s,
            unused_since_s=now_s - retention.spent_families_s,
            limit=limit,
        ),
        DeviceCodes(connection).purge(now_s, limit),
        AuthRequests(connection).purge(now_s, limit),
        BrowserSessions(connection).purge(
            now_s, idle_since_s=now_s - retention.idle_sessions_s, limit=limit
        ),
        Invitations(connection).purge(now_s, limit),
        Assertions(connection).purge(now_s, limit),
        ClientDocuments(connection).purge(
            now_s, fetched_before_s=now_s - retention.stale_documents_s, limit=limit
        ),
        Clients(connection).purge(
            now_s, unused_since_s=now_s - retention.unused_clients_s, limit=limit
        ),
        AuditLog(connection).trim(
            at_most=retention.audit_events, before_s=now_s - retention.audit_s, limit=limit
        ),
    )
