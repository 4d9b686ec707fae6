"""The reference of the commands has every command and every option, and no other."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from mcptunnel.cli.main import main

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "commands.md").read_text(
    encoding="utf-8"
)


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that does something, with its full name."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from commands(found, f"{name} {child}")
    else:
        yield name, command


def test_every_command_has_its_section() -> None:
    headings = re.findall(r"^## `(mcptunnel .*)`$", PAGE, re.MULTILINE)
    assert sorted(headings) == sorted(name for name, _ in commands(main, "mcptunnel"))


def test_every_option_is_in_its_commands_table() -> None:
    for name, command in commands(main, "mcptunnel"):
        section = PAGE.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
        told = set(re.findall(r"^\| `.*?(--[a-z-]+)", section, re.MULTILINE))
        real = {
            max(parameter.opts, key=len)
            for parameter in command.params
            if isinstance(parameter, click.Option)
        }
        assert told == real, name
