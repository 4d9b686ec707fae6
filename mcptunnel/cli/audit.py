"""`mcptunnel audit`: who did what at a relay."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcptunnel.cli.options import config_option, require_stdout
from mcptunnel.cli.table import print_table, time_text
from mcptunnel.config.load import load_relay
from mcptunnel.model import Principal

if TYPE_CHECKING:
    from mcptunnel.store.audit import Logged

_COLUMNS = ("AT", "EVENT", "USER", "CLIENT", "ADDRESS", "DETAIL")
_USUAL = 100
_MOST = 100_000

_EXAMPLES = """\b
Examples:
  mcptunnel audit --config relay.toml
  mcptunnel audit --config relay.toml --user alice --event consent.given
  mcptunnel audit --config relay.toml --json -n 100000 > audit.jsonl
"""


@click.command(epilog=_EXAMPLES)
@config_option("relay")
@click.option("--user", help="Only what concerns this user.")
@click.option(
    "--issuer", metavar="URL", help="Who vouches for the user; as for `mcptunnel users disable`."
)
@click.option("--event", help="Only events of this name, such as user.signed_in.")
@click.option(
    "-n",
    "--count",
    type=click.IntRange(1, _MOST),
    default=_USUAL,
    show_default=True,
    help="How many of the newest events.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object on each line.")
def audit(
    config: Path | None,
    user: str | None,
    issuer: str | None,
    event: str | None,
    count: int,
    as_json: bool,
) -> None:
    """Show who signed in, what they allowed, which keys were made: the audit log, oldest first.

    It is read from the relay's store, whether the relay runs or not.
    """
    # The database's libraries take a third of a second to import.
    from mcptunnel.store.audit import AuditLog  # noqa: PLC0415
    from mcptunnel.store.audit_json import audit_line  # noqa: PLC0415
    from mcptunnel.store.database import Database, location_of  # noqa: PLC0415

    relay = load_relay(config, os.environ, Path.cwd())
    principal = None if user is None else Principal(issuer or relay.auth.user_issuer, user)
    with Database(location_of(relay.state_dir, relay.store.url)) as database:
        found = database.read(
            lambda connection: AuditLog(connection).page(
                limit=count, principal=principal, event=event
            )
        )
    if as_json:
        require_stdout()
        click.echo("".join(map(audit_line, reversed(found))), nl=False)
        return
    print_table(_COLUMNS, _rows(found))


def _rows(found: Sequence["Logged"]) -> list[tuple[str, ...]]:
    return [
        (
            time_text(one.event.at_s),
            one.event.event,
            "-" if one.event.principal is None else one.event.principal.shown,
            one.event.client_id or "-",
            one.event.address or "-",
            json.dumps(one.event.detail) if one.event.detail else "-",
        )
        for one in reversed(found)
    ]
