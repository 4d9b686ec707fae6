"""An MCP client of either era that is nothing but `http.client`, and tells when things arrived."""

import http.client
import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

MODERN = "2026-07-28"
LEGACY = ("2025-03-26", "2025-06-18", "2025-11-25")
VERSIONS = (*LEGACY, MODERN)
TIMEOUT_S = 15.0

Json: TypeAlias = dict[str, Any]

_META = "io.modelcontextprotocol/"


@dataclass(slots=True)
class Arrived:
    """A message, and when it was read."""

    message: Json
    at_s: float


class Answer:
    """The answer to one POST, while it arrives."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        self._response = connection.getresponse()
        self.status = self._response.status
        self.headers = self._response.headers

    @property
    def is_stream(self) -> bool:
        return self.headers.get_content_type() == "text/event-stream"

    def messages(self) -> Iterator[Arrived]:
        """Give the messages as they come."""
        if not self.is_stream:
            body = self._response.read()
            if body:
                yield Arrived(json.loads(body), time.monotonic())
            return
        while line := self._response.readline():
            if line.startswith(b"data:"):
                yield Arrived(json.loads(line[5:]), time.monotonic())

    def wait_for_progress(self) -> None:
        """Read the next message, which is a report of progress: the call runs."""
        message = next(self.messages()).message
        assert message.get("method") == "notifications/progress", message

    def close(self) -> None:
        """Close the connection, whatever was still to come."""
        self._response.close()
        self._connection.close()


@dataclass(slots=True)
class Outcome:
    """All that came for one request."""

    status: int
    result: Json
    error: Json
    at_s: float
    progress: list[Arrived] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text of a tool's result."""
        return "".join(part["text"] for part in self.result["content"])

    @property
    def is_error(self) -> bool:
        return bool(self.result.get("isError"))

    @property
    def outcome(self) -> str | None:
        """What the result says about whether the call ran."""
        told: str | None = self.result.get("_meta", {}).get("mcptunnel/outcome")
        return told


