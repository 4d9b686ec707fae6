"""Small MCP servers over HTTP, on the loopback: each POST is answered by a rule or by the test."""

import json
from collections.abc import Callable
from typing import Any, TypeAlias

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tests.agent.servers import LEGACY_RESULT, MODERN_RESULT


class Post:
    """One POST that came in. `is_gone` if the client dropped it before the answer was whole."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self.message: Any = json.loads(request.content.read())
        self.fields: dict[str, str] = {
            name.decode().lower(): values[-1].decode()
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        self.is_gone = False
        request.notifyFinish().addErrback(self._dropped)

    def _dropped(self, _failure: object) -> None:
        self.is_gone = True

    @property
    def method(self) -> str:
        return str(self.message.get("method", "answer"))

    @property
    def session(self) -> str | None:
        return self.fields.get("mcp-session-id")

    def text(self, status: int, text: str = "", kind: str = "text/html", **fields: str) -> None:
        """Answer with anything."""
        self._request.setResponseCode(status)
        self._request.setHeader("content-type", kind)
        for name, value in fields.items():
            self._request.setHeader(name.replace("_", "-"), value)
        self._request.write(text.encode())
        self._request.finish()

    def json(self, message: object, status: int = 200, **fields: str) -> None:
        self.text(status, json.dumps(message), "application/json", **fields)

    def result(self, result: object, **fields: Any) -> None:
        self.json({"jsonrpc": "2.0", "id": self.message["id"], "result": result}, **fields)

    def error(self, code: int, message: str, status: int = 200) -> None:
        error = {"code": code, "message": message}
        self.json({"jsonrpc": "2.0", "id": self.message.get("id"), "error": error}, status)

    def event(self, message: object, *, as_answer: bool = False) -> None:
        """Send one event of a stream; `as_answer` makes a result of it."""
        if as_answer:
            message = {"jsonrpc": "2.0", "id": self.message["id"], "result": message}
        if not self._request.startedWriting:
            self._request.setHeader("content-type", "text/event-stream")
        self._request.write(f"data: {json.dumps(message)}\n\n".encode())

    def priming(self, more: str = "") -> None:
        """Begin an event stream with an event that has only an id (2025-11-25)."""
        self._request.setHeader("content-type", "text/event-stream")
        self._request.write(b"id: 1\n%bdata:\n\n" % more.encode())

    def end(self) -> None:
        self._request.finish()

    def break_off(self) -> None:
        self._request.transport.abortConnection()


Rule: TypeAlias = Callable[[Post], object]


def modern(post: Post) -> None:
    """Be a modern server that leaves calls to the test."""
    if post.method == "server/discover":
        post.result(MODERN_RESULT)


def silent(_post: Post) -> None:
    """Never answer."""


class Legacy:
    """Be a legacy server with sessions; calls in a known one are left to the test."""

    def __init__(self, version: str = "2025-11-25", capabilities: object = None) -> None:
        self.version = version
        self.more = {} if capabilities is None else {"capabilities": capabilities}
        self.sessions: list[str] = []
        self.made = 0
        self.lost_status = 404

    def __call__(self, post: Post) -> None:
        if post.method == "server/discover":
            post.error(-32000, "Bad Request: Unsupported protocol version", status=400)
        elif post.method == "initialize":
            self.made += 1
            self.sessions.append(f"session-{self.made}")
            result = {**LEGACY_RESULT, "protocolVersion": self.version, **self.more}
            post.result(result, mcp_session_id=self.sessions[-1])
        elif post.session not in self.sessions:
            post.error(-32000, "No valid session ID provided", status=self.lost_status)
        elif post.method != "tools/call":
            post.text(202)


class Get:
    """A GET that came in: a stream of events, if the test makes it one."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self.path: str = request.path.decode()
        self.fields: dict[str, str] = {
            name.decode().lower(): values[-1].decode()
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        self.is_gone = False
        request.notifyFinish().addErrback(self._dropped)

    def _dropped(self, _failure: object) -> None:
        self.is_gone = True

    def status(self, status: int) -> None:
        """Answer with nothing but a status."""
        self._request.setResponseCode(status)
        self._request.finish()

    def write(self, text: str = "") -> None:
        """Send a piece of the stream."""
        if not self._request.startedWriting:
            self._request.setHeader("content-type", "text/event-stream")
        self._request.write(text.encode() or b":\n\n")

    def event(self, message: object, **fields: object) -> None:
        """Send an event, with an id perhaps."""
        more = "".join(f"{name}: {value}\n" for name, value in fields.items())
        self.write(f"{more}data: {json.dumps(message)}\n\n")

    def end(self) -> None:
        self._request.finish()


def no_stream(get: Get) -> None:
    """Offer no stream of notifications."""
    get.status(405)


class Site(Resource):
    """The one endpoint of a server."""

    isLeaf = True

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.rule = rule
        self.on_get: Callable[[Get], object] = no_stream
        self.posts: list[Post] = []
        self.gets: list[Get] = []
        self.deleted: list[str | None] = []
        self.takes_deletes = True
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    def asked(self, method: str) -> list[Post]:
        return [post for post in self.posts if post.method == method]

    def render_POST(self, request: Any) -> int:
        post = Post(request)
        self.posts.append(post)
        self.rule(post)
        return NOT_DONE_YET

    def render_GET(self, request: Any) -> int:
        self.gets.append(Get(request))
        self.on_get(self.gets[-1])
        return NOT_DONE_YET

    def render_DELETE(self, request: Any) -> Any:
        self.deleted.append(request.getHeader("mcp-session-id"))
        request.notifyFinish().addErrback(lambda _failure: None)
        return b"" if self.takes_deletes else NOT_DONE_YET
