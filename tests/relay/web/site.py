"""The relay's web site on memory transports, with a hub and agents behind it, on a test clock."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from mcptunnel.auth.keys import Scope
from mcptunnel.config.relay import LimitsConfig, RelayConfig
from mcptunnel.mcp import sse
from mcptunnel.mcp.client_half.keep_alive import KeepAlive
from mcptunnel.mcp.client_half.session_table import McpSessions
from mcptunnel.net.timers import ReactorTimers
from mcptunnel.relay.access import Access, Revoked, is_same_client
from mcptunnel.relay.api_keys import ApiKeys
from mcptunnel.relay.credentials import BearerCheck, Credentials
from mcptunnel.relay.revoking import tell_agents
from mcptunnel.relay.session_owners import SessionOwners
from mcptunnel.relay.web.bearer import BearerGate
from mcptunnel.relay.web.mcp import McpEndpoint
from mcptunnel.relay.web.realm import Realm
from mcptunnel.relay.web.request import RelayRequest, RelaySite
from mcptunnel.relay.web.transparent import TransparentEndpoint
from mcptunnel.relay.web.tree import make_root
from mcptunnel.testing.joined import Joined, MemoryAgent
from tests.relay.keys import MemoryKeys

HELD_S = 10.0
"""A cut link is held for so long by the relay."""

HOST = "relay.test"
MODERN = "2026-07-28"
ABOUT = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass
class HttpAnswer:
    """One answer as far as it has come; `interim` are 1xx answers before it."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    is_complete: bool = False

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The messages of an event stream."""
        assert self.headers["content-type"] == "text/event-stream"
        found = sse.Parser(10**9).feed(self.body)
        return [json.loads(event.data) for event in found if event.type == "message"]


def read_answers(data: bytes) -> list[HttpAnswer]:
    """Read what a client would of a connection's bytes."""
    answers = []
    while data:
        head, separator, data = data.partition(b"\r\n\r\n")
        assert separator, head
        first, *lines = head.decode().split("\r\n")
        fields = [line.split(": ", 1) for line in lines]
        answer = HttpAnswer(int(first.split(" ")[1]), {n.lower(): v for n, v in fields})
        answers.append(answer)
        if "transfer-encoding" in answer.headers:
            data = _read_chunks(answer, data)
        else:
            length = int(answer.headers.get("content-length", 0))
            answer.body, data = data[:length], data[length:]
            answer.is_complete = len(answer.body) == length
    return answers


def _read_chunks(answer: HttpAnswer, data: bytes) -> bytes:
    while data:
        size, _, data = data.partition(b"\r\n")
        count = int(size, 16)
        answer.body += data[:count]
        data = data[count + 2 :]
        if not count:
            answer.is_complete = True
            break
    return data


class Wire(StringTransport):
    """A transport that loses its connection in a later turn, as sockets do."""

    def __init__(self, connection: "Connection") -> None:
        super().__init__(lenient=True)
        self._connection = connection
        self.aborted = False

    def loseConnection(self) -> None:
        if not self.disconnecting:
            super().loseConnection()
            self._connection.lose_soon()

    def abortConnection(self) -> None:
        self.aborted = True
        self.loseConnection()


class Connection:
    """A client's connection: bytes in, answers out."""

    def __init__(self, site: "MemorySite") -> None:
        self._site = site
        self.wire = Wire(self)
        self._protocol: Any = site.site.buildProtocol(self.wire.getPeer())
        self._protocol.makeConnection(self.wire)
        self.is_lost = False

    def send(self, data: bytes) -> None:
        self._protocol.dataReceived(data)
        self._site.joined.settle()

    def lose_soon(self) -> None:
        self._site.joined.clock.callLater(0, self.close)

    def close(self) -> None:
        """Lose the connection, as when the client closes it."""
        if not self.is_lost:
            self.is_lost = True
            self._protocol.connectionLost(Failure(ConnectionDone()))
        self._site.joined.clock.callLater(0, int)

    def hang_up(self) -> None:
        """Close it from the client's side, and let everything follow."""
        self.close()
        self._site.joined.settle()

    def slow_down(self) -> None:
        """Be full: the client does not read."""
        producer: Any = self.wire.producer
        producer.pauseProducing()
        self._site.joined.settle()

    def go_on(self) -> None:
        """The client reads again."""
        producer: Any = self.wire.producer
        producer.resumeProducing()
        self._site.joined.settle()

    @property
    def answers(self) -> list[HttpAnswer]:
        return read_answers(self.wire.value())

    @property
    def answer(self) -> HttpAnswer:
        (only,) = self.answers
        return only


