"""`mcptunnel check-config`: what a configuration means, or what is wrong with it."""

import os
from pathlib import Path

import click

from mcptunnel.auth import keys
from mcptunnel.config.agent import AgentConfig
from mcptunnel.config.describe import describe
from mcptunnel.config.errors import ConfigError, Problem
from mcptunnel.config.load import load_agent, load_relay

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
    config = load_agent(file, os.environ, Path.cwd())
    check_key(config, str(file or "configuration"))
    click.echo(describe(config), nl=False)


def check_key(config: AgentConfig, source: str) -> None:
    """Raise `ConfigError` when the agent's key is an API key with a typing error in it."""
    text = config.key.reveal()
    if keys.parse(text) is None:
        raise ConfigError(
            [
                Problem(
                    source,
                    "key_file" if config.key_file else "key",
                    "is not a whole API key (mcpt_ak_…), or has a typing error in it",
                    "Copy it again, or make one with: mcptunnel keys create --scope agent",
                )
            ]
        )
