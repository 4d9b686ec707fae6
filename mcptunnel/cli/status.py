"""`mcptunnel status`: the devices of a running relay."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from mcptunnel.cli.control import ControlClient, ControlError
from mcptunnel.cli.options import CommandError, config_option, require_stdout
from mcptunnel.cli.table import print_table, time_text
from mcptunnel.config.load import load_relay

SOCKET_NAME: Final = "control.sock"
_COLUMNS = ("DEVICE", "USER", "STATE", "ROUND TRIP", "LAST SEEN", "SERVERS")


@click.command()
@config_option("relay")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def status(config: Path | None, as_json: bool) -> None:
    """Tell which devices a running relay knows, whether they are connected, and how far away."""
    client = ControlClient(load_relay(config, os.environ, Path.cwd()).state_dir / SOCKET_NAME)
    if not client.is_live():
        raise CommandError("The relay does not run. Start it: twistd -n mcptunnel-relay")
    try:
        devices = client.request("GET", "/api/v1/devices")["devices"]
        rows = [_row(device) for device in devices]
    except (KeyError, TypeError, ValueError) as error:
        raise ControlError("the running relay is of another version") from error
    if as_json:
        require_stdout()
        click.echo(json.dumps(devices, indent=2))
        return
    print_table(_COLUMNS, rows)


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
