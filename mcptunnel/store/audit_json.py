"""Audit events as JSON objects, one on each line: for `audit_file`, and for `mcptunnel audit --json`."""

import json
from datetime import UTC, datetime
from typing import Any

from mcptunnel.store.audit import Logged


def audit_object(logged: Logged) -> dict[str, Any]:
    """Return an event with its number `id` and its time `at` in UTC; what it does not have is left out."""
    event, principal = logged.event, logged.event.principal
    members = {
        "id": logged.id,
        "at": datetime.fromtimestamp(event.at_s, UTC).isoformat(timespec="milliseconds"),
        "event": event.event,
        "issuer": None if principal is None else principal.issuer,
        "user": None if principal is None else principal.subject,
        "client_id": event.client_id,
        "address": event.address,
        "detail": dict(event.detail) or None,
    }
    return {name: value for name, value in members.items() if value is not None}


def audit_line(logged: Logged) -> str:
    """Return an event as one line in ASCII: nothing in it can pretend to be another line, or colour a terminal."""
    return json.dumps(audit_object(logged), separators=(",", ":")) + "\n"


def number_in(line: bytes) -> int | None:
    """Return the number of the event in a line of ours, or None."""
    try:
        number = json.loads(line)["id"]
    except (ValueError, KeyError, TypeError):
        return None
    return number if isinstance(number, int) else None
