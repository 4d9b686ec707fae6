"""The `twistd mcptunnel-relay` command."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from twisted.application.service import IService
from twisted.logger import Logger

from mcptunnel.config.load import load_relay
from mcptunnel.config.options import ConfigOptions
from mcptunnel.config.relay import RelayConfig
from mcptunnel.errors import McpTunnelError
from mcptunnel.net.clock import use_steady_clock
from mcptunnel.net.collector import spare_what_is_here
from mcptunnel.net.listen import raise_file_limit

_log = Logger()


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

    from mcptunnel.net.stopping import StopOrder, obey_signals  # noqa: PLC0415 - after the reactor
    from mcptunnel.relay.service import RelayService  # noqa: PLC0415 - the same

    is_daemon = options.parent is not None and not options.parent["nodaemon"]
    told_at_start = _told_by_twistd if is_daemon else _told_here

    class Program(RelayService):
        """Tells what stops the start in one line, where a traceback would say less."""

        def privilegedStartService(self) -> None:
            with told_at_start():
                super().privilegedStartService()

        def startService(self) -> None:
            with told_at_start():
                super().startService()

    use_steady_clock(reactor)  # first of all: what is scheduled keeps the clock it was made with
    raise_file_limit()
    spare_what_is_here(reactor)
    order = StopOrder()
    reactor.callWhenRunning(obey_signals, reactor, order)
    with _told_here():  # twistd becomes a daemon only after this
        return Program(reactor, options.config, order)


@contextmanager
def _told_by_twistd() -> Iterator[None]:
    """Tell in the log. The shell waits until twistd tells it of an end, or of an Exception.

    SystemExit is none: the shell would wait for ever.
    """
    try:
        yield
    except McpTunnelError as error:
        _log.critical("{error}", error=str(error))
        raise error.with_traceback(None) from None  # Python writes a traceback below; a short one


@contextmanager
def _told_here() -> Iterator[None]:
    try:
        yield
    except McpTunnelError as error:
        if sys.__stderr__ is not None:  # sys.stderr is twistd's log by now
            print(f"mcptunnel-relay: {error}", file=sys.__stderr__)
        sys.exit(1)
