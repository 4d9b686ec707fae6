"""The endpoint of one server on a memory link, with a server in memory, and HTTP clients of it."""

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Raw
from twisted.internet.task import Clock

from mcptunnel.agent.exchanges import Exchanges
from mcptunnel.agent.servers.interfaces import LocalCall
from mcptunnel.mcp import sse
from mcptunnel.mcp.calls import CallReceiver
from mcptunnel.mcp.jsonrpc import Request
from mcptunnel.mcp.meta import SERVER_INFO
from mcptunnel.mcp.service import NOBODY, Asker
from mcptunnel.model import ExchangeKind, Headers, RequestHead, header
from mcptunnel.net.exchange import Exchange
from mcptunnel.net.link_end import LinkEnd
from mcptunnel.net.memory import MemoryPair
from mcptunnel.net.tunnel import Tunnel
from mcptunnel.testing.local_server import MemoryServer, WaitingCall
from mcptunnel.wire.constants import Role
from mcptunnel.wire.frames import Hello, Welcome
from mcptunnel.wire.session import Session
from mcptunnel.wire.settings import Settings
from tests.agent.relay_end import RelayEnd, Told

FINAL = Settings(resume_window_s=0, closed_link_window_s=0)
MODERN, LEGACY = "2026-07-28", "2025-11-25"
JSON_FIELDS = (
    ("content-type", "application/json"),
    ("accept", "application/json, text/event-stream"),
)


class AgentEnd:
    """An agent with one server (`net.owners.LinkOwner`, `net.owners.TunnelOwner`)."""

    def __init__(self, clock: Clock, exchanges: Exchanges, settings: Settings) -> None:
        self._clock = clock
        self._exchanges = exchanges
        self._settings = settings

    def link_made(self, end: LinkEnd) -> None:
        end.hello(Hello("installation-0001", "laptop", "1", limits=self._settings.limits))

    def peer_welcome(self, end: LinkEnd, welcome: Welcome) -> None:
        session = Session(Role.AGENT, self._settings, welcome.limits, self._clock.seconds())
        Tunnel(self._clock, session, self).join(end)

    def exchange_opened(self, exchange: Exchange) -> None:
        self._exchanges.accept(exchange)

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


class Server(MemoryServer):
    """A server that says who it is; `annotated` are headers that its tool `echo` repeats arguments in."""

    def __init__(self) -> None:
        super().__init__("files", {"wait": None, "echo": str})
        self.annotated: dict[str, str] = {}
        self.askers: list[Asker] = []

    def call(self, request: Request, receiver: CallReceiver, asker: Asker = NOBODY) -> LocalCall:
        self.askers.append(asker)
        if request.method != "server/discover":
            return super().call(request, receiver, asker)
        call = WaitingCall(request, receiver, asker)
        call.answer(
            {
                "resultType": "complete",
                "supportedVersions": [MODERN],
                "capabilities": {"tools": {"listChanged": True}},
                "_meta": {SERVER_INFO: {"name": "memory", "version": "1"}},
            }
        )
        return call

    def page(self, cursor: Raw | None = None) -> dict[str, Any]:
        page = super().page(cursor)
        for tool in page["tools"]:
            if tool["name"] == "echo" and self.annotated:
                tool["inputSchema"]["properties"] = {
                    name: {"type": "string", "x-mcp-header": header}
                    for name, header in self.annotated.items()
                }
        return page


class HttpTold(Told):
    """An HTTP answer; `takes` says whether it is read."""

    takes = True

    def data_received(self, data: bytes) -> None:
        self.body += data
        if self.takes and self.exchange is not None:
            self.exchange.consumed(len(data))

    @property
    def status(self) -> int:
        assert self.head is not None
        return self.head.status

    def field(self, name: str) -> str | None:
        assert self.head is not None
        return header(self.head.headers, name)

    @property
    def messages(self) -> list[Any]:
        """The messages of an event stream."""
        found = sse.Parser(1 << 30).feed(self.body)
        return [json.loads(event.data) for event in found if event.data]


class Stage:
    """`server` and everything between it and its clients."""

    def __init__(self, settings: Settings = FINAL) -> None:
        self.server = Server()
        self.relay = RelayEnd(Clock(), settings)
        self.clock = clock = self.relay.clock
        self._randoms = 0
        self.exchanges = Exchanges(
            clock, {"files": self.server}, random=self._random, max_request_bytes=100_000
        )
        agent = LinkEnd(clock, Role.AGENT, settings, AgentEnd(clock, self.exchanges, settings))
        self.pair = MemoryPair(agent, self.relay.taken_in(), reactor=clock)
        self.pair.open()
        self.relay.settle()

    def _random(self, count: int) -> bytes:
        self._randoms += 1
        return self._randoms.to_bytes(count, "big")

    def begin(
        self, method: str, headers: Headers = (), *, client: str = "key:1", takes: bool = True
    ) -> HttpTold:
        """Send the head of a request."""
        told = HttpTold()
        told.takes = takes
        kind = ExchangeKind.TRANSPARENT
        head = RequestHead("files", method, "", headers, "local|ken", client, kind)
        told.exchange = self.relay.tunnels[-1].open(head, told)
        self.relay.settle()
        return told

    def send(
        self,
        method: str,
        body: bytes = b"",
        headers: Headers = (),
        *,
        client: str = "key:1",
        takes: bool = True,
    ) -> HttpTold:
        """Send a whole request."""
        told = self.begin(method, headers, client=client, takes=takes)
        assert told.exchange is not None
        told.exchange.write(body)
        told.exchange.end()
        self.relay.settle()
        return told

    def modern(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *more: tuple[str, str],
        request_id: Any = 1,
        takes: bool = True,
    ) -> HttpTold:
        """Send a request as a modern client does."""
        about = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        said = dict(params or {})
        said["_meta"] = {**about, **said.get("_meta", {})}
        fields = [*JSON_FIELDS, ("mcp-protocol-version", MODERN), ("mcp-method", method), *more]
        if "name" in said:
            fields.append(("mcp-name", said["name"]))
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": said}
        return self.send("POST", json.dumps(message).encode(), tuple(fields), takes=takes)

    def initialize(self, capabilities: Mapping[str, Any] | None = None) -> HttpTold:
        """Begin a session as a legacy client does; `discover` is the test's to answer."""
        params = {
            "protocolVersion": LEGACY,
            "capabilities": capabilities or {},
            "clientInfo": {"name": "old", "version": "1"},
        }
        message = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
        return self.send("POST", json.dumps(message).encode(), JSON_FIELDS)

    def in_session(self, session: str, message: Any, *, client: str = "key:1") -> HttpTold:
        """Send a message of a legacy client's session."""
        fields = (*JSON_FIELDS, ("mcp-session-id", session), ("mcp-protocol-version", LEGACY))
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        return self.send("POST", body, fields, client=client)

    def stop(self) -> None:
        """Stop everything of the agent's."""
        self.exchanges.drain()
        self.exchanges.stop()
        self.relay.settle()
