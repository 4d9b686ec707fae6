"""The HTTP answer to one POSTed request: one JSON body, or an event stream once there is news."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from msgspec import Raw
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from mcptunnel.mcp import jsonrpc, sse
from mcptunnel.mcp.client_half.translate import to_legacy_error, to_legacy_result
from mcptunnel.mcp.eras import OK, http_status
from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification, Request, Response
from mcptunnel.mcp.service import Running
from mcptunnel.mcp.versions import Era
from mcptunnel.relay.web.answers import send_body
from mcptunnel.relay.web.keep_alive import QUIET_SWEEPS, KeepAlive
from mcptunnel.relay.web.request import RelayRequest

ACCEPTED: Final = 202

_STREAM_HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
)


class _State(Enum):
    OPEN = auto()
    GONE = auto()  # a legacy client that closed its connection; its call runs on
    OVER = auto()


@implementer(IPushProducer)
class Reply:
    """Answers one request (`mcp.service.Caller`).

    An answer that takes long becomes an event stream with comments, for who takes streams. A client that takes no event streams gets no notifications, only the result. `done` is called
    once, when the request is over, however that came.
    """

    def __init__(
        self,
        http: RelayRequest,
        request: Request,
        era: Era,
        accepts: tuple[bool, bool],
        keep_alive: KeepAlive,
        done: Callable[[], None] | None = None,
    ) -> None:
        self._http = http
        self._id, self._method = request.id, request.method  # and nothing more: requests are large
        self._era = era
        self._takes_json, self._takes_stream = accepts
        self._keep_alive = keep_alive
        self._done = done
        self._state = _State.OPEN
        self._streaming = False
        self._running: Running | None = None
        self._is_full = False
        self.was_heard = True

    def run(self, running: Running | None) -> None:
        """Note what is answering, if that takes longer."""
        if self._state is _State.OPEN:
            self._running = running
            self._http.when_gone = self._client_gone
            if self._takes_stream:
                self._keep_alive.watch(self)

    def cancel(self, reason: str) -> None:
        """Give up on the client's word; a cancelled request gets no answer."""
        if self._running is not None:
            self._running.cancel(reason)
        if self._state is _State.OPEN:
            if not self._streaming:
                self._http.setResponseCode(ACCEPTED)
                self._http.setHeader(b"content-length", b"0")
            self._finish()
        self._settle()

    # What the hub says.

    def result(self, result: Raw) -> None:
        if self._state is not _State.OPEN:
            self._settle()
            return
        if self._era is Era.LEGACY:
            try:
                result = to_legacy_result(self._method, result)
            except JsonRpcError as error:
                self.error(error)
                return
        self._answer(OK, Response(self._id, result))

    def error(self, error: JsonRpcError) -> None:
        if self._state is not _State.OPEN:
            self._settle()
            return
        response = error.response(self._id)
        if self._era is Era.LEGACY and response.error is not None:
            response = Response(response.id, None, to_legacy_error(response.error))
        self._answer(http_status(error, self._era), response)

    def notification(self, message: Notification) -> None:
        if self._state is _State.OPEN and self._takes_stream:
            self._start_stream()
            self._http.write_soon(sse.encode(jsonrpc.encode(message)))
            self.was_heard = True

    # The HTTP side.

    def keep_alive(self, quiet_sweeps: int) -> bool:
        """Write a comment (`keep_alive.QuietStream`); an answer that takes long becomes a stream."""
        if self._is_full or (self._streaming and quiet_sweeps < QUIET_SWEEPS):
            return False
        self._start_stream()
        self._http.write(sse.COMMENT)
        return True

    def _answer(self, status: int, response: Response) -> None:
        body = jsonrpc.encode(response)
        if self._streaming or (status == OK and not self._takes_json):
            self._start_stream()
            self._http.write(sse.encode(body))
            self._finish()
        else:
            self._http.when_gone = None
            send_body(self._http, status, body)
        self._settle()

    def _start_stream(self) -> None:
        if self._streaming:
            return
        self._streaming = True
        for name, value in _STREAM_HEADERS:
            self._http.setHeader(name, value)
        self._http.registerProducer(self, True)

    def _finish(self) -> None:
        self._http.when_gone = None
        if self._streaming:
            self._http.unregisterProducer()
        self._http.finish()

    def _client_gone(self) -> None:
        """Hear that the connection is closed: so modern clients cancel, but legacy ones do not."""
        running = self._running
        self._keep_alive.over(self)
        if self._era is Era.LEGACY:
            self._state = _State.GONE
            if running is not None:
                running.client_gone()
            return
        if running is not None:
            running.cancel("the client closed the stream")
        self._settle()

    def _settle(self) -> None:
        self._state = _State.OVER
        self._running = None
        self._keep_alive.over(self)
        done, self._done = self._done, None
        if done is not None:
            done()

    # The client's connection, when it is slower than the server.

    def pauseProducing(self) -> None:
        self._is_full = True
        if self._running is not None:
            self._running.hold(True)

    def resumeProducing(self) -> None:
        self._is_full = False
        if self._running is not None:
            self._running.hold(False)

    def stopProducing(self) -> None:
        """Nothing to do: `when_gone` tells."""
