"""The server that asks, over HTTP: Streamable HTTP of both eras, and HTTP+SSE of 2024-11-05."""

import json
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tests.agent.servers.asking_server import AskingServer, Json


class Session:
    """One conversation, and the streams on which it speaks."""

    def __init__(self, era: str, *flags: str, is_old: bool) -> None:
        self.core = AskingServer(self.send, era, *flags)
        self.is_old = is_old
        self.streams: dict[Any, Any] = {}
        self.listening: Any = None

    def send(self, message: Json, origin: Any) -> None:
        """Send on the stream of a request, or on the one for everything else."""
        own = None if self.is_old else self.streams.get(origin)
        stream = self.listening if own is None else own
        if stream is None:
            return
        text = json.dumps({"jsonrpc": "2.0", **message})
        stream.write(f"event: message\ndata: {text}\n\n".encode())
        if own is not None and "method" not in message:
            del self.streams[origin]
            stream.finish()


class AskingSite(Resource):
    """One endpoint; with `old` the endpoint is at another path and POST is not known here."""

    isLeaf = True

    def __init__(self, era: str = "legacy", *flags: str, old: bool = False) -> None:
        super().__init__()
        self._era = era
        self._flags = flags
        self._old = old
        self.port = 0
        self.endpoint = "/messages/?session_id={}"
        self.sessions: dict[str, Session] = {}
        self.ended: list[str] = []
        self.methods: list[str] = []
        if era == "modern":
            self._begin()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def last(self) -> Session:
        return list(self.sessions.values())[-1]

    def _begin(self) -> str:
        name = f"session-{len(self.sessions) + len(self.ended) + 1}"
        self.sessions[name] = Session(self._era, *self._flags, is_old=self._old)
        return name

    def render_GET(self, request: Any) -> Any:
        request.setHeader("content-type", "text/event-stream")
        request.notifyFinish().addErrback(lambda _failure: None)
        if self._old:
            name = self._begin()
            request.write(f"event: endpoint\ndata: {self.endpoint.format(name)}\n\n".encode())
        else:
            name = request.getHeader("mcp-session-id") or ""
            if name not in self.sessions:
                request.setResponseCode(405 if self._era == "modern" else 404)
                return b""
            request.write(b": hello\n\n")
        self.sessions[name].listening = request
        return NOT_DONE_YET

    def render_DELETE(self, request: Any) -> bytes:
        name = request.getHeader("mcp-session-id")
        self.sessions.pop(name)
        self.ended.append(name)
        return b""

    def render_POST(self, request: Any) -> Any:
        message = json.loads(request.content.read())
        self.methods.append(message.get("method", "answer"))
        at_endpoint = request.path == b"/messages/"
        if self._old is not at_endpoint:
            request.setResponseCode(405)
            return b""
        if self._old:
            name = request.args[b"session_id"][0].decode()
        elif self._era == "modern":
            name = next(iter(self.sessions))
        elif message.get("method") == "initialize":
            name = self._begin()
            request.setHeader("mcp-session-id", name)
        else:
            name = request.getHeader("mcp-session-id") or ""
        return self._receive(request, name, message)

    def _receive(self, request: Any, name: str, message: Json) -> Any:
        session = self.sessions.get(name)
        if session is None:
            request.setResponseCode(404 if message.get("method") != "server/discover" else 400)
            return b""
        if self._old or message.get("id") is None or "method" not in message:
            request.setResponseCode(202)
            session.core.receive(message)
            return b"Accepted"
        request.setHeader("content-type", "text/event-stream")
        session.streams[message["id"]] = request
        request.notifyFinish().addErrback(self._gone, session, message["id"])
        session.core.receive(message)
        return NOT_DONE_YET

    def _gone(self, _failure: object, session: Session, request_id: Any) -> None:
        if session.streams.pop(request_id, None) is not None and self._era == "modern":
            session.core.receive(
                {"method": "notifications/cancelled", "params": {"requestId": request_id}}
            )
