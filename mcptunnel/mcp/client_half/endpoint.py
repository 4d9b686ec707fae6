"""One MCP endpoint over Streamable HTTP, for clients of both eras, in front of modern services.

It decides what a request is, and speaks with the client; what the client wants the service does
(`mcp.service`). It has no clock and no sockets: both are its caller's.
"""

from collections.abc import Callable

from mcptunnel.mcp import headers as fields
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half import http
from mcptunnel.mcp.client_half.answer import HttpAnswer
from mcptunnel.mcp.client_half.batch import has_requests
from mcptunnel.mcp.client_half.call import Call
from mcptunnel.mcp.client_half.http import Http
from mcptunnel.mcp.client_half.keep_alive import KeepAlive
from mcptunnel.mcp.client_half.kept import Kept
from mcptunnel.mcp.client_half.listen_call import ListenCall
from mcptunnel.mcp.client_half.live import Shared
from mcptunnel.mcp.client_half.refusals import (
    Draining,
    put_off,
    refuse,
    refuse_stream,
    send_error,
)
from mcptunnel.mcp.client_half.session import Sessions
from mcptunnel.mcp.client_half.session_endpoint import SessionEndpoint, Visit
from mcptunnel.mcp.client_half.sse_endpoint import SseEndpoint
from mcptunnel.mcp.client_half.streams import Streams
from mcptunnel.mcp.client_half.timers import Timers
from mcptunnel.mcp.client_half.unread import MAX_ALL_BYTES, MAX_USER_BYTES
from mcptunnel.mcp.eras import Initialize, InSession, Modern, Refused, classify_post
from mcptunnel.mcp.jsonrpc import INVALID_REQUEST, Batch, JsonRpcError, Message, Request
from mcptunnel.mcp.listens import LISTEN
from mcptunnel.mcp.service import Asker, Service
from mcptunnel.mcp.versions import Era, era_of
from mcptunnel.model import Headers, header


class Endpoint:
    """Answers HTTP requests that were let in: Host, Origin and token are checked before.

    Comments keep its streams alive, with those of others that share `keep_alive`.
    """

    def __init__(
        self,
        sessions: Sessions,
        timers: Timers,
        random: Callable[[int], bytes],
        keep_alive: KeepAlive,
        draining: Draining,
    ) -> None:
        self._keep_alive, self._draining = keep_alive, draining
        self._streams = Streams()
        unread = Kept(MAX_USER_BYTES, MAX_ALL_BYTES)
        shared = Shared(sessions, timers, random, keep_alive, self._streams, Kept(), unread)
        self._sessions = SessionEndpoint(shared)
        self._sse = SseEndpoint(shared, draining)

    def answer(
        self, client: Http, asker: Asker, service: Service, body: bytes, now_s: float
    ) -> None:
        """Answer one request of any method; `service` is for this asker alone."""
        visit = Visit(client, asker, service, now_s)
        method = client.method
        if method == "POST":
            self._post(visit, body)
        elif method == "DELETE":
            self._sessions.delete(visit)
        elif method == "GET" and (session_id := _session_of(client.headers)) is not None:
            if self._draining.is_on:
                put_off(client, self._draining)
            else:
                self._sessions.open_stream(visit, session_id)
        else:
            allowed = "POST, DELETE" if method == "GET" else "GET, POST, DELETE"
            text = f"{method[:40]} is not offered here; use POST"
            refuse(client, http.METHOD_NOT_ALLOWED, text, (("allow", allowed),))

    def open_sse(
        self, client: Http, asker: Asker, service: Service, post_path: str, now_s: float
    ) -> None:
        """Answer a client of 2024-11-05 that wants its stream (`sse_endpoint`)."""
        self._sse.open(Visit(client, asker, service, now_s), post_path)

    def post_sse(
        self,
        client: Http,
        asker: Asker,
        service: Service,
        session_id: str | None,
        body: bytes,
        now_s: float,
    ) -> None:
        """Take what such a client posts to the path that it was told."""
        self._sse.post(Visit(client, asker, service, now_s), session_id, body)

    def end_sessions(self, whose: Callable[[Asker], bool]) -> None:
        """End the sessions of some askers, with all that is under way in them."""
        self._sse.close(whose)
        self._sessions.end_those(whose)

    def end_streams(self) -> None:
        """End, in order, all streams that would stay open for as long as their clients like."""
        self._streams.end()

    def stop(self) -> None:
        """End all streams, and do nothing more of our own accord; sessions may be continued later."""
        self._sse.close(lambda _asker: True)
        self.end_streams()
        self._sessions.stop()

    def _post(self, visit: Visit, body: bytes) -> None:
        client, headers = visit.client, visit.client.headers
        if not fields.is_json(header(headers, "content-type")):
            text = "Content-Type must be application/json"
            refuse(client, http.UNSUPPORTED_MEDIA_TYPE, text)
            return
        accepts = fields.accepts(headers)
        if not any(accepts):
            text = "Accept must allow application/json and text/event-stream"
            refuse(client, http.NOT_ACCEPTABLE, text)
            return
        try:
            message = jsonrpc.parse(body)
        except JsonRpcError as error:
            send_error(client, http.BAD_REQUEST, error)
            return
        if self._draining.is_on and _begins_something(message):
            request_id = message.id if isinstance(message, Request) else None
            put_off(client, self._draining, request_id)
            return
        self._take(visit, message, HttpAnswer(client, accepts, self._keep_alive), len(body))

    def _take(
        self, visit: Visit, message: Message | Batch, answer: HttpAnswer, size_bytes: int
    ) -> None:
        client, headers = visit.client, visit.client.headers
        match classify_post(headers, message):
            case Modern(message=Request() as request):
                self._modern(visit, request, answer)
            case Modern():
                client.answer(http.ACCEPTED)
            case InSession() as said:
                self._sessions.take(visit, said, answer, size_bytes)
            case Initialize(request=request):
                self._sessions.initialize(visit, request, answer)
            case Refused() as refused:
                send_error(client, refused.status, refused.error)

    def _modern(self, visit: Visit, request: Request, answer: HttpAnswer) -> None:
        if request.method == LISTEN:
            self._listen(visit, request, answer)
            return
        call = Call(request.id, answer)
        call.run(visit.service.request(request, call))

    def _listen(self, visit: Visit, request: Request, answer: HttpAnswer) -> None:
        if not answer.takes_events:
            text = f"Accept must allow text/event-stream for {LISTEN}"
            error = JsonRpcError(INVALID_REQUEST, text)
            send_error(visit.client, http.NOT_ACCEPTABLE, error, request.id)
            return
        call = ListenCall(request.id, answer, self._streams, visit.asker)
        if self._streams.add(visit.asker, call):
            call.run(visit.service.request(request, call))
        else:
            refuse_stream(visit.client, request.id)


def _begins_something(message: Message | Batch) -> bool:
    """Whether a message has an answer; others are what calls under way wait for, or their end."""
    return has_requests(message) if isinstance(message, Batch) else isinstance(message, Request)


def _session_of(headers: Headers) -> str | None:
    """Return the session that a GET names; None if it says that its client is a modern one."""
    version = header(headers, fields.VERSION_HEADER)
    if version is not None and era_of(version) is Era.MODERN:
        return None
    return header(headers, fields.SESSION_HEADER)
