"""Ending all that somebody has, in one transaction; live links and streams end by what is returned.

The order matters on PostgreSQL, where transactions run side by side: first what can still become
something else, then what it became. A statement that waited for another transaction is followed
by one that sees what that transaction made.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from mcptunnel.model import Principal
from mcptunnel.store.oauth.clients import Clients
from mcptunnel.store.oauth.codes import AuthCodes
from mcptunnel.store.oauth.consents import Consents
from mcptunnel.store.oauth.device_codes import DeviceCodes
from mcptunnel.store.oauth.families import Families, Family
from mcptunnel.store.people.browsers import BrowserSessions


@dataclass(frozen=True, slots=True)
class Ended:
    """What has just ended: token families, and browser sessions by id."""

    families: Sequence[Family] = ()
    sessions: Sequence[str] = ()


def end_user(connection: Connection, principal: Principal, *, now_s: float, reason: str) -> Ended:
    """End a user's sessions, codes, consents and tokens. API keys are not among them.

    To keep the user out, disable or forget the user first, in the same transaction.
    """
    sessions = BrowserSessions(connection).close_all(principal)
    AuthCodes(connection).forget(principal=principal)
    DeviceCodes(connection).forget(principal=principal)
    Consents(connection).forget(principal=principal)
    families = Families(connection).revoke_all(principal=principal, now_s=now_s, reason=reason)
    return Ended(families, sessions)


def end_client(
    connection: Connection,
    client_id: str,
    *,
    principal: Principal | None = None,
    now_s: float,
    reason: str,
) -> Ended:
    """End what a client was granted, by one user or by all; without a user the client goes, too."""
    if principal is None:
        Clients(connection).forget(client_id)
    AuthCodes(connection).forget(principal=principal, client_id=client_id)
    DeviceCodes(connection).forget(principal=principal, client_id=client_id)
    Consents(connection).forget(principal=principal, client_id=client_id)
    return Ended(
        Families(connection).revoke_all(
            principal=principal, client_id=client_id, now_s=now_s, reason=reason
        )
    )
