"""Announcements and orders, through a tunnel in memory."""

import json
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.agent import control
from mcptunnel.agent.connector import Connector
from mcptunnel.agent.control import AGENT_TARGET, Announcer, ControlCall
from mcptunnel.agent.credential import ApiKey
from mcptunnel.agent.servers.interfaces import LocalServer
from mcptunnel.config.secret import Secret
from mcptunnel.mcp.announcement import ServerState, ServerStatus
from mcptunnel.mcp.service import Asker
from mcptunnel.model import ExchangeKind, RequestHead
from mcptunnel.net.backoff import Backoff
from mcptunnel.net.exchange import Exchange
from mcptunnel.net.tunnel import Tunnel
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.frames import Hello, Welcome
from mcptunnel.wire.settings import Settings
from tests.agent.relay_end import RelayEnd, Told
from tests.conftest import Log


class FakeServer:
    """A local server that counts its restarts."""

    def __init__(self) -> None:
        self.restarts = 0
        self.trouble: Exception | None = None
        self.status = ServerStatus("server", "stdio", ServerState.READY, 1)

    async def restart(self) -> None:
        self.restarts += 1
        if self.trouble:
            raise self.trouble


class Agent:
    """An agent that has nothing but its control traffic (`connector.ConnectorOwner`)."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.clock = Clock()
        self.relay = RelayEnd(self.clock, settings)
        self.statuses = [ServerStatus("files", "stdio", ServerState.STARTING, 0, era="modern")]
        self.announcer = Announcer(lambda: self.statuses)
        self.servers = {"files": FakeServer(), "web": FakeServer()}
        self.revoked: list[Asker] = []
        connector = Connector(
            self.clock,
            self,
            dial=self.relay.dial,
            backoff=Backoff(lambda: 1.0),
            settings=Settings(),
            relay="https://relay.test",
            credential=ApiKey(Secret("mcpt_ak_x"), "key_file"),
        )
        self.running = Deferred.fromCoroutine(connector.run())
        self.relay.settle()

    def hello(self) -> Hello:
        return Hello("installation", "laptop", "1.0")

    def connected(self, tunnel: Tunnel, welcome: Welcome) -> None:
        self.announcer.attach(tunnel)

    def disconnected(self) -> None:
        self.announcer.detach()

    def exchange_opened(self, exchange: Exchange) -> None:
        servers = cast("dict[str, LocalServer]", self.servers)
        exchange.receiver = ControlCall(exchange, servers, self.revoked.append)

    def change(self, state: ServerState, revision: int) -> None:
        self.statuses = [ServerStatus("files", "stdio", state, revision)]
        self.announcer.announce()
        self.relay.settle()

    def order(self, body: object, path: str = "/restart") -> Told:
        return self.relay.send(AGENT_TARGET, body, path=path, kind=ExchangeKind.CONTROL)


@pytest.fixture
def agent() -> Agent:
    return Agent()


def announced(told: Told) -> Any:
    assert told.is_whole
    (server,) = told.json["servers"]
    return server["state"], server["revision"]


def test_everything_is_told_as_soon_as_the_tunnel_is_there(agent: Agent) -> None:
    (told,) = agent.relay.told
    assert told.exchange is not None
    request = told.exchange.request
    assert (request.target, request.method, request.path) == ("@relay", "POST", "/servers")
    assert request.kind is ExchangeKind.CONTROL
    assert told.json == {
        "servers": [
            {
                "name": "files",
                "kind": "stdio",
                "state": "starting",
                "revision": 0,
                "prefix": None,
                "detail": "",
                "era": "modern",
                "version": "",
                "restarts": 0,
            }
        ]
    }


def test_changes_while_one_announcement_runs_make_one_more_with_the_newest_state(
    agent: Agent,
) -> None:
    for revision in range(1, 50):
        agent.change(ServerState.READY, revision)
    assert len(agent.relay.told) == 1
    agent.relay.told[0].accept()
    agent.relay.settle()
    _, newest = agent.relay.told
    assert announced(newest) == ("ready", 49)
    newest.accept()
    agent.relay.settle()
    assert len(agent.relay.told) == 2
    agent.change(ServerState.FAILED, 49)
    assert announced(agent.relay.told[2]) == ("failed", 49)


def test_without_a_tunnel_nothing_is_told_and_the_next_one_hears_everything(
    agent: Agent,
) -> None:
    agent.relay.resumes = False
    agent.relay.pairs[0].cut()
    agent.change(ServerState.READY, 7)
    assert len(agent.relay.told) == 1
    agent.clock.advance(1.0)
    agent.relay.settle()
    assert announced(agent.relay.told[1]) == ("ready", 7)


def test_a_change_while_there_is_no_link_is_told_over_the_next_one(agent: Agent) -> None:
    """The tunnel is resumed, and nothing that was announced is lost or told twice."""
    agent.relay.told[0].accept()
    agent.relay.settle()
    agent.relay.pairs[0].cut()
    agent.relay.settle()
    agent.change(ServerState.READY, 7)
    assert len(agent.relay.told) == 1
    agent.clock.advance(1.0)
    agent.relay.settle()
    assert [announced(told) for told in agent.relay.told[1:]] == [("ready", 7)]


def test_a_tunnel_that_is_going_away_hears_no_more(agent: Agent) -> None:
    agent.relay.told[0].accept()
    agent.relay.tunnels[0].go_away(ErrorCode.SHUTDOWN)
    agent.relay.settle()
    agent.change(ServerState.READY, 1)
    assert len(agent.relay.told) == 1


def test_a_relay_that_does_not_take_it_is_told_the_next_change(agent: Agent, log: Log) -> None:
    agent.relay.told[0].accept(400)
    agent.relay.settle()
    assert "the relay did not take our servers: 400" in log
    agent.change(ServerState.READY, 1)
    second = agent.relay.told[1]
    assert second.exchange is not None
    second.exchange.reset(ErrorCode.LIMIT_EXCEEDED, "\x1b[31mtoo\nlarge")
    agent.relay.settle()
    assert "the relay did not take our servers: [31mtoo large" in log
    agent.change(ServerState.READY, 2)
    assert announced(agent.relay.told[2]) == ("ready", 2)


def test_a_relay_that_takes_no_exchange_at_all_keeps_its_tunnel(log: Log) -> None:
    agent = Agent(Settings(max_streams=0))
    assert not agent.relay.told
    assert not agent.relay.losses
    assert "the relay did not take our servers: " in log


@pytest.mark.parametrize(
    ("order", "counts", "said"),
    [
        ({"server": "files"}, (1, 0), "restarting files"),
        ({"server": None}, (1, 1), "restarting files, web"),
        ({}, (1, 1), "restarting files, web"),
    ],
)
def test_configured_servers_can_be_restarted(
    agent: Agent, order: object, counts: tuple[int, int], said: str
) -> None:
    told = agent.order(order)
    assert told.head is not None
    assert told.head.status == 200
    assert told.json == {"message": said}
    assert tuple(server.restarts for server in agent.servers.values()) == counts


def test_what_was_wrong_with_a_server_is_told_with_its_restart(agent: Agent) -> None:
    detail = "cannot start 'npxx': no such program in PATH"
    agent.servers["web"].status = ServerStatus("web", "stdio", ServerState.FAILED, 1, None, detail)
    told = agent.order({}).json["message"]
    assert told == f"restarting files, web. The last error of web: {detail}"


def test_an_unknown_server_is_answered_with_those_that_there_are(agent: Agent) -> None:
    told = agent.order({"server": "nix"}).json["message"]
    assert told == "no server is called 'nix'; there are: files, web"


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ({"server": "rm -rf"}, 404),
        ({"server": ["files"]}, 400),
        ({"server": "files", "command": ["rm"]}, 400),
        ([], 400),
        (b"", 400),
        (b'{"server":"\xff"}', 400),
    ],
)
def test_nothing_else_can_be_ordered(agent: Agent, order: object, status: int) -> None:
    told = agent.order(order)
    assert told.head is not None
    assert told.head.status == status
    assert told.is_whole
    assert all(server.restarts == 0 for server in agent.servers.values())


def test_other_paths_hold_no_orders(agent: Agent) -> None:
    told = agent.order({}, "/run")
    assert told.head is not None
    assert told.head.status == 404
    assert told.json == {"message": "unknown order POST /run"}


def test_the_relay_tells_whose_access_was_revoked(agent: Agent) -> None:
    """By the head alone, as the head of that client's requests names it."""
    told, kind = Told(), ExchangeKind.CONTROL
    head = RequestHead(AGENT_TARGET, "POST", "/revoked", (), "local|ken", "key:1", kind)
    agent.relay.tunnels[-1].open(head, told).end()
    agent.relay.settle()
    assert told.head is not None
    assert told.head.status == 200
    assert agent.revoked == [Asker("local|ken", "key:1")]


def test_an_order_without_end_is_refused(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_CONTROL_BYTES", 10)
    told = agent.order({"server": "f" * 100})
    assert told.failure is not None
    assert told.failure.text == "The order is too large."


def test_a_restart_that_fails_is_logged(agent: Agent, logged_failures: Any) -> None:
    agent.servers["files"].trouble = OSError("no")
    assert json.loads(agent.order({}).body)
    assert logged_failures.take(OSError)
    assert agent.servers["web"].restarts == 1


def test_an_agent_that_stops_asks_no_more_for_an_answer(agent: Agent) -> None:
    """So that its own announcement is not taken for a call that has to finish."""
    (told,) = agent.relay.told
    agent.announcer.detach()
    agent.relay.settle()
    assert told.failure is not None
    assert told.failure.code is ErrorCode.CANCEL
    agent.announcer.announce()
    agent.relay.settle()
    assert len(agent.relay.told) == 1
