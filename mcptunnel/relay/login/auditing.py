"""What happens to users, for the audit log: who signed in, who could not and why, who was invited or kept out."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from mcptunnel.model import Principal
from mcptunnel.store.audit import SIGN_IN_REFUSED, AuditEvent, AuditLog
from mcptunnel.store.engine import Transaction

_MAX_ADDRESS_CHARS: Final = 64


class Event(StrEnum):
    """What can happen."""

    SIGNED_IN = "user.signed_in"
    SIGNED_OUT = "user.signed_out"
    REFUSED = SIGN_IN_REFUSED
    CREATED = "user.created"
    PASSWORD_CHOSEN = "user.password_chosen"  # noqa: S105 - an event, no password
    INVITED = "user.invited"
    RESET_OFFERED = "user.reset_offered"
    SETUP_OFFERED = "relay.setup_offered"
    DISABLED = "user.disabled"
    ENABLED = "user.enabled"
    REMOVED = "user.removed"


def audit(
    connection: Transaction,
    event: Event,
    *,
    at_s: float,
    principal: Principal | None = None,
    address: str = "",
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write an event, in the transaction in which it happens."""
    AuditLog(connection).add(
        AuditEvent(
            at_s=at_s,
            event=event.value,
            principal=principal,
            address=address[:_MAX_ADDRESS_CHARS] or None,
            detail=dict(detail or {}),
        )
    )
