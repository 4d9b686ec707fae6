"""Runs many agents in one process, each as its own program would: `many_agents.py CONFIG...`."""

import sys

from twisted.application.service import MultiService
from twisted.internet import reactor
from twisted.python import log

from mcptunnel.agent.tap import Options, makeService


def main() -> None:
    """Start them all, and run until the signal that ends the process."""
    log.startLogging(sys.stdout, setStdout=False)
    agents = MultiService()
    for path in sys.argv[1:]:
        options = Options()
        options.parseOptions(["--config", path])
        makeService(options).setServiceParent(agents)
    reactor.addSystemEventTrigger("before", "shutdown", agents.stopService)
    reactor.callWhenRunning(agents.startService)
    reactor.run()


if __name__ == "__main__":
    main()
