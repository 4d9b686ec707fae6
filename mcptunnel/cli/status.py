"""`mcptunnel status`: what a running relay is doing."""

import json
import os
from pathlib import Path

import click

from mcptunnel.cli.control import ControlClient
from mcptunnel.cli.options import CommandError, config_option, require_stdout
from mcptunnel.config.load import load_relay

SOCKET_NAME = "control.sock"

_EXAMPLES = """\b
Examples:
  mcptunnel status --config relay.toml
  mcptunnel status --config relay.toml --json
"""


@click.command(epilog=_EXAMPLES)
@config_option("relay")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def status(config: Path | None, *, as_json: bool) -> None:
    """Tell what the running relay is doing.

    It is draining from the order to stop until its last call has finished. The exit status is 1 when
    no relay runs.
    """
    relay = load_relay(config, os.environ, Path.cwd())
    require_stdout()
    client = ControlClient(relay.state_dir / SOCKET_NAME)
    if not client.is_live():
        raise CommandError(f"No relay runs with the state directory {relay.state_dir}.")
    told = client.request("GET", "/api/v1/status")
    if as_json:
        click.echo(json.dumps(told))
        return
    for name in ("state", "calls", "devices", "resuming"):
        click.echo(f"{name}: {told[name]}")
