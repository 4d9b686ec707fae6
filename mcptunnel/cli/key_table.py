"""Keys as a table for people, or as plain columns for programs."""

from collections.abc import Sequence

from mcptunnel.auth.keys import KeyRecord
from mcptunnel.cli.table import print_table, time_text

_COLUMNS = ("ID", "USER", "SCOPE", "NAME", "CREATED", "LAST USED", "STATE")


def print_keys(records: Sequence[KeyRecord]) -> None:
    """Print all keys, a row each."""
    print_table(_COLUMNS, [_row(record) for record in records])


def _row(record: KeyRecord) -> tuple[str, ...]:
    return (
        record.id,
        record.principal.subject,
        record.scope.value,
        record.name,
        time_text(record.created_s),
        time_text(record.last_used_s),
        "in use" if record.revoked_s is None else "revoked",
    )
