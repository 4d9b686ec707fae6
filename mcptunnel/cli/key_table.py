"""Keys as a table for people, or as plain columns for programs."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from mcptunnel.auth.keys import KeyRecord
from mcptunnel.cli.options import require_stdout

_COLUMNS = ("ID", "USER", "SCOPE", "NAME", "CREATED", "LAST USED", "STATE")


def print_keys(records: Sequence[KeyRecord]) -> None:
    """Print a rich table on a terminal, else columns that are separated by tabs, with a heading."""
    require_stdout()
    rows = [_row(record) for record in records]
    if not sys.stdout.isatty():
        for row in (_COLUMNS, *rows):
            click.echo("\t".join(row))
        return
    # rich takes a while to import, and only a terminal needs it.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(*_COLUMNS)
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def _row(record: KeyRecord) -> tuple[str, ...]:
    return (
        record.id,
        record.principal.subject,
        record.scope.value,
        record.name,
        _time(record.created_s),
        _time(record.last_used_s),
        "in use" if record.revoked_s is None else "revoked",
    )


def _time(moment_s: float | None) -> str:
    if moment_s is None:
        return "-"
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%d %H:%MZ")
