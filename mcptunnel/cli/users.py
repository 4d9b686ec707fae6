"""`mcptunnel users`: who may sign in at a relay."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mcptunnel.cli.options import (
    CommandError,
    config_option,
    config_words,
    issuer_option,
    require_stdout,
)
from mcptunnel.cli.table import print_list, time_text
from mcptunnel.cli.user_book import UserBook, open_users
from mcptunnel.config.load import load_relay
from mcptunnel.config.relay import RelayConfig
from mcptunnel.model import LOCAL_ISSUER, Principal

_COLUMNS = ("USER", "NAME", "E-MAIL", "CREATED", "LAST SEEN", "STATE")

_EXAMPLES = """\b
Examples:
  mcptunnel users list --config relay.toml
  mcptunnel users invite --config relay.toml
  mcptunnel users disable --config relay.toml bob
"""


@click.group(epilog=_EXAMPLES)
def users() -> None:
    """Invite users, keep them out, let them in again.

    Works with the store of the relay's configuration. A running relay is told, so that whoever is kept
    out is cut off at once.
    """


@users.command("list")
@config_option("relay")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_users(config: Path | None, as_json: bool) -> None:
    """List everybody who has signed in, those who are kept out included."""
    _, book = _opened(config)
    with book:
        found = book.list()
    print_list(found, _COLUMNS, _rows(found), as_json=as_json, nothing="Nobody has signed in yet.")


@users.command()
@config_option("relay")
@click.option("--name", help="The user name; else the person chooses one.")
def invite(config: Path | None, name: str | None) -> None:
    """Print a link for one new user. It is good once, for 7 days."""
    _print_link(config, "invite", name)


@users.command("setup-link")
@config_option("relay")
def setup_link(config: Path | None) -> None:
    """Print a link for the first user. It is good once, for 15 minutes."""
    _print_link(config, "setup-link", None)


@users.command("reset-password")
@config_option("relay")
@click.argument("name", metavar="USER")
def reset_password(config: Path | None, name: str) -> None:
    """Print a link to choose another password. It is good once, for a day."""
    _print_link(config, "reset-password", name)


@users.command()
@config_option("relay")
@issuer_option
@click.argument("name", metavar="USER")
def disable(config: Path | None, issuer: str | None, name: str) -> None:
    """Keep a user out. What they have open ends at once; keys do not work any more."""
    _change(config, "disable", issuer, name)
    click.echo(f"User {name} is kept out.", err=True)


@users.command()
@config_option("relay")
@issuer_option
@click.argument("name", metavar="USER")
def enable(config: Path | None, issuer: str | None, name: str) -> None:
    """Let a user in again who was kept out."""
    _change(config, "enable", issuer, name)
    click.echo(f"User {name} may sign in again.", err=True)


@users.command()
@config_option("relay")
@issuer_option
@click.argument("name", metavar="USER")
def remove(config: Path | None, issuer: str | None, name: str) -> None:
    """Forget a user with password and keys. At a provider they may still come again, as a new user."""
    _change(config, "remove", issuer, name)
    click.echo(f"User {name} is removed.", err=True)


def _opened(config: Path | None) -> tuple[RelayConfig, UserBook]:
    relay = load_relay(config, os.environ, Path.cwd())
    return relay, open_users(relay)


def _print_link(config: Path | None, which: str, name: str | None) -> None:
    require_stdout()
    _, book = _opened(config)
    with book:
        url, expires_s = book.make_link(which, name)
    click.echo(url)
    click.echo(f"Good once, until {time_text(expires_s)}. It is not shown again.", err=True)


def _change(config: Path | None, how: str, issuer: str | None, name: str) -> None:
    relay, book = _opened(config)
    principal = Principal(issuer or relay.auth.user_issuer, name)
    with book:
        if not book.change(how, principal):
            raise CommandError(_unchanged(how, principal, book.list(), config))


def _unchanged(
    how: str, principal: Principal, found: Sequence[dict[str, Any]], config: Path | None
) -> str:
    """Return why nothing was changed: what was given may be the name that is shown, not the user."""
    name = principal.subject
    same = [one for one in found if one["user"] == name]
    if any(one["issuer"] == principal.issuer for one in same):
        return f"User {name} is {'already' if how == 'disable' else 'not'} kept out."
    if same:
        return f"Give --issuer: {name} is a user of {' and of '.join(u['issuer'] for u in same)}."
    shown = [one["user"] for one in found if one["name"] == name]
    if shown:
        return f"Give the user: {name} is the name of {' and of '.join(shown)}."
    return f"There is no user {name}. See: mcptunnel users list{config_words(config)}"


def _rows(found: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            one["user"] if one["issuer"] == LOCAL_ISSUER else f"{one['issuer']}|{one['user']}",
            one["name"],
            one["email"] or "-",
            time_text(one["created_s"]),
            time_text(one["last_seen_s"]),
            "in use" if one["disabled_s"] is None else "kept out",
        )
        for one in found
    ]
