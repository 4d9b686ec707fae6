"""Options that several commands share, and how the command line tells errors."""

import os
import shlex
import sys
from collections.abc import Callable
from contextlib import suppress
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


def issuer_option(command: _F) -> _F:
    """Add the `--issuer` option of a command that names a user."""
    option = click.option(
        "--issuer",
        metavar="URL",
        help="Who vouches for the user; else the provider of the configuration, else the relay itself.",
    )
    return option(command)


def config_words(config: Path | None) -> str:
    """Return the `--config` that was given, for a command that can be pasted."""
    return "" if config is None else f" --config {shlex.quote(str(config))}"


def require_stdout() -> None:
    """Raises CommandError if standard output was closed: then printing would be in vain, unseen."""
    # typeshed does not know that a closed descriptor gives None
    if getattr(sys, "stdout", None) is None:
        raise CommandError("Standard output is closed: there is nowhere to print to.")


def abandon_stdout() -> None:
    """Let what could not be written go: the interpreter would try again at its end, and complain."""
    with suppress(OSError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, sys.stdout.fileno())
        finally:
            os.close(nowhere)


class CommandError(click.ClickException):
    """An error that ends the command: its lines go to stderr, the exit status is 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file or sys.stderr)

    @classmethod
    def of(cls, error: McpTunnelError) -> "CommandError":
        return cls(str(error))
