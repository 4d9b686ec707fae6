"""A relay's hub and any number of agents, joined in memory: the whole tunnel without a socket.

    joined = Joined()
    joined.agent(MemoryServer("files", {"read": lambda arguments: "text"}))
    answer = joined.client().call("files__read", {"path": "a"})
    assert answer.text == "text"

Everything runs on `Joined.clock`. What the test does is carried to its end at once; time passes only
when the test says so. Programs are the real ones from the hub's requests to the agent's endpoint;
only links, local servers and the store are made of memory.
"""

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from msgspec import Raw
from twisted.internet.defer import succeed
from twisted.internet.task import Clock

import mcptunnel
from mcptunnel.agent.control import Announcer
from mcptunnel.agent.exchanges import Exchanges
from mcptunnel.agent.servers.interfaces import LocalServer
from mcptunnel.auth.keys import Scope
from mcptunnel.config.relay import HubConfig, LimitsConfig, RelayConfig
from mcptunnel.config.tunnel import TunnelConfig
from mcptunnel.mcp import jsonrpc, meta
from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification, Request
from mcptunnel.mcp.kinds import LISTED, Kind
from mcptunnel.mcp.meta import LogLevel, ProgressToken
from mcptunnel.mcp.names import Row
from mcptunnel.mcp.service import Running
from mcptunnel.mcp.versions import Era
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.net.exchange import Exchange
from mcptunnel.net.link import LinkLost
from mcptunnel.net.link_end import LinkEnd
from mcptunnel.net.memory import MemoryPair
from mcptunnel.net.tunnel import Tunnel, settings_of
from mcptunnel.relay.access import Access, access_of_key
from mcptunnel.relay.agents import Agents
from mcptunnel.relay.bearers import Bearers
from mcptunnel.relay.devices import Device, Devices
from mcptunnel.relay.draining import Draining
from mcptunnel.relay.hub.hub import Hub
from mcptunnel.relay.in_use import InUse
from mcptunnel.testing.local_server import MemoryServer
from mcptunnel.wire.constants import Role
from mcptunnel.wire.events import PeerGoingAway
from mcptunnel.wire.frames import Goaway, Hello, Welcome
from mcptunnel.wire.session import Session
from mcptunnel.wire.settings import Settings

START_S = 1_800_000_000.0
"""What the clock says at first."""


class Answer:
    """What a client of an era hears of one request (`mcp.service.Caller`)."""

    def __init__(self, joined: "Joined", era: Era = Era.MODERN) -> None:
        self._joined = joined
        self.era = era
        self.notifications: list[Notification] = []
        self.failure: JsonRpcError | None = None
        self.running: Running | None = None
        self._result: Raw | None = None

    @property
    def is_over(self) -> bool:
        return self._result is not None or self.failure is not None

    @property
    def value(self) -> Any:
        """The result, decoded. Raises the error that came instead, LookupError if nothing came."""
        if self.failure is not None:
            raise self.failure
        if self._result is None:
            raise LookupError("there is no answer yet")
        return jsonrpc.decode(self._result)

    @property
    def text(self) -> str:
        """The text of a tool's result. Raises as `value` does."""
        return "\n".join(part["text"] for part in self.value["content"])

    def cancel(self, reason: str = "the test gives up") -> None:
        """Give up, as a client that closes its stream."""
        if self.running is not None:
            self.running.cancel(reason)
        self._joined.settle()

    def hold(self, holding: bool) -> None:
        """Be a slow client (True), or one that reads again."""
        if self.running is not None:
            self.running.hold(holding)
        self._joined.settle()

    # The hub calls these.

    def result(self, result: Raw) -> None:
        assert not self.is_over, "a second answer"  # noqa: S101 - this is a test kit
        self._result = result

    def error(self, error: JsonRpcError) -> None:
        assert not self.is_over, "a second answer"  # noqa: S101 - the same
        self.failure = error

    def notification(self, message: Notification) -> None:
        assert not self.is_over, "news after the answer"  # noqa: S101 - the same
        self.notifications.append(message)


