"""Many agents in one process: each a whole AgentService, with its folder, installation and connection.

    python -m tests.soak.agents FOLDER...

Every folder holds an agent.toml. One reactor runs them all, for 200 Python processes do not fit.
"""

import os
import random
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import globalLogBeginner, textFileLogObserver

from mcptunnel.agent.configuration import load
from mcptunnel.agent.connector import TUNNEL_PATH
from mcptunnel.agent.credential import ApiKey
from mcptunnel.agent.service import AgentService
from mcptunnel.config.agent import AgentConfig
from mcptunnel.net.collector import spare_what_is_here
from mcptunnel.net.dial import connect
from mcptunnel.net.link import Link, LinkReceiver


def agent(reactor: Any, config: AgentConfig) -> AgentService:
    """Return an agent as `agent.tap.makeService` makes it."""

    assert config.key is not None
    credential = ApiKey(config.key, "key_file")

    async def dial(receiver: LinkReceiver, timeout_s: float) -> Link:
        return await connect(
            config.relay + TUNNEL_PATH,
            receiver=receiver,
            reactor=reactor,
            headers={"Authorization": f"Bearer {await credential.bearer()}"},
            timeout_s=timeout_s,
        )

    def refused(error: object) -> None:
        print(f"an agent ends: {error}", flush=True)  # noqa: T201 - the orchestrator reads it

    return AgentService(
        reactor, config, dial=dial, credential=credential, random=random.random, refused=refused
    )


def main() -> None:
    """Run until SIGTERM."""
    from twisted.internet import reactor as installed  # noqa: PLC0415 - a program's reactor

    reactor: Any = installed
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)], redirectStandardIO=False)
    agents = []
    for folder in map(Path, sys.argv[1:]):
        os.chdir(folder)  # as each would be started there
        agents.append(agent(reactor, load(folder / "agent.toml", {}, folder)))

    def start() -> None:
        for one in agents:
            one.startService()

    def stop() -> Deferred[Any]:
        return DeferredList([Deferred.fromCoroutine(one.stopService()) for one in agents])

    reactor.callWhenRunning(start)
    reactor.addSystemEventTrigger("before", "shutdown", stop)
    spare_what_is_here(reactor)
    reactor.run()


if __name__ == "__main__":
    main()
