"""`mcptunnel check-config`: what a configuration means, or what is wrong with it."""

import os
from pathlib import Path

import click

from mcptunnel.agent.configuration import load
from mcptunnel.cli.options import require_stdout
from mcptunnel.config.describe import describe
from mcptunnel.config.load import load_relay
from mcptunnel.config.surroundings import warnings

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
    prints every problem with its remedy and exits 1. What is missing on this machine, such as a
    program, is a warning on standard error.
    """
    config = (load_relay if program == "relay" else load)(file, os.environ, Path.cwd())
    require_stdout()
    click.echo(describe(config), nl=False)
    for warning in warnings(config, os.environ):
        click.echo(f"Warning: {warning}", err=True)
