"""A stdio server with processes and a clock of the test's."""

from typing import Any

from twisted.internet.task import Clock

from mcptunnel.agent.servers.stdio import StdioServer
from mcptunnel.config.agent import ServerConfig
from mcptunnel.model import Outcome
from tests.agent import CLIENT_INFO, STATES, Caller, tool_call
from tests.agent.servers import FakeProcess, Workshop


class Bench:
    """A server, its clock, its processes, and every status that it told."""

    def __init__(self, workshop: Workshop, *, probe: bool = True, **options: Any) -> None:
        self.clock = Clock()
        self.workshop = workshop
        self.states: list[str] = []
        settings = {"command": ("server", "--flag"), "timeout_s": 10.0, **options}
        config = ServerConfig(name="files", kind="stdio", **settings)
        self.server = StdioServer(
            self.clock,
            config,
            client_info=CLIENT_INFO,
            states=STATES,
            changed=self._changed,
            probe=probe,
        )

    def _changed(self) -> None:
        self.states.append(self.server.status.state)

    def started(self) -> FakeProcess:
        self.server.start()
        return self.workshop.last

    def call(self, name: str = "read", **arguments: Any) -> Caller:
        caller = Caller()
        self.server.call(tool_call(name, **arguments), caller)
        return caller

    def pass_seconds(self, count: float) -> None:
        self.clock.pump([0.5] * round(2 * count))


def failed(caller: Caller) -> tuple[str, Outcome]:
    assert caller.failure is not None
    return caller.failure.text, caller.failure.outcome
