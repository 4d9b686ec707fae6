"""`mcptunnel status`: what a running relay is doing, and its devices."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from mcptunnel.cli.books import control_of
from mcptunnel.cli.control import ControlError
from mcptunnel.cli.options import CommandError, config_option, require_stdout
from mcptunnel.cli.table import print_table, time_text
from mcptunnel.config.load import load_relay

_COLUMNS = ("DEVICE", "USER", "STATE", "ROUND TRIP", "LAST SEEN", "SERVERS")


_EXAMPLES = """\b
Examples:
  mcptunnel status --config relay.toml
  mcptunnel status --config relay.toml --json
"""


@click.command(epilog=_EXAMPLES)
@config_option("relay")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def status(config: Path | None, *, as_json: bool) -> None:
    """Tell what the running relay is doing, and which devices it knows.

    It is draining from the order to stop until its last call has finished. The exit status is 1 when
    no relay runs.
    """
    relay = load_relay(config, os.environ, Path.cwd())
    require_stdout()
    client = control_of(relay)
    if not client.is_live():
        raise CommandError(f"No relay runs with the state directory {relay.state_dir}.")
    try:
        told = client.request("GET", "/api/v1/status")
        devices = client.request("GET", "/api/v1/devices")["devices"]
        summary = _summary(told)
        rows = [_row(device) for device in devices]
    except (KeyError, TypeError, ValueError) as error:
        raise ControlError("the running relay is of another version") from error
    if as_json:
        whole = {"state": told["state"], "calls": told["calls"], "devices": devices}
        click.echo(json.dumps(whole, indent=2))
        return
    click.echo(summary)
    print_table(_COLUMNS, rows)


def _summary(told: Mapping[str, Any]) -> str:
    return (
        f"The relay is {told['state']}: {told['calls']} calls, "
        f"{told['devices']} devices connected, {told['resuming']} expected back."
    )


def _row(device: Mapping[str, Any]) -> tuple[str, ...]:
    is_connected = device["state"] == "connected"
    round_trip_ms = device["round_trip_ms"]
    servers = (
        each["name"] if each["state"] == "ready" else f"{each['name']} ({each['state']})"
        for each in device["servers"]
    )
    return (
        device["name"],
        device["user"],
        device["state"],
        "-" if round_trip_ms is None else f"{round_trip_ms:g} ms",
        "now" if is_connected else time_text(device["last_seen_s"]),
        ", ".join(servers),
    )
