"""Programs for a test, and some that all tests share; their logs are shown when a test fails."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import pytest

from tests.programs import http_server
from tests.programs.client import Client
from tests.programs.programs import DEMO_SERVER, Agent, Estate, Relay

_FAILED = pytest.StashKey[bool]()


@dataclass(frozen=True, slots=True)
class Stage:
    """A relay that all tests may use, and alice's agent with servers of all kinds and eras."""

    estate: Estate
    relay: Relay
    agent: Agent
    key: str

    def client(self, version: str) -> Client:
        """Return a connected client of alice's."""
        return Client(self.relay.port, self.key, version).connect()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the logs of the programs under a failure."""
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
        funcargs = getattr(item, "funcargs", {})
        for name in ("estate", "stage"):
            owner = funcargs.get(name)
            estate = owner.estate if isinstance(owner, Stage) else owner
            if isinstance(estate, Estate):
                report.sections.append((f"programs of {name}", estate.told()))
    return report


@pytest.fixture
def estate(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    free_ports: Callable[[int], list[int]],
) -> Iterator[Estate]:
    """Programs of one test; stopping them cleanly is a part of it."""
    # Short, for the paths of sockets are bounded.
    estate = Estate(tmp_path_factory.mktemp("p"), free_ports)
    try:
        yield estate
        if not request.node.stash.get(_FAILED, False):
            estate.close()
    finally:
        estate.clean_up()


@pytest.fixture(scope="session")
def stage(
    tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]
) -> Iterator[Stage]:
    """The shared programs; stopped at the end with the same assertions."""
    estate = Estate(tmp_path_factory.mktemp("s"), free_ports)
    try:
        relay = estate.relay().start()
        web_port = estate.free_port()
        web = estate.program("web", http_server.command(web_port))
        web.wait_for("ready")
        key = relay.key("alice", "agent")
        servers = {
            "legacy": (*DEMO_SERVER, "--era", "legacy"),
            "modern": (*DEMO_SERVER, "--era", "modern"),
            "paged": (*DEMO_SERVER, "--page-size", "2"),
            "weblegacy": f"http://127.0.0.1:{web_port}/legacy",
            "webmodern": f"http://127.0.0.1:{web_port}/modern",
        }
        agent = estate.agent(relay, key, servers=servers).start()
        yield Stage(estate, relay, agent, relay.key("alice", "mcp"))
        estate.close()
    finally:
        estate.clean_up()