@dataclass
class MemorySite:
    """The whole relay but its sockets and its store."""

    limits: LimitsConfig = field(default_factory=LimitsConfig)
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    realm: Realm = field(default_factory=Realm)

    def __post_init__(self) -> None:
        self.joined = Joined(limits=self.limits)
        self.keys = MemoryKeys()
        self.credentials = Credentials(
            (ApiKeys(self.keys, self.joined.clock.seconds), *self.more_checks()),
            self.joined.clock.seconds,
            self.joined.epoch_s,
        )
        self.sessions = McpSessions(self._random, self.limits.max_sessions, is_same=is_same_client)
        self.upgrades: list[Access] = []
        self._randoms = 0
        own = self.joined.config
        self.config = config = RelayConfig(
            public_url=own.public_url,
            state_dir=own.state_dir,
            limits=self.limits,
            allowed_hosts=self.allowed_hosts,
            allowed_origins=self.allowed_origins,
        )
        clock, draining = self.joined.clock, self.joined.draining
        self.keep_alive = KeepAlive(ReactorTimers(clock))
        self.endpoint = McpEndpoint(
            clock, self.joined.hub, self.sessions, self._random, self.keep_alive, draining
        )
        self.owners = SessionOwners(self.limits.max_sessions)
        self.transparent = TransparentEndpoint(
            self.joined.devices, self.owners, self.keep_alive, draining
        )
        self.root = make_root(
            config,
            gate=partial(BearerGate, self.credentials, self.joined.in_use, self.realm),
            devices=self.joined.devices,
            draining=draining,
            hub=self.endpoint,
            server=self.transparent.answer,
            tunnel=self._upgrade,
        )
        self.site = RelaySite(
            self.root, self.limits.max_request_bytes, self.joined.clock, draining, self.realm
        )

    def more_checks(self) -> Iterable[BearerCheck]:
        """Return what knows other tokens than keys."""
        return ()

    def _random(self, count: int) -> bytes:
        self._randoms += 1
        return self._randoms.to_bytes(count, "big")

    def _upgrade(self, request: RelayRequest, access: Access, _body: bytes) -> None:
        self.upgrades.append(access)
        request.setResponseCode(426)
        request.finish()

    def key(self, user: str = "alice", scope: Scope = Scope.MCP) -> str:
        return self.keys.issue(user, scope).text

    def revoke(self, key: str) -> None:
        """Revoke a key, as the relay's service does it."""
        (issued,) = (one for one in self.keys.issued if one.text == key)
        self.keys.revoke(issued)
        self.revoked(Revoked(grant_id=issued.record.id))

    def revoked(self, revoked: Revoked) -> None:
        """Take access away that the store gives no more."""
        self.credentials.revoked(revoked)
        self.joined.in_use.end(revoked)
        self.endpoint.revoked(revoked)
        tell_agents(self.joined.devices, self.owners.revoked(revoked))
        self.joined.settle()

    def connection(self) -> Connection:
        return Connection(self)

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> HttpAnswer:
        """Send a request without a body; return the complete answer."""
        connection = self.connection()
        connection.send(head_of(method, path, {"host": HOST, **(headers or {})}))
        assert connection.answer.is_complete
        return connection.answer

    def client(self, user: str = "alice") -> "HttpClient":
        return HttpClient(self, self.key(user))


def head_of(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


class HttpClient:
    """An MCP client with a key; every request has a connection of its own."""

    def __init__(self, site: MemorySite, key: str) -> None:
        self.site = site
        self.session: str | None = None
        self.headers = {
            "host": HOST,
            "authorization": f"Bearer {key}",
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
        }

    def post(self, body: bytes | dict[str, Any] | list[Any], **headers: str | None) -> Connection:
        """Post a body. Headers are added; `content_type` is `content-type`, None takes one away."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", data, **headers)

    def request(self, method: str, data: bytes = b"", **headers: str | None) -> Connection:
        """Send any request to `/mcp`, in the session if there is one."""
        return self.at("/mcp", method, data, **headers)

    def at(self, path: str, method: str, data: bytes = b"", **headers: str | None) -> Connection:
        """Send any request to a path."""
        wanted: dict[str, str | None] = {**self.headers, "content-length": str(len(data))}
        if self.session is not None:
            wanted["mcp-session-id"] = self.session
        wanted |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = self.site.connection()
        present = {name: value for name, value in wanted.items() if value is not None}
        connection.send(head_of(method, path, present) + data)
        return connection

    def modern(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        request_id: int | str = 1,
        about: dict[str, Any] | None = None,
        **headers: str | None,
    ) -> Connection:
        """Post a modern request, with the headers that belong to it."""
        params = {**(params or {}), "_meta": {**ABOUT, **(about or {})}}
        body = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        routing: dict[str, str | None] = {"mcp_protocol_version": MODERN, "mcp_method": method}
        if "name" in params:
            routing["mcp_name"] = params["name"]
        return self.post(body, **{**routing, **headers})

    def legacy(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        request_id: int | str | None = 1,
        **headers: str | None,
    ) -> Connection:
        """Post a legacy request in the session, or a notification if `request_id` is None."""
        body: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params or {}}
        if request_id is not None:
            body["id"] = request_id
        return self.post(body, **headers)

    def initialize(
        self, version: str = "2025-11-25", capabilities: dict[str, Any] | None = None
    ) -> HttpAnswer:
        """Open a session and keep its id."""
        answer = self.legacy(
            "initialize",
            {
                "protocolVersion": version,
                "capabilities": capabilities or {},
                "clientInfo": {"name": "test", "version": "1"},
            },
            mcp_session_id=None,
        ).answer
        self.session = answer.headers.get("mcp-session-id")
        return answer


def hold_link(joined: Joined, agent: MemoryAgent, seconds: float) -> None:
    """Cut an agent's link, let time pass, and take the session up again."""
    joined.cut(agent)
    joined.wait_s(seconds)
    joined.connect(agent)
