"""The `twistd mcptunnel-agent` command."""

import atexit
import os
import sys
from random import random
from typing import Any, ClassVar

from twisted.application.service import IService

from mcptunnel.agent.configuration import load
from mcptunnel.agent.credential import ApiKey, Credential
from mcptunnel.config.agent import AgentConfig
from mcptunnel.config.agent_key import key_place
from mcptunnel.config.options import ConfigOptions
from mcptunnel.errors import McpTunnelError
from mcptunnel.net.clock import use_steady_clock


class Options(ConfigOptions):
    """The command line of an agent."""

    section: ClassVar = AgentConfig
    load: ClassVar = staticmethod(load)
    synopsis = "[--config agent.toml] [options]"
    longdesc = (
        "Run an agent: it connects to a relay and keeps the local MCP servers running. "
        "Without --config the configuration comes from $MCPTUNNEL_CONFIG (a path, or the text "
        "itself), or from mcptunnel.toml or mcptunnel.json in the working directory. "
        "The key comes from the file, its key_file, or $MCPTUNNEL_KEY; without one the agent is let "
        "in with what `mcptunnel login` signed in for. No browser is ever opened here."
    )


def makeService(options: Options) -> IService:
    """Return the agent's service. Exits with a message if it cannot be made."""
    from twisted.internet import reactor  # noqa: PLC0415 - so that --reactor is obeyed

    from mcptunnel.agent.connector import TUNNEL_PATH  # noqa: PLC0415 - after the reactor
    from mcptunnel.agent.service import AgentService  # noqa: PLC0415 - the same
    from mcptunnel.net.collector import spare_what_is_here  # noqa: PLC0415 - the same
    from mcptunnel.net.dial import connect  # noqa: PLC0415 - the same
    from mcptunnel.net.link import Link, LinkReceiver  # noqa: PLC0415 - the same
    from mcptunnel.net.stopping import StopOrder, obey_signals  # noqa: PLC0415 - the same

    use_steady_clock(reactor)  # first of all: what is scheduled keeps the clock it was made with
    config: AgentConfig = options.config
    spare_what_is_here(reactor)
    credential = _credential(reactor, config)

    async def dial(receiver: LinkReceiver, timeout_s: float) -> Link:
        return await connect(
            config.relay + TUNNEL_PATH,
            receiver=receiver,
            reactor=reactor,
            headers={"Authorization": f"Bearer {await credential.bearer()}"},
            timeout_s=timeout_s,
        )

    order = StopOrder()
    reactor.callWhenRunning(obey_signals, reactor, order)
    try:
        return AgentService(
            reactor,
            config,
            dial=dial,
            credential=credential,
            random=random,
            refused=lambda error: _end(reactor, error),
            order=order,
        )
    except McpTunnelError as error:
        sys.exit(str(error))


def _credential(reactor: Any, config: AgentConfig) -> Credential:
    """Return the key, which goes before a sign-in, or that."""
    if config.key is not None:
        return ApiKey(config.key, key_place(config, os.environ))
    from mcptunnel.agent.sign_in.signed_in import signed_in  # noqa: PLC0415 - after the reactor

    return signed_in(reactor, config.relay)


def _end(reactor: Any, error: McpTunnelError) -> None:
    """Stop, tell why on the terminal, and let the exit status say that something is wrong."""
    if sys.__stderr__ is not None:  # sys.stderr is twistd's log
        print(f"mcptunnel-agent: {error}", file=sys.__stderr__)
    # twistd always exits with 0; a supervisor must be able to tell this end from a wanted one.
    atexit.register(os._exit, 1)
    reactor.callWhenRunning(reactor.stop)
