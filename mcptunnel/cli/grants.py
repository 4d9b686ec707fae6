"""`mcptunnel grants`: which clients and agents act for whom at a relay."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mcptunnel.cli.grant_book import GrantBook, open_grants
from mcptunnel.cli.options import CommandError, config_option
from mcptunnel.cli.table import print_list, time_text
from mcptunnel.config.load import load_relay
from mcptunnel.config.relay import RelayConfig
from mcptunnel.model import Principal

_COLUMNS = ("ID", "USER", "CLIENT", "DEVICES", "FOR", "SINCE", "LAST USED", "UNTIL")

_EXAMPLES = """\b
Examples:
  mcptunnel grants list --config relay.toml
  mcptunnel grants revoke --config relay.toml 0123456789abcdef0123456789abcdef
  mcptunnel grants revoke --config relay.toml --client mcptunnel-agent --user alice
"""


@click.group(epilog=_EXAMPLES)
def grants() -> None:
    """List what people have allowed to clients and agents, and take it back.

    Works with the store of the relay's configuration. A running relay is told, so that what is taken
    back ends at once.
    """


@grants.command("list")
@config_option("relay")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_grants(config: Path | None, as_json: bool) -> None:
    """List all grants that are in force, oldest first."""
    _, book = _opened(config)
    with book:
        found = book.list()
    nothing = "Nothing is allowed to any client or agent."
    print_list(found, _COLUMNS, _rows(found), as_json=as_json, nothing=nothing)


@grants.command()
@config_option("relay")
@click.option("--client", metavar="ID", help="All that this client was granted, in place of one.")
@click.option("--user", help="With --client: by this user alone.")
@click.option(
    "--issuer", metavar="URL", help="Who vouches for the user; as for `mcptunnel users disable`."
)
@click.argument("grant_id", metavar="ID", required=False)
def revoke(
    config: Path | None,
    client: str | None,
    user: str | None,
    issuer: str | None,
    grant_id: str | None,
) -> None:
    """End a grant, or all of a client; what is open on its strength is cut off at once.

    Of a client without --user the registration goes, too, if it registered itself.
    """
    if (client is None) == (grant_id is None):
        raise click.UsageError("Give the ID of a grant, or --client.")
    if user is not None and client is None:
        raise click.UsageError("--user is only for --client.")
    relay, book = _opened(config)
    with book:
        if client is None:
            ended = book.take_back_grant(grant_id or "")
        else:
            whose = None if user is None else Principal(issuer or relay.auth.user_issuer, user)
            ended = book.take_back_client(client, whose)
    if not ended:
        raise CommandError("There is no such grant in force. See: mcptunnel grants list")
    click.echo(f"{ended} {'grant is' if ended == 1 else 'grants are'} taken back.", err=True)


def _opened(config: Path | None) -> tuple[RelayConfig, GrantBook]:
    relay = load_relay(config, os.environ, Path.cwd())
    return relay, open_grants(relay)


def _rows(found: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            one["id"],
            Principal(one["issuer"], one["user"]).shown,
            one["client_id"],
            ", ".join(device["name"] for device in one["devices"]) or "-",
            one["resource"],
            time_text(one["created_s"]),
            time_text(one["last_used_s"]),
            time_text(one["expires_s"]),
        )
        for one in found
    ]
