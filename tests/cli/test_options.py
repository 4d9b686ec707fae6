"""Errors on the command line."""

from pathlib import Path

import click
from click.testing import CliRunner

from mcptunnel.cli.options import CommandError, config_option, config_words, issuer_option
from mcptunnel.errors import McpTunnelError


def test_an_error_is_its_own_lines_on_stderr() -> None:
    @click.command()
    def fail() -> None:
        raise CommandError.of(McpTunnelError("a.toml: x: first.\na.toml: y: second."))

    result = CliRunner().invoke(fail)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "a.toml: x: first.\na.toml: y: second.\n"


def test_the_config_option_is_a_path_or_nothing() -> None:
    @click.command()
    @config_option("relay")
    def show(config: object) -> None:
        click.echo(repr(config))

    assert "relay.toml" in CliRunner().invoke(show, ["--config", "relay.toml"]).stdout
    assert CliRunner().invoke(show, []).stdout == "None\n"


def test_the_issuer_option_is_a_text_or_nothing() -> None:
    @click.command()
    @issuer_option
    def show(issuer: object) -> None:
        click.echo(repr(issuer))

    assert CliRunner().invoke(show, ["--issuer", "https://idp"]).stdout == "'https://idp'\n"
    assert CliRunner().invoke(show, []).stdout == "None\n"


def test_the_configuration_that_was_given_is_told_for_the_shell() -> None:
    assert config_words(None) == ""
    assert config_words(Path("my relay.toml")) == " --config 'my relay.toml'"
