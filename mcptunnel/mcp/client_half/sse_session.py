"""A session of the transport of 2024-11-05: its stream carries all that we say (basic/transports).

The client posts to another path, and hears there only that its message was taken.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from mcptunnel.mcp import jsonrpc, sse
from mcptunnel.mcp.client_half import initialize, legacy
from mcptunnel.mcp.client_half.answer import Outlet
from mcptunnel.mcp.client_half.call import Call
from mcptunnel.mcp.client_half.http import OK, Http, Watcher
from mcptunnel.mcp.client_half.keep_alive import QUIET_SWEEPS
from mcptunnel.mcp.client_half.live import Live, Shared
from mcptunnel.mcp.client_half.session import McpSession
from mcptunnel.mcp.client_half.translate import to_legacy_error
from mcptunnel.mcp.client_half.unread import Unread
from mcptunnel.mcp.jsonrpc import (
    INVALID_REQUEST,
    JsonRpcError,
    Message,
    Notification,
    Request,
    RequestId,
    Response,
)
from mcptunnel.mcp.service import Asker, Service
from mcptunnel.mcp.versions import Era

VERSION: Final = "2024-11-05"
"""What is agreed on, whatever the client asks for: later versions have no such transport."""

MAX_UNREAD_BYTES: Final = 4 * 1024 * 1024
"""What a client that reads slowly may leave unread before its stream is ended."""


class SseSession:
    """The stream, and the session that ends with it.

    It is a `http.Watcher`, a `listening.EventSink`, a `streams.Ending` and a `keep_alive.QuietStream`.
    """

    def __init__(
        self, http: Http, asker: Asker, session_id: str, shared: Shared, left: Callable[[], None]
    ) -> None:
        self.asker = asker
        self.was_heard = True
        self._http: Http | None = http  # None: it is over
        self._id = session_id
        self._shared = shared
        self._left = left
        self._service: Service | None = None
        self._live: Live | None = None
        self._is_begun = self._is_ending = False
        self._answers: dict[_Answer, Watcher | None] = {}
        self._unread = Unread(
            shared.unread, shared.timers, asker.principal, MAX_UNREAD_BYTES, self.close
        )

    def open(self, post_to: str) -> None:
        """Begin the stream: first comes where to post to, a path with its query."""
        if self._http is not None:
            self._http.start()
            self._http.write(b"event: endpoint\ndata: %b\n\n" % post_to.encode())
            self._http.watch(self)
            self._shared.keep_alive.watch(self)

    def take(self, message: Message, service: Service, size_bytes: int) -> None:
        """Take what the client posted; `size_bytes` is what it holds in memory."""
        live = self._live
        if live is not None:
            live.serve(service)
        if not isinstance(message, Request):
            if live is not None:
                legacy.take(live, message)
            return
        out = _Answer(self)
        self._answers[out] = None
        if live is not None:
            legacy.request(live, message, out, size_bytes)
        else:
            self._request_before(message, service, out)

    def _request_before(self, request: Request, service: Service, out: "_Answer") -> None:
        """Answer a request before there is a session."""
        try:
            if request.method == "ping":
                out.respond(OK, jsonrpc.encode(Response(request.id, jsonrpc.raw({}))))
                return
            if request.method != "initialize" or self._is_begun:
                raise JsonRpcError(INVALID_REQUEST, "Send initialize first, once, and wait for it")
            session = initialize.open_session(
                request, session_id=self._id, asker=self.asker, only=VERSION
            )
        except JsonRpcError as error:
            out.respond(OK, jsonrpc.encode(error.response(request.id)))
            return
        self._is_begun, self._service = True, service
        call = _Initializing(request.id, out, session, self._initialized)
        call.run(service.request(initialize.discover(request, session), call))

    def _initialized(self, session: McpSession | None) -> None:
        """Go on with the session; None if it could not be begun, and the client may try again."""
        self._is_begun = session is not None
        service, self._service = self._service, None
        if session is not None and service is not None and self._http is not None:
            self._live = Live(session, service, self._shared)
            if not self._is_ending:
                self._live.listening.attach(self)

    # The stream.

    def send(self, message: bytes) -> None:
        """Send an event."""
        if self._http is None:
            return
        event = sse.encode(message)
        if self._unread.takes(len(event)):
            self._http.write_soon(event)
            self.was_heard = True

    def keep_alive(self, quiet_sweeps: int) -> bool:
        if self._http is None or self._unread.is_slow or quiet_sweeps < QUIET_SWEEPS:
            return False
        self._http.write(sse.COMMENT)
        return True

    def waiting(self, answer: "_Answer", watcher: Watcher) -> None:
        """Note who answers a request, and wants to hear how fast the client reads."""
        if answer in self._answers:
            self._answers[answer] = watcher
            if self._unread.is_slow:
                watcher.client_slow(True)

    def answered(self, answer: "_Answer") -> None:
        """Note that a request is over."""
        self._answers.pop(answer, None)
        if self._is_ending and not self._answers:
            self.close()

    def client_slow(self, slow: bool) -> None:
        self._unread.slow(slow)
        if self._live is not None:
            self._live.listening.hold(slow)
        for watcher in tuple(self._answers.values()):
            if watcher is not None:
                watcher.client_slow(slow)

    # The end.

    def end(self) -> None:
        """End the stream as soon as all requests are answered."""
        self._is_ending = True
        if self._live is not None:
            self._live.listening.detach(self)
            self._live.listening.close()
        if not self._answers:
            self.close()

    def access_ended(self, is_revoked: bool) -> None:
        if is_revoked:
            self.close()
        else:
            self.end()

    def close(self) -> None:
        """End the stream, and the session, now."""
        http = self._http
        self.client_gone()
        if http is not None:
            http.finish()

    def client_gone(self) -> None:
        """End the session: it lasts as long as its stream."""
        http, self._http = self._http, None
        if http is None:
            return
        http.watch(None)
        self._unread.over()
        self._shared.keep_alive.over(self)
        self._shared.streams.remove(self.asker, self)
        self._left()
        live, self._live = self._live, None
        watchers, self._answers = self._answers, {}
        if live is not None:
            live.end("the client closed the stream of its session")
        for watcher in watchers.values():
            if watcher is not None:
                watcher.client_gone()


class _Answer:
    """The answer to one request (`answer.Outlet`): an event of the session's stream."""

    __slots__ = ("_session",)

    takes_events = True

    def __init__(self, session: SseSession) -> None:
        self._session = session

    def wait(self, watcher: Watcher) -> None:
        self._session.waiting(self, watcher)

    def event(self, message: bytes) -> None:
        self._session.send(message)

    def respond(self, status: int, response: bytes) -> None:
        self._session.send(response)
        self._session.answered(self)

    def drop(self) -> None:
        self._session.answered(self)


class _Initializing(Call):
    """Asks the service who it is; the session begins with the answer."""

    __slots__ = ("_initialized", "_session")

    era = Era.LEGACY

    def __init__(
        self,
        request_id: RequestId,
        out: Outlet,
        session: McpSession,
        initialized: Callable[[McpSession | None], None],
    ) -> None:
        super().__init__(request_id, out)
        self._session = session
        self._initialized = initialized

    def result(self, result: Raw) -> None:
        try:
            answered = initialize.answer(self._session, result)
        except JsonRpcError as error:
            self.error(error)
            return
        self._respond(OK, Response(self._id, answered))
        self._initialized(self._session)

    def error(self, error: JsonRpcError) -> None:
        response = error.response(self._id)
        if response.error is not None:
            response = Response(self._id, None, to_legacy_error("initialize", response.error))
        self._respond(OK, response)
        self._initialized(None)

    def notification(self, message: Notification) -> None:
        """Nothing comes before the session."""