class MemoryClient:
    """A client of the hub that speaks the modern dialect; `capabilities` is what it declares.

    With `era` it is one that the front speaks for.
    """

    def __init__(self, joined: "Joined", access: Access) -> None:
        self._joined = joined
        self.access = access
        self.era = Era.MODERN
        self.capabilities: dict[str, Any] = {}

    def request(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        request_id: jsonrpc.RequestId = 1,
        progress_token: ProgressToken | None = None,
        log_level: LogLevel | None = None,
    ) -> Answer:
        """Send a request, and let everything happen that follows from it."""
        members = {name: jsonrpc.raw(value) for name, value in (params or {}).items()}
        members[meta.META] = jsonrpc.raw(
            meta.modern_meta(
                client_capabilities=jsonrpc.raw(self.capabilities),
                log_level=log_level,
                progress_token=progress_token,
            )
        )
        answer = Answer(self._joined, self.era)
        request = Request(request_id, method, members)
        answer.running = self._joined.hub.request(self.access, request, answer)
        self._joined.settle()
        return answer

    def call(
        self,
        tool: str,
        arguments: Any = None,
        *,
        request_id: jsonrpc.RequestId = 1,
        progress_token: ProgressToken | None = None,
    ) -> Answer:
        """Call a tool by the name that the hub gives it."""
        return self.request(
            "tools/call",
            {"name": tool, "arguments": arguments or {}},
            request_id=request_id,
            progress_token=progress_token,
        )

    def tools(self) -> list[str]:
        """Return the names of all tools but the hub's own, in their order."""
        listed = self.request("tools/list").value["tools"]
        return [tool["name"] for tool in listed if tool["name"] not in ("status", "restart")]

    def listed(self, kind: Kind) -> list[str]:
        """Return the names, URIs or templates of all things of a kind, in their order."""
        how = LISTED[kind]
        return [item[how.key] for item in self.request(how.method).value[how.member]]


