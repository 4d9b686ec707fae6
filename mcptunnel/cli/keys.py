"""`mcptunnel keys`: make, list and revoke API keys."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from mcptunnel.auth.keys import (
    MAX_LABEL_CHARS,
    KeyId,
    KeyRecord,
    Scope,
    is_label,
    record_to_json,
)
from mcptunnel.cli.key_table import print_keys
from mcptunnel.cli.keyring import KeyRing, open_keyring
from mcptunnel.cli.options import (
    CommandError,
    abandon_stdout,
    config_option,
    config_words,
    require_stdout,
)
from mcptunnel.config.load import load_relay

_EXAMPLES = """\b
Examples:
  mcptunnel keys create --config relay.toml --user alice --scope agent -o agent.key
  mcptunnel keys create --config relay.toml --user alice --scope mcp --name cursor
  mcptunnel keys list --config relay.toml
  mcptunnel keys revoke --config relay.toml abcdefghij23
"""


@click.group(epilog=_EXAMPLES)
def keys() -> None:
    """Make, list and revoke API keys.

    Works with the store of the relay's configuration. A running relay is told, so that a key that
    is revoked stops working at once.
    """


@keys.command()
@config_option("relay")
@click.option("--user", required=True, help="Whose key it is.")
@click.option(
    "--scope",
    required=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="agent: to connect an agent. mcp: for an MCP client.",
)
@click.option("--name", default="", help="What the key is for, to recognise it by.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the key to a new file that only you can read, instead of printing it.",
)
def create(config: Path | None, user: str, scope: str, name: str, output: Path | None) -> None:
    """Make a key and print it, alone, on standard output.

    It is shown this once: only its hash is stored.
    """
    for value, option in ((user, "--user"), (name, "--name")):
        if not is_label(value):
            raise CommandError(f"{option}: at most {MAX_LABEL_CHARS} printable characters.")
    if not user.strip():
        raise CommandError("--user: is empty.")
    if output is None:
        require_stdout()
    with _keyring(config) as ring, _opened(output) as out:
        issued = ring.create(user=user, scope=Scope(scope), name=name)
        try:
            click.echo(issued.text, file=out)
        except OSError as error:
            raise _unseen(ring, issued.record.id, error) from error
    written = "" if output is None else f" Written to {output}."
    click.echo(
        f"Key {issued.record.id} of {user}, scope {scope}.{written} It is not shown again.",
        err=True,
    )


def _unseen(ring: KeyRing, key_id: KeyId, error: OSError) -> CommandError:
    """Revoke a key that nobody saw, and return the error that says so."""
    ring.revoke(key_id)
    abandon_stdout()
    return CommandError(
        f"The key could not be written: {error.strerror}. Key {key_id} is revoked again."
    )


@keys.command("list")
@config_option("relay")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_keys(config: Path | None, as_json: bool) -> None:
    """List all keys, revoked ones included."""
    with _keyring(config) as ring:
        records = ring.list()
    if as_json:
        require_stdout()
        click.echo(json.dumps([record_to_json(record) for record in records], indent=2))
    else:
        print_keys(records)
        if not records:
            example = f"mcptunnel keys create{config_words(config)} --user NAME --scope agent"
            click.echo(f"There are no keys yet. Make one: {example}", err=True)


@keys.command()
@config_option("relay")
@click.argument("key_id", metavar="ID")
def revoke(config: Path | None, key_id: str) -> None:
    """End a key for good; what is connected with it is cut off at once."""
    with _keyring(config) as ring:
        if not ring.revoke(key_id):
            raise CommandError(_not_in_use(key_id, ring.list(), config))
    click.echo(f"Key {key_id} is revoked.", err=True)


def _not_in_use(wanted: str, records: Sequence[KeyRecord], config: Path | None) -> str:
    """Return why there was nothing to revoke: what was given may be another thing than an id."""
    if any(record.id == wanted for record in records):
        return f"Key {wanted} is already revoked."
    named = [record.id for record in records if record.name == wanted and not record.revoked_s]
    if named:
        return f"Give the ID: {wanted} is the name of key {' and of '.join(named)}."
    return f"There is no key {wanted}. See: mcptunnel keys list{config_words(config)}"


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[str] | None]:
    """Open the file before there is a key, so that none is made in vain."""
    if output is None:
        yield None
        return
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CommandError(f"{output}: {error.strerror}. Choose another file.") from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
    except BaseException:
        output.unlink()
        raise


def _keyring(config: Path | None) -> KeyRing:
    relay = load_relay(config, os.environ, Path.cwd())
    return open_keyring(relay.state_dir, relay.store.url, relay.auth.user_issuer)