class Client:
    """Speaks one protocol version to the hub, or to the endpoint at `path`.

    Every request has a connection of its own; `capabilities` are what it can be asked. With `tls` it
    comes by https, to localhost.
    """

    def __init__(
        self,
        port: int,
        key: str,
        version: str = MODERN,
        timeout_s: float = TIMEOUT_S,
        *,
        path: str = "/mcp",
        capabilities: Json | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self._path = path
        self._capabilities = capabilities or {}
        self._port = port
        self._timeout_s = timeout_s
        self._key = key
        self._version = version
        self.session: str | None = None
        self._next_id = 0

    @property
    def is_modern(self) -> bool:
        return self._version == MODERN

    def connect(self) -> Self:
        """Do what the era asks for before the first request."""
        if self.is_modern:
            return self
        about = {
            "clientInfo": {"name": "raw", "version": "1"},
            "capabilities": self._capabilities,
        }
        answer = self.post(
            {"id": 0, "method": "initialize"}, {"protocolVersion": self._version, **about}
        )
        (arrived,) = answer.messages()
        assert arrived.message["result"]["protocolVersion"] == self._version
        self.session = answer.headers["mcp-session-id"]
        answer.close()
        assert self.session
        assert self.notify("notifications/initialized", {}) == 202
        return self

    def post(self, message: Json, params: Json) -> Answer:
        """POST a message with what the era wants beside it; return when the head has come."""
        params = self._complete(params)
        return self._send({**message, "params": params}, self.headers(message["method"], params))

    def _complete(self, params: Json) -> Json:
        if not self.is_modern:
            return params
        about = {
            _META + "protocolVersion": MODERN,
            _META + "clientCapabilities": self._capabilities,
        }
        return {**params, "_meta": {**about, **params.get("_meta", {})}}

    def begin(self, method: str, params: Json) -> http.client.HTTPConnection:
        """Send a request without waiting for the head of its answer."""
        params = self._complete(params)
        message = {"id": "begun", "method": method, "params": params}
        return self._request(message, self.headers(method, params))

    def reply(self, request_id: Any, result: Json) -> int:
        """Answer a request of the server's in our session; return the HTTP status."""
        answer = self._send({"id": request_id, "result": result}, self.headers("", {}))
        answer.close()
        return answer.status

    def _send(self, message: Json | None, headers: dict[str, str], method: str = "POST") -> Answer:
        return Answer(self._request(message, headers, method))

    def _request(
        self, message: Json | None, headers: dict[str, str], method: str = "POST"
    ) -> http.client.HTTPConnection:
        body = None if message is None else json.dumps({"jsonrpc": "2.0", **message}).encode()
        connection = opened(self._port, self._timeout_s, self._tls)
        connection.request(method, self._path, body, headers)
        return connection

    def use_key(self, key: str) -> None:
        """Come with another key from now on."""
        self._key = key

    def delete(self) -> int:
        """End the session; return the HTTP status."""
        answer = self._send(None, self.headers("", {}), "DELETE")
        answer.close()
        return answer.status

    def get(self) -> Answer:
        """Open the event stream of the session; return when the head has come."""
        headers = {**self.headers("", {}), "Accept": "text/event-stream"}
        return self._send(None, headers, "GET")

    def headers(self, method: str, params: Json) -> dict[str, str]:
        """Return the header fields of a request."""
        headers = {
            "Authorization": f"Bearer {self._key}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        if self.is_modern:
            headers |= {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
            for member in ("name", "uri"):
                if member in params:
                    headers["Mcp-Name"] = params[member]
        elif self.session is not None:
            headers["Mcp-Session-Id"] = self.session
            if self._version != "2025-03-26":  # older than the header
                headers["MCP-Protocol-Version"] = self._version
        return headers

    def notify(self, method: str, params: Json) -> int:
        """Send a notification and return the HTTP status."""
        answer = self.post({"method": method}, params)
        answer.close()
        return answer.status

    def send(self, method: str, params: Json) -> tuple[int, Answer]:
        """Send a request; return its id and the answer to read from."""
        self._next_id += 1
        return self._next_id, self.post({"id": self._next_id, "method": method}, params)

    def request(self, method: str, params: Json | None = None) -> Outcome:
        """Send a request and read its answer to the end."""
        request_id, answer = self.send(method, params or {})
        return self.outcome(request_id, answer)

    def outcome(self, request_id: int, answer: Answer) -> Outcome:
        """Read an answer to the end."""
        arrived = list(answer.messages())
        answer.close()
        last = arrived.pop()
        assert last.message.get("id") == request_id, last
        result, error = last.message.get("result", {}), last.message.get("error", {})
        return Outcome(answer.status, result, error, last.at_s, arrived)

    def start_call(
        self, tool: str, arguments: Json, token: str | None = None
    ) -> tuple[int, Answer]:
        """Start a tool call; with a token it asks for progress."""
        params: Json = {"name": tool, "arguments": arguments}
        if token is not None:
            params["_meta"] = {"progressToken": token}
        return self.send("tools/call", params)

    def call(self, tool: str, token: str | None = None, /, **arguments: Any) -> Outcome:
        """Call a tool and wait for the result."""
        return self.outcome(*self.start_call(tool, arguments, token))

    def tools(self) -> dict[str, Json]:
        """Return the tools by name, in the order of the list."""
        return {tool["name"]: tool for tool in self.request("tools/list").result["tools"]}


def opened(
    port: int, timeout_s: float, tls: ssl.SSLContext | None = None, source: str = ""
) -> http.client.HTTPConnection:
    """Return a connection to a port of this machine, from the address `source` if there is one."""
    options: Json = {"timeout": timeout_s, "source_address": (source, 0) if source else None}
    if tls is None:
        return http.client.HTTPConnection("127.0.0.1", port, **options)
    return http.client.HTTPSConnection("localhost", port, context=tls, **options)


def get(port: int, path: str) -> tuple[int, Json]:
    """GET a path; return status and JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def tunnel_state(port: int) -> str:
    """Return what /health says of the tunnel."""
    state: str = get(port, "/health")[1]["tunnel"]
    return state
