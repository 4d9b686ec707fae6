"""The `mcptunnel` command."""

import errno
from importlib import import_module
from typing import Any

import click

from mcptunnel import __version__
from mcptunnel.cli.options import CommandError, abandon_stdout
from mcptunnel.errors import McpTunnelError

COMMANDS = {
    "audit": "mcptunnel.cli.audit:audit",
    "check-config": "mcptunnel.cli.check_config:check_config",
    "demo": "mcptunnel.cli.demo:demo",
    "devices": "mcptunnel.cli.devices:devices",
    "grants": "mcptunnel.cli.grants:grants",
    "keys": "mcptunnel.cli.keys:keys",
    "login": "mcptunnel.cli.login:login",
    "logout": "mcptunnel.cli.logout:logout",
    "status": "mcptunnel.cli.status:status",
    "users": "mcptunnel.cli.users:users",
}
"""Where each command is; a module is only imported when its command is used."""


_EXAMPLES = """\b
Examples:
  twistd -n mcptunnel-relay --config relay.toml
  mcptunnel keys create --config relay.toml --user alice --scope agent -o agent.key
  twistd -n mcptunnel-agent --config agent.toml
  mcptunnel login relay.example.org
"""


class Commands(click.Group):
    """The commands of `COMMANDS`; tells this package's errors in one line each."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except McpTunnelError as error:
            raise CommandError.of(error) from error
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # click ends silently: whoever reads us has seen enough
            abandon_stdout()
            where = "" if error.filename is None else f"{error.filename}: "
            raise CommandError(f"{where}{error.strerror or error}.") from error


@click.group(
    cls=Commands, epilog=_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="mcptunnel")
def main() -> None:
    """Connect remote AI applications to the MCP servers on your own machine."""
