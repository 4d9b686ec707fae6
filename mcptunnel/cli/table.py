"""Tables for people, or plain columns for programs."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from mcptunnel.cli.options import require_stdout


def print_list(
    found: Sequence[dict[str, Any]],
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    as_json: bool,
    nothing: str,
) -> None:
    """Print what was found, as a JSON array or as a table; of nothing it is said so, on stderr."""
    if as_json:
        require_stdout()
        click.echo(json.dumps(found, indent=2))
        return
    print_table(columns, rows)
    if not found:
        click.echo(nothing, err=True)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a rich table on a terminal, else columns that are separated by tabs, with a heading."""
    require_stdout()
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            click.echo("\t".join(row))
        return
    # rich takes a while to import, and only a terminal needs it.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(*columns)
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def time_text(moment_s: float | None) -> str:
    """Return a time as people read it, UTC."""
    if moment_s is None:
        return "-"
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%d %H:%MZ")
