"""The `twistd mcptunnel-relay` command."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from twisted.application.service import IService

from mcptunnel.config.load import load_relay
from mcptunnel.config.options import ConfigOptions
from mcptunnel.config.relay import RelayConfig
from mcptunnel.errors import McpTunnelError
from mcptunnel.net.collector import spare_what_is_here
from mcptunnel.net.listen import raise_file_limit


class Options(ConfigOptions):
    """The command line of a relay."""

    section: ClassVar = RelayConfig
    load: ClassVar = staticmethod(load_relay)
    synopsis = "[--config relay.toml] [options]"
    longdesc = (
        "Run a relay: the public end of the tunnel, with the MCP endpoint at /mcp. "
        "Without --config the configuration comes from $MCPTUNNEL_CONFIG (a path, or the text "
        "itself), or from mcptunnel.toml or mcptunnel.json in the working directory."
    )


def makeService(options: Options) -> IService:
    """Return the relay's service. Exits with a message if it cannot be made."""
    from twisted.internet import reactor  # noqa: PLC0415 - so that --reactor is obeyed

    from mcptunnel.relay.service import RelayService  # noqa: PLC0415 - after the reactor

    class Program(RelayService):
        """Tells what stops the start in one line, where a traceback would say less."""

        def privilegedStartService(self) -> None:
            with _told():
                super().privilegedStartService()

        def startService(self) -> None:
            with _told():
                super().startService()

    raise_file_limit()
    spare_what_is_here(reactor)
    with _told():
        return Program(reactor, options.config)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except McpTunnelError as error:
        if sys.__stderr__ is not None:  # sys.stderr is twistd's log by now
            print(f"mcptunnel-relay: {error}", file=sys.__stderr__)
        sys.exit(1)