class MemoryAgent:
    """An agent in memory (`net.owners.LinkOwner`, `net.owners.TunnelOwner`).

    `Joined.agent` makes and connects it. `welcome` is the relay's last greeting, `notices` what it said when it went away, `lost` how the
    tunnel ended; `opened` are all exchanges that the relay opened.
    """

    def __init__(
        self, reactor: Any, servers: dict[str, LocalServer], settings: Settings, hello: Hello
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._hello = hello
        self.servers = servers
        self.exchanges = Exchanges(reactor, servers, random=os.urandom)
        self.announcer = Announcer(lambda: [server.status for server in servers.values()])
        self.tunnel: Tunnel | None = None
        self.pair: MemoryPair | None = None
        self.welcome: Welcome | None = None
        self.lost: LinkLost | None = None
        self.resume_token = ""
        self.notices: list[PeerGoingAway | Goaway] = []
        self.opened: list[Exchange] = []

    def receiver(self) -> LinkEnd:
        """Return the receiver for a new link to the relay."""
        self.welcome = self.lost = None
        self.notices.clear()
        return LinkEnd(self._reactor, Role.AGENT, self._settings, self)

    # What the link tells us.

    def link_made(self, end: LinkEnd) -> None:
        hello, tunnel = self._hello, self.tunnel
        if tunnel is not None:
            hello = replace(
                hello,
                resume_token=self.resume_token,
                last_received=tunnel.session.received_count,
            )
        end.hello(hello)

    def peer_hello(self, end: LinkEnd, hello: Hello) -> None:
        """Never comes: the greeting refuses a HELLO from a relay."""

    def peer_welcome(self, end: LinkEnd, welcome: Welcome) -> None:
        self.welcome = welcome
        self.resume_token = welcome.resume_token
        old = self.tunnel
        if welcome.resumed and old is not None:
            old.resume(end, welcome.last_received)
            return
        if old is not None:
            old.lose(LinkLost(clean=True, code=None, text="not resumed"))
        session = Session(Role.AGENT, self._settings, welcome.limits, self._reactor.seconds())
        self.tunnel = tunnel = Tunnel(self._reactor, session, self)
        tunnel.join(end)
        self.announcer.attach(tunnel)

    def peer_refused(self, end: LinkEnd, refusal: Goaway) -> None:
        self.notices.append(refusal)

    def link_lost(self, end: LinkEnd, reason: LinkLost) -> None:
        self.lost = reason

    # What the tunnel tells us.

    def exchange_opened(self, exchange: Exchange) -> None:
        self.opened.append(exchange)
        self.exchanges.accept(exchange)

    def peer_going_away(self, tunnel: Tunnel, notice: PeerGoingAway) -> None:
        self.notices.append(notice)

    def tunnel_suspended(self, tunnel: Tunnel, reason: LinkLost) -> None:
        """`Joined.connect` takes it up again."""

    def tunnel_lost(self, tunnel: Tunnel, reason: LinkLost) -> None:
        self.tunnel = None
        self.lost = reason
        self.announcer.detach()


class Joined:
    """The relay's half in memory; `agent` and `client` add to it.

    The time of day is that of `clock`, and `epoch_step_s` by which somebody has set it.
    """

    def __init__(
        self,
        *,
        hub: HubConfig | None = None,
        limits: LimitsConfig | None = None,
        tunnel: TunnelConfig | None = None,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(START_S)
        self.epoch_step_s = 0.0
        self.config = RelayConfig(
            public_url="http://relay.test",
            state_dir=Path("unused"),
            hub=hub or HubConfig(),
            limits=limits or LimitsConfig(),
            tunnel=tunnel or TunnelConfig(),
        )
        self.forgotten: list[Device] = []
        self.names: dict[tuple[Principal, str], dict[str, Row]] = {}
        self.bearers = Bearers(self._names_changed)
        self.devices = Devices(self._changed, self.forgotten.append, self.bearers)
        self.hub = Hub(
            self.clock,
            self.config,
            self.devices,
            names_changed=self._names_changed,
            secret=lambda: b"the secret of a relay in memory.",
            epoch_s=self.epoch_s,
        )
        self.remembered: list[tuple[Device, float]] = []
        self._settings = settings_of(self.config.tunnel)
        self.draining = Draining()
        most = self.config.limits.max_user_requests
        self.in_use = InUse(self.clock, self.epoch_s, most_of_user=most)
        self.agents = self._make_agents()
        self._numbers = count(1)

    def _make_agents(self) -> Agents:
        return Agents(
            self.clock,
            self._settings,
            self.devices,
            self,
            self.draining,
            self.in_use,
            epoch_s=self.epoch_s,
        )

    def epoch_s(self) -> float:
        """Return the time of day."""
        return self.clock.seconds() + self.epoch_step_s

    def _changed(self, principal: Principal) -> None:
        self.hub.changed(principal)

    def _names_changed(
        self,
        principal: Principal,
        table_kind: str,
        bound: Sequence[Row],
        forgotten: Collection[str],
    ) -> None:
        """Keep names as a store would."""
        kept = self.names.setdefault((principal, table_kind), {})
        for name in forgotten:
            kept.pop(name, None)
        kept.update({row[0]: row for row in bound})

    def device_came(self, device: Device, access: Access, now_s: float) -> Any:
        """Note it (`relay.agents.Remembers`)."""
        return self.device_seen(device, now_s)

    def device_seen(self, device: Device, now_s: float) -> Any:
        """Note it (`relay.agents.Remembers`)."""
        self.remembered.append((device, now_s))
        return succeed(None)

    def access(
        self, user: str, scope: Scope, key_id: str = "", created_s: float = START_S
    ) -> Access:
        """Return what a valid key of a user gives."""
        key_id = key_id or f"{user}-{scope.value}"
        return access_of_key(Principal(LOCAL_ISSUER, user), key_id, scope, created_s)

    def client(self, user: str = "alice", key_id: str = "") -> MemoryClient:
        """Return a client of a user's."""
        return MemoryClient(self, self.access(user, Scope.MCP, key_id))

    def agent(
        self,
        *servers: MemoryServer,
        user: str = "alice",
        name: str = "laptop",
        installation_id: str = "",
        key_id: str = "",
        created_s: float = START_S,
        delay_s: float = 0.0,
    ) -> MemoryAgent:
        """Make an agent with these servers and connect it; without an id it is a new installation."""
        installation_id = installation_id or f"installation-{next(self._numbers):04}"
        agent = MemoryAgent(
            self.clock,
            {server.status.name: server for server in servers},
            self._settings,
            Hello(installation_id, name, mcptunnel.__version__),
        )
        for server in servers:
            server.changed = agent.announcer.announce
        self.connect(agent, user=user, key_id=key_id, created_s=created_s, delay_s=delay_s)
        return agent

    def connect(
        self,
        agent: MemoryAgent,
        *,
        user: str = "alice",
        key_id: str = "",
        created_s: float = START_S,
        delay_s: float = 0.0,
    ) -> None:
        """Connect an agent, for the first time or again; messages take `delay_s` each way.

        If both sides still hold the tunnel it is resumed. `created_s` is when its key was made.
        """
        relay = self.agents.receiver(self.access(user, Scope.AGENT, key_id, created_s))
        agent.pair = MemoryPair(relay, agent.receiver(), reactor=self.clock, delay_s=delay_s)
        agent.pair.open()
        self.settle()

    def cut(self, agent: MemoryAgent) -> None:
        """Break the agent's link: both sides hear of it, and hold the tunnel for the next one."""
        if agent.pair is not None:
            agent.pair.cut()
        self.settle()

    def lose(self, agent: MemoryAgent, text: str = "the connection was cut") -> None:
        """Break the agent's link for good: nobody waits for another."""
        if agent.pair is not None:
            agent.pair.cut(text)
        held = [device.tunnel for device in self.devices.everyone() if device.is_resuming]
        for tunnel in (agent.tunnel, *held):
            if tunnel is not None:
                tunnel.lose(LinkLost(clean=False, code=None, text=text))
        self.settle()

    def settle(self) -> None:
        """Let everything happen that is due now, and what follows from it at once."""
        self.clock.advance(0)

    def wait_s(self, seconds: float) -> None:
        """Let time pass, stopping wherever something is due."""
        end_s = self.clock.seconds() + seconds
        while (due := self.clock.getDelayedCalls()) and due[0].getTime() < end_s:
            self.clock.advance(max(0.0, due[0].getTime() - self.clock.seconds()))
        self.clock.advance(max(0.0, end_s - self.clock.seconds()))
