"""`mcptunnel devices`: which agents a relay knows, and which of them it lets in."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from mcptunnel.cli.device_book import DeviceBook, open_devices
from mcptunnel.cli.options import CommandError, config_option, config_words, issuer_option
from mcptunnel.cli.table import print_list, time_text
from mcptunnel.config.load import load_relay
from mcptunnel.model import Principal

_COLUMNS = ("NAME", "ID", "USER", "STATE", "FIRST SEEN", "LAST SEEN")

_MADE_ID = re.compile(r"[0-9a-f]{32}")
"""What our agents take for an id. Another agent may say whatever is like the name of somebody's device."""

_EXAMPLES = """\b
Examples:
  mcptunnel devices list --config relay.toml
  mcptunnel devices revoke --config relay.toml laptop
  mcptunnel devices allow --config relay.toml --user alice laptop
  mcptunnel devices forget --config relay.toml 0123456789abcdef0123456789abcdef
"""


@click.group(epilog=_EXAMPLES)
def devices() -> None:
    """List the devices on which agents ran, revoke them, allow them again, forget them.

    A DEVICE is the id of an installation, or its name if there is one of that name.

    Works with the store of the relay's configuration. A running relay is told, so that a device that is
    revoked is cut off at once.
    """


@devices.command("list")
@config_option("relay")
@click.option("--user", help="Only the devices of this user.")
@issuer_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_devices(config: Path | None, user: str | None, issuer: str | None, as_json: bool) -> None:
    """List all devices, in the order in which they first came. Only a running relay knows who is connected."""
    book, owner = _opened(config, user, issuer)
    with book:
        found = _of(owner, book.list())
    print_list(found, _COLUMNS, _rows(found), as_json=as_json, nothing="No device is known.")


@devices.command()
@config_option("relay")
@click.option("--user", help="Whose device it is.")
@issuer_option
@click.argument("name", metavar="DEVICE")
def revoke(config: Path | None, user: str | None, issuer: str | None, name: str) -> None:
    """Cut a device off, and end the sign-ins that it used.

    It comes in with nothing that is older than this. A person who signs in anew on it, or a new key, lets it in again. Keys are not revoked: one may serve
    many machines.
    """
    book, owner = _opened(config, user, issuer)
    with book:
        device = _chosen(_of(owner, book.list()), name, config)
        ended = book.revoke(_owner(device), device["id"])
    if ended is None:
        raise CommandError(_unknown(name, config))
    click.echo(f"Device {device['name']} of {_owner(device).shown} is revoked.", err=True)
    for line in _ended(ended, config):
        click.echo(line, err=True)


@devices.command()
@config_option("relay")
@click.option("--user", help="Whose device it is.")
@issuer_option
@click.argument("name", metavar="DEVICE")
def allow(config: Path | None, user: str | None, issuer: str | None, name: str) -> None:
    """Let a device in again that was revoked.

    The sign-ins that ended with it stay ended.
    """
    book, owner = _opened(config, user, issuer)
    with book:
        device = _chosen(_of(owner, book.list()), name, config)
        if not book.allow(_owner(device), device["id"]):
            raise CommandError(f"Device {device['name']} is not revoked.")
    click.echo(f"Device {device['name']} may come in again.", err=True)


@devices.command()
@config_option("relay")
@click.option("--user", help="Whose device it is.")
@issuer_option
@click.argument("name", metavar="DEVICE")
def forget(config: Path | None, user: str | None, issuer: str | None, name: str) -> None:
    """Know a device no more, and free the names of its tools.

    Only one that is not connected. It is a new device when it comes again. That it was revoked is forgotten, too.
    """
    book, owner = _opened(config, user, issuer)
    with book:
        device = _chosen(_of(owner, book.list()), name, config)
        if not book.forget(_owner(device), device["id"]):
            raise CommandError(_unknown(name, config))
    click.echo(f"Device {device['name']} is forgotten.", err=True)
    if device["revoked_s"] is not None:
        warning = "So is that it was revoked: a key that it used lets it in again, as a new device."
        click.echo(warning, err=True)


def _opened(
    config: Path | None, user: str | None, issuer: str | None
) -> tuple[DeviceBook, Principal | None]:
    if issuer is not None and user is None:
        raise click.UsageError("--issuer is only for --user.")
    relay = load_relay(config, os.environ, Path.cwd())
    owner = None if user is None else Principal(issuer or relay.auth.user_issuer, user)
    return open_devices(relay), owner


def _of(owner: Principal | None, found: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    return [one for one in found if owner in (None, _owner(one))]


def _owner(device: dict[str, Any]) -> Principal:
    return Principal(device["issuer"], device["user"])


def _chosen(found: Sequence[dict[str, Any]], name: str, config: Path | None) -> dict[str, Any]:
    """Return the device that is meant: an id goes before a name, which anybody may choose.

    An id may be chosen, too, so that it goes before the names of others only if it looks like one.
    """
    by_id = [one for one in found if one["id"] == name]
    named = [one for one in found if one["name"] == name]
    if by_id and not _MADE_ID.fullmatch(name):
        known = {_owner(one) for one in by_id}
        by_id += [one for one in named if _owner(one) not in known]
    meant = by_id or named
    if not meant:
        raise CommandError(_unknown(name, config))
    if len(meant) > 1:
        shown = " and ".join(f"{one['id']} of {_owner(one).shown}" for one in meant)
        ids = {one["id"] for one in meant}
        remedy = "Give the ID" if len(ids) == len(meant) and name not in ids else "Give --user"
        raise CommandError(f"{remedy}: {name} may be {shown}.")
    return meant[0]


def _unknown(name: str, config: Path | None) -> str:
    return f"There is no device {name}. See: mcptunnel devices list{config_words(config)}"


def _ended(ended: dict[str, Any], config: Path | None) -> Iterator[str]:
    """Say what ended with a device, for whom else, and what did not."""
    words, count = config_words(config), len(ended["grants"])
    if count:
        yield f"{count} {'sign-in has' if count == 1 else 'sign-ins have'} ended that it used."
    for other in ended["others"]:
        yield f"Device {other['name']} ({other['id']}) used the same sign-in, and has lost it, too."
    for key in ended["keys"]:
        called = f" ({key['name']})" if key["name"] else ""
        yield (
            f"Key {key['id']}{called} does not let it in any more, but still serves other devices, and"
            f" whoever calls itself another one. To end it: mcptunnel keys revoke{words} {key['id']}"
        )
    if not count and not ended["keys"]:
        yield (
            "What it came in with is over, or not known. To look for keys and sign-ins that its machine"
            f" may have: mcptunnel keys list{words}; mcptunnel grants list{words}"
        )


def _rows(found: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            one["name"],
            one["id"],
            _owner(one).shown,
            one["state"],
            time_text(one["first_seen_s"]),
            "now" if one["state"] == "connected" else time_text(one["last_seen_s"]),
        )
        for one in found
    ]
