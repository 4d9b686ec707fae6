"""Options that several commands share, and how the command line tells errors."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from mcptunnel.errors import McpTunnelError

_F = TypeVar("_F", bound=Callable[..., Any])


def config_option(program: str) -> Callable[[_F], _F]:
    """Return the `--config` option of a command that reads the configuration of `program`."""
    return click.option(
        "--config",
        "config",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help=f"The {program}'s configuration; else $MCPTUNNEL_CONFIG, else ./mcptunnel.toml.",
    )


class CommandError(click.ClickException):
    """An error that ends the command: its lines go to stderr, the exit status is 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file or sys.stderr)

    @classmethod
    def of(cls, error: McpTunnelError) -> "CommandError":
        return cls(str(error))
