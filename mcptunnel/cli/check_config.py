"""`mcptunnel check-config`: what a configuration means, or what is wrong with it."""

import os
from pathlib import Path

import click

from mcptunnel.agent.configuration import load
from mcptunnel.config.describe import describe
from mcptunnel.config.load import load_relay

_EXAMPLES = """\b
Examples:
  mcptunnel check-config relay relay.toml
  mcptunnel check-config agent agent.toml
"""


@click.command("check-config", epilog=_EXAMPLES)
@click.argument("program", type=click.Choice(["relay", "agent"]))
@click.argument("file", required=False, type=click.Path(path_type=Path))
def check_config(program: str, file: Path | None) -> None:
    """Check a configuration.

    Prints everything the relay or the agent would run with, secrets masked, and exits 0; or
    prints every problem with its remedy and exits 1.
    """
    if program == "relay":
        click.echo(describe(load_relay(file, os.environ, Path.cwd())), nl=False)
        return
    click.echo(describe(load(file, os.environ, Path.cwd())), nl=False)
