"""The command as a whole."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from mcptunnel import __version__
from mcptunnel.cli.main import COMMANDS, main


def test_version() -> None:
    assert CliRunner().invoke(main, ["--version"]).stdout == f"mcptunnel, version {__version__}\n"


def test_help_lists_every_command_with_examples() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert "Examples:\n    twistd -n mcptunnel-relay" in result.stdout
    for name in COMMANDS:
        assert f"\n  {name} " in result.stdout


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(name: str) -> None:
    result = CliRunner().invoke(main, [name, "-h"])
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: main {name}")


def test_an_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(main, ["nonsense"]).exit_code == 2


def test_a_command_imports_only_what_it_needs() -> None:
    """`--version` is quick, and no command line installs a reactor by importing."""
    code = """
import sys
from mcptunnel.cli.main import main
try:
    main(["--version"])
except SystemExit:
    pass
heavy = {"sqlalchemy", "alembic", "rich", "autobahn", "twisted.internet.reactor"}
print(sorted(heavy & set(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.endswith("\n[]\n")
