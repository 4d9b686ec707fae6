"""Transparent exchanges: bytes pass between the tunnel and a local HTTP server, unread, both ways.

Whoever is slow slows down its own exchange and nothing else. Credit for the request goes back to the
relay when the server's connection took the bytes; the response is read only as fast as it leaves.
"""

from mcptunnel.agent.servers.interfaces import Passage, UnderWay
from mcptunnel.agent.transparent.passed_sessions import PassedSessions
from mcptunnel.mcp.passthrough import body_length, request_headers, response_headers, with_length
from mcptunnel.model import Headers, ResponseHead
from mcptunnel.net.exchange import Exchange, ExchangeFailure, ExchangeReceiver
from mcptunnel.net.http1 import RequestError, RequestFailed, Upload
from mcptunnel.wire.constants import HIGH_WATER_BYTES, ErrorCode
from mcptunnel.wire.errors import LocalProtocolError

MAX_WHOLE_BYTES = 64 * 1024
"""A body that says it is no longer than this is sent in one piece, once it is complete: then its
connection can be used again, and no server waits for the rest of a small request."""


MOST_HELD_BYTES = 16 * 1024
"""What is held of it without credit for more: less than the smallest window."""


class PassedRequest(ExchangeReceiver):
    """The way from the tunnel to the server.

    Raises ValueError and RequestError if the head cannot be passed on.
    """

    __slots__ = ("_body", "_call", "_exchange", "_held_bytes", "_passage", "_response", "_upload")

    def __init__(
        self, exchange: Exchange, passage: Passage, server: str, sessions: PassedSessions
    ) -> None:
        self._exchange = exchange
        self._passage = passage
        self._response = PassedResponse(exchange, server, passage, sessions)
        self._body = bytearray()
        self._held_bytes = 0
        self._call: UnderWay | None = None
        self._upload: Upload | None = None
        length_bytes = body_length(exchange.request.headers)
        if length_bytes is None or length_bytes > MAX_WHOLE_BYTES:
            self._upload = Upload(length_bytes, self._took)
            self._send(self._upload)

    def data_received(self, data: bytes) -> None:
        if self._response.over:  # the answer is complete: the rest interests nobody
            self._exchange.consumed(len(data))
            return
        self._held_bytes += len(data)
        if self._upload is None:
            self._body += data
            if len(self._body) > MAX_WHOLE_BYTES:
                self._break("The body is longer than its head says")
            elif self._held_bytes > MOST_HELD_BYTES:
                self._took()  # or the rest could not come
            return
        try:
            self._upload.write(data)
        except RequestError as error:
            self._break(str(error))
            return
        if not self._upload.is_full:
            self._took()

    def ended(self) -> None:
        if self._response.over:
            return
        try:
            if self._upload is None:
                self._send(bytes(self._body))
                self._body.clear()
            else:
                self._upload.end()
        except RequestError as error:
            self._break(str(error))

    def drained(self) -> None:
        if self._call is not None:
            self._call.resume()

    def failed(self, failure: ExchangeFailure) -> None:
        self._abort()

    def _send(self, body: bytes | Upload) -> None:
        request, passage = self._exchange.request, self._passage
        ours = passage.headers
        names = {name for name, _ in ours}
        theirs: Headers = tuple(
            field for field in request_headers(request.headers) if field[0] not in names
        )
        query = request.path if passage.takes_query and request.path.startswith("?") else ""
        self._call = passage.client.request(
            request.method, query, (*theirs, *ours), body, self._response
        )
        self._response.call = self._call

    def _took(self) -> None:
        """Return credit for what the connection took."""
        held, self._held_bytes = self._held_bytes, 0
        self._exchange.consumed(held)

    def _break(self, text: str) -> None:
        untouched = self._call is None
        self._abort()
        code = ErrorCode.REFUSED_STREAM if untouched else ErrorCode.PROTOCOL_ERROR
        self._exchange.reset(code, f"The request cannot be passed on: {text}.")

    def _abort(self) -> None:
        self._response.over = True
        if self._call is not None:
            self._call.abort()


class PassedResponse:
    """The way back (`net.http1.ResponseReceiver`). `over` when it is complete or given up."""

    __slots__ = ("_exchange", "_passage", "_server", "_sessions", "call", "over")

    def __init__(
        self, exchange: Exchange, server: str, passage: Passage, sessions: PassedSessions
    ) -> None:
        self._exchange = exchange
        self._sessions = sessions
        self._server = server
        self._passage = passage
        self.call: UnderWay | None = None
        self.over = False

    def head_received(self, head: ResponseHead) -> None:
        self._sessions.answered(self._exchange.request, head, self._passage)
        passed = with_length(response_headers(head.headers), body_length(head.headers))
        try:
            self._exchange.send_head(ResponseHead(head.status, passed))
        except LocalProtocolError as error:
            self._give_up(ErrorCode.UNREACHABLE, f"answered with a head too large ({error})")
            if self.call is not None:
                self.call.abort()

    def data_received(self, data: bytes) -> None:
        if self._exchange.write(data) > HIGH_WATER_BYTES and self.call is not None:
            self.call.pause()

    def ended(self) -> None:
        self.over = True
        self._exchange.end()

    def failed(self, reason: RequestFailed) -> None:
        if reason.may_have_run:
            self._give_up(ErrorCode.UNREACHABLE, f"gave no whole answer: {reason.text}")
        else:
            self._give_up(ErrorCode.REFUSED_STREAM, f"cannot be reached: {reason.text}")
            self._passage.unreachable()

    def _give_up(self, code: ErrorCode, detail: str) -> None:
        self.over = True
        self._exchange.reset(code, f"The server {self._server!r} {detail}.")
