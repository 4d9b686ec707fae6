"""What the authorization server writes into the audit log: who, which client, from where; never a secret."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from mcptunnel.auth.client_display import clean_text
from mcptunnel.auth.clients import Client
from mcptunnel.model import Principal
from mcptunnel.store.audit import AUTHORIZATION_REFUSED, AuditEvent, AuditLog
from mcptunnel.store.engine import Transaction

MAX_ADDRESS_CHARS = 64
_MAX_NAME_CHARS = 100


class Event(StrEnum):
    """What can happen."""

    CLIENT_REGISTERED = "client.registered"
    CONSENT_GIVEN = "consent.given"
    CONSENT_REMEMBERED = "consent.remembered"
    CONSENT_DENIED = "consent.denied"
    DEVICE_ALLOWED = "device.allowed"
    DEVICE_DENIED = "device.denied"
    AUTHORIZATION_REFUSED = AUTHORIZATION_REFUSED
    GRANT_BEGUN = "grant.begun"
    GRANT_REVOKED = "grant.revoked"
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - an event, no credential
    CODE_REUSED = "code.reused"
    TOKEN_REUSED = "token.reused"  # noqa: S105 - an event, no credential


def audit(
    connection: Transaction,
    event: Event,
    *,
    at_s: float,
    client: Client | str,
    principal: Principal | None = None,
    address: str = "",
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write an event, in the transaction in which it happens; a client that is not known has an id alone."""
    name = "" if isinstance(client, str) else clean_text(client.name, _MAX_NAME_CHARS)
    named = {"client": name} if name else {}
    AuditLog(connection).add(
        AuditEvent(
            at_s=at_s,
            event=event.value,
            principal=principal,
            client_id=(client if isinstance(client, str) else client.id) or None,
            address=address[:MAX_ADDRESS_CHARS] or None,
            detail=named | dict(detail or {}),
        )
    )
