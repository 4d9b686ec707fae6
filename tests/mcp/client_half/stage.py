"""The front in memory: clients that post, a service that answers when the test says so."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mcptunnel.mcp import jsonrpc, sse
from mcptunnel.mcp.client_half.endpoint import Endpoint
from mcptunnel.mcp.client_half.http import Watcher
from mcptunnel.mcp.client_half.keep_alive import KeepAlive
from mcptunnel.mcp.client_half.session import McpSession
from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification, Request
from mcptunnel.mcp.service import Asker, Caller, client_of_session
from mcptunnel.model import Headers, header

MODERN = "2026-07-28"
ABOUT = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
BOTH = "application/json, text/event-stream"
ALICE = Asker("local|alice", "key:a")
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
DISCOVERED: dict[str, Any] = {
    "resultType": "complete",
    "supportedVersions": [MODERN],
    "capabilities": {"tools": {"listChanged": True}, "extensions": {"x/y": {}}},
    "instructions": "Be kind.",
    "ttlMs": 0,
    "cacheScope": "private",
    "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "fake", "version": "1"}},
}


class FakeTimers:
    """Time that passes when the test says so (`timers.Timers`)."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._calls: list[FakeTimer] = []

    def call_later(self, delay_s: float, call: Callable[[], None]) -> "FakeTimer":
        timer = FakeTimer(self.now_s + delay_s, call, self._calls)
        self._calls.append(timer)
        return timer

    @property
    def count(self) -> int:
        return len(self._calls)

    def pass_s(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while due := [timer for timer in self._calls if timer.due_s <= end_s]:
            first = min(due, key=lambda timer: timer.due_s)
            self.now_s = first.due_s
            self._calls.remove(first)
            first.call()
        self.now_s = end_s


@dataclass(eq=False)
class FakeTimer:
    due_s: float
    call: Callable[[], None]
    calls: list["FakeTimer"]

    def cancel(self) -> None:
        self.calls.remove(self)


@dataclass
class FakeDraining:
    """Whether we are stopping (`refusals.Draining`)."""

    is_on: bool = False
    retry_after: int = 3
    refusal: str = "We are stopping."


class FakeHttp:
    """One HTTP request, and what was answered (`http.Http`)."""

    def __init__(self, method: str, headers: Headers) -> None:
        self.method = method
        self.headers = headers
        self.status = 0
        self.sent: Headers = ()
        self.body = b""
        self.is_stream = self.is_over = self.is_gone = False
        self.watcher: Watcher | None = None

    def answer(self, status: int, body: bytes = b"", headers: Headers = ()) -> None:
        assert not self.status
        assert not self.is_gone
        self.status, self.body, self.sent, self.is_over = status, body, headers, True

    def start(self, headers: Headers = ()) -> None:
        assert not self.status
        self.status, self.sent, self.is_stream = 200, headers, True

    def write(self, data: bytes) -> None:
        assert self.is_stream
        assert not self.is_over
        assert not self.is_gone
        self.body += data

    write_soon = write

    def finish(self) -> None:
        assert self.is_stream
        assert not self.is_over
        self.is_over = True

    def watch(self, watcher: Watcher | None) -> None:
        self.watcher = watcher

    # The client.

    def hang_up(self) -> None:
        self.is_gone = True
        if self.watcher is not None:
            self.watcher.client_gone()

    def slow(self, slow: bool) -> None:
        assert self.watcher is not None
        self.watcher.client_slow(slow)

    @property
    def events(self) -> list[Any]:
        assert self.is_stream
        """The messages of the stream."""
        found = sse.Parser(10**9).feed(self.body)
        return [json.loads(event.data) for event in found if event.type == "message"]

    @property
    def comments(self) -> int:
        return self.body.split(b"\n").count(b":")

    @property
    def json(self) -> Any:
        assert not self.is_stream
        return json.loads(self.body)

    @property
    def last(self) -> Any:
        """The last message, of a stream or a body."""
        return self.events[-1] if self.is_stream else self.json

    @property
    def code(self) -> int:
        code: int = self.last["error"]["code"]
        return code


@dataclass(eq=False)
class Asked:
    """A request to the service (`service.Running`), to be answered by the test."""

    request: Request
    caller: Caller
    asker: Asker
    cancelled: str | None = None
    held: list[bool] = field(default_factory=list)
    is_client_gone: bool = False

    @property
    def is_running(self) -> bool:
        return self.cancelled is None

    def cancel(self, reason: str) -> None:
        assert self.cancelled is None
        self.cancelled = reason

    def hold(self, holding: bool) -> None:
        self.held.append(holding)

    def client_gone(self) -> None:
        self.is_client_gone = True

    @property
    def params(self) -> dict[str, Any]:
        return {name: json.loads(bytes(value)) for name, value in self.request.params.items()}

    @property
    def about(self) -> dict[str, Any]:
        """The core keys of `_meta`, without their prefix, and the others."""
        prefix = "io.modelcontextprotocol/"
        return {key.removeprefix(prefix): value for key, value in self.params["_meta"].items()}

    def result(self, **members: Any) -> None:
        self.caller.result(jsonrpc.raw({"resultType": "complete", **members}))

    def text(self, text: str) -> None:
        self.result(content=[{"type": "text", "text": text}])

    def needs(self, requests: dict[str, Any] | None = None, state: str | None = None) -> None:
        result: dict[str, Any] = {"resultType": "input_required"}
        if requests is not None:
            result["inputRequests"] = requests
        if state is not None:
            result["requestState"] = state
        self.caller.result(jsonrpc.raw(result))

    def error(self, code: int, message: str = "no", data: object = None) -> None:
        self.caller.error(JsonRpcError(code, message, data))

    def notify(self, method: str, **params: Any) -> None:
        raw = {name: jsonrpc.raw(value) for name, value in params.items()}
        self.caller.notification(Notification(method, raw))

    def acknowledge(self, **honoured: Any) -> None:
        tag = {"io.modelcontextprotocol/subscriptionId": self.request.id}
        self.notify(ACKNOWLEDGED, notifications=honoured, _meta=tag)


class FakeService:
    """One asker's service (`service.Service`); `server/discover` is answered at once."""

    def __init__(self, stage: "Stage", asker: Asker) -> None:
        self._stage = stage
        self._asker = asker

    def request(self, request: Request, caller: Caller) -> Asked | None:
        asked = Asked(request, caller, self._asker)
        if request.method == "server/discover" and self._stage.discovers:
            asked.result(**DISCOVERED)
            return None
        if request.method == "subscriptions/listen" and self._stage.at_once is not None:
            self._stage.at_once(asked)
            return None if self._stage.ends_at_once else asked
        self._stage.asked.append(asked)
        return asked

    def of_session(self, session: str) -> "FakeService":
        asker = self._asker
        named = Asker(asker.principal, client_of_session(asker.client, session))
        return FakeService(self._stage, named)


class MemorySessions:
    """All sessions, for ever (`session.Sessions`)."""

    def __init__(self) -> None:
        self.when_ended: Callable[[str], None] = lambda _session_id: None
        self.is_open: Callable[[str], bool] = lambda _session_id: False
        self.all: dict[str, McpSession] = {}
        self._numbers = 0

    def new_id(self) -> str:
        self._numbers += 1
        return f"session-{self._numbers}"

    def add(self, session: McpSession, now_s: float) -> None:
        self.all[session.id] = session

    def get(self, session_id: str, asker: Asker, now_s: float) -> McpSession | None:
        session = self.all.get(session_id)
        return session if session is not None and session.asker == asker else None

    def change(self, session: McpSession) -> None:
        if session.id in self.all:
            self.all[session.id] = session

    def end(self, session_id: str) -> None:
        if self.all.pop(session_id, None) is not None:
            self.when_ended(session_id)

    def end_those(self, whose: Callable[[Asker], bool]) -> None:
        for session in tuple(self.all.values()):
            if whose(session.asker):
                self.end(session.id)


class Stage:
    """An endpoint with everything around it."""

    def __init__(self) -> None:
        self.timers = FakeTimers()
        self.sessions = MemorySessions()
        self.discovers = True
        self.at_once: Callable[[Asked], None] | None = None  # what a listen is told at once
        self.ends_at_once = False
        self.asked: list[Asked] = []
        self._randoms = 0
        self.draining = FakeDraining()
        self.keep_alive = KeepAlive(self.timers)
        self.endpoint = Endpoint(
            self.sessions,
            self.timers,
            self._random,
            self.keep_alive,
            self.draining,
        )

    def stop(self) -> None:
        """Stop all that is of the endpoint's program."""
        self.endpoint.stop()
        self.keep_alive.stop()

    def _random(self, count: int) -> bytes:
        self._randoms += 1
        return self._randoms.to_bytes(count, "big")

    def take(self) -> Asked:
        """Return the only request that the service has been asked since the last time."""
        (asked,) = self.asked
        self.asked.clear()
        return asked

    def send(
        self, method: str, body: bytes, asker: Asker = ALICE, **headers: str | None
    ) -> FakeHttp:
        said = {"content_type": "application/json", "accept": BOTH, **headers}
        fields = tuple((n.replace("_", "-"), v) for n, v in said.items() if v is not None)
        http = FakeHttp(method, fields)
        service = FakeService(self, asker)
        self.endpoint.answer(http, asker, service, body, self.timers.now_s)
        return http

    def sse(self, asker: Asker = ALICE, method: str = "GET", accept: str = BOTH) -> FakeHttp:
        """Open the stream of a client of 2024-11-05."""
        http = FakeHttp(method, (("accept", accept),))
        service = FakeService(self, asker)
        self.endpoint.open_sse(http, asker, service, "/messages", self.timers.now_s)
        return http

    def post_sse(
        self,
        session_id: str | None,
        message: Any,
        asker: Asker = ALICE,
        method: str = "POST",
        content_type: str = "application/json",
    ) -> FakeHttp:
        """Post a message of such a client; bytes are sent as they are."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        http = FakeHttp(method, (("content-type", content_type),))
        service, now_s = FakeService(self, asker), self.timers.now_s
        self.endpoint.post_sse(http, asker, service, session_id, body, now_s)
        return http

    def post(self, message: Any, asker: Asker = ALICE, **headers: str | None) -> FakeHttp:
        return self.send("POST", json.dumps(message).encode(), asker, **headers)

    def modern(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        request_id: int | str = 1,
        asker: Asker = ALICE,
        **headers: str | None,
    ) -> FakeHttp:
        params = {**(params or {}), "_meta": {**ABOUT, **(params or {}).get("_meta", {})}}
        routing: dict[str, str | None] = {"mcp_protocol_version": MODERN, "mcp_method": method}
        if "name" in params:
            routing["mcp_name"] = params["name"]
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        return self.post(message, asker, **{**routing, **headers})

    def client(
        self,
        version: str = "2025-11-25",
        capabilities: dict[str, Any] | None = None,
        asker: Asker = ALICE,
    ) -> "LegacyClient":
        """Return a legacy client that has opened a session."""
        params = {
            "protocolVersion": version,
            "capabilities": capabilities or {},
            "clientInfo": {"name": "c"},
        }
        http = self.post(request("initialize", params), asker)
        session = header(http.sent, "mcp-session-id")
        assert session is not None, http.body
        return LegacyClient(self, session, asker, http)


def request(
    method: str, params: dict[str, Any] | None = None, request_id: int | str | None = 1
) -> dict[str, Any]:
    """Return a message: a request, or a notification if the id is None."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params or {}}
    if request_id is not None:
        message["id"] = request_id
    return message


@dataclass
class LegacyClient:
    stage: Stage
    session: str
    asker: Asker
    greeting: FakeHttp

    def post(self, message: Any, **headers: str | None) -> FakeHttp:
        return self.stage.post(message, self.asker, **{"mcp_session_id": self.session, **headers})

    def request(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        request_id: int | str = 1,
        **headers: str | None,
    ) -> FakeHttp:
        return self.post(request(method, params, request_id), **headers)

    def call(self, *, request_id: int | str = 1, **headers: str | None) -> FakeHttp:
        params = {"name": "t", "arguments": {}}
        return self.request("tools/call", params, request_id=request_id, **headers)

    def notify(self, method: str, **params: Any) -> FakeHttp:
        return self.post(request(method, params, None))

    def answer(self, question_id: Any, result: Any = None, error: Any = None) -> FakeHttp:
        message = {"jsonrpc": "2.0", "id": question_id}
        message |= {"error": error} if error is not None else {"result": result}
        return self.post(message)

    def listen(self, **headers: str | None) -> FakeHttp:
        """Open the GET stream."""
        said = {"mcp_session_id": self.session, "content_type": None, **headers}
        said.setdefault("accept", "text/event-stream")
        return self.stage.send("GET", b"", self.asker, **said)

    def delete(self) -> FakeHttp:
        return self.stage.send("DELETE", b"", self.asker, mcp_session_id=self.session)

    @property
    def value(self) -> McpSession:
        return self.stage.sessions.all[self.session]
