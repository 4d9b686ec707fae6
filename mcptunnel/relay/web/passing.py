"""One transparent exchange, seen from the relay: a client's request and a local server's response."""

from typing import Final
from urllib.parse import quote_from_bytes

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from mcptunnel.mcp import sse
from mcptunnel.mcp.calls import MEANING
from mcptunnel.mcp.client_half.keep_alive import QUIET_SWEEPS, KeepAlive
from mcptunnel.mcp.headers import EVENT_STREAM, SESSION_HEADER, media_type
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, JsonRpcError
from mcptunnel.mcp.listens import LastingStream, is_lasting, lasting
from mcptunnel.mcp.passthrough import (
    body_length,
    refusal,
    request_headers,
    response_headers,
    with_length,
)
from mcptunnel.model import ExchangeKind, Outcome, RequestHead, ResponseHead, header
from mcptunnel.net.exchange import Exchange, ExchangeFailure, ExchangeReceiver
from mcptunnel.relay.access import Access
from mcptunnel.relay.devices import Device
from mcptunnel.relay.session_owners import SessionOwners
from mcptunnel.relay.web.late_error import Beginning, LateError
from mcptunnel.relay.web.request import RelayRequest
from mcptunnel.wire.constants import HIGH_WATER_BYTES, ErrorCode

NO_CONTENT: Final = 204
BAD_REQUEST: Final = 400
BAD_GATEWAY: Final = 502
UNAVAILABLE: Final = 503
RETRY_AFTER_S: Final = 1

LEAST_PIECE_BYTES: Final = 4096
"""Smaller pieces are joined while the client's connection is full, or many would take far more room than
their bytes."""

_ALWAYS: Final = (
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
)
"""Whatever a local server answers, no browser makes a page of it on the relay's origin."""

_SAFE: Final = "!\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
"""All that is visible in ASCII but `#`: a query is passed on as the client wrote it."""

_OF_STREAMS: Final = (("cache-control", "no-cache"), ("x-accel-buffering", "no"))


def request_head(http: RelayRequest, access: Access, server: str) -> RequestHead:
    """Return the head of the exchange; its path is the agent's to say, but for a query behind it."""
    fields = tuple(
        (name.decode("latin-1").lower(), value.decode("latin-1"))
        for name, values in http.requestHeaders.getAllRawHeaders()
        for value in values
    )
    return RequestHead(
        server,
        http.method.decode("latin-1"),
        _query(http.uri),
        with_length(request_headers(fields), http.body_in.length_bytes),
        str(access.principal),
        access.client,
        ExchangeKind.TRANSPARENT,
    )


def _query(target: bytes) -> str:
    """Return the query of a request's target with its question mark; what no target may hold is escaped."""
    query = target.partition(b"?")[2]
    return "?" + quote_from_bytes(query, _SAFE) if query else ""


@implementer(IPushProducer)
class Passing(ExchangeReceiver):
    """Hands on what comes, at the pace of whoever takes it, until one side ends it.

    Takes the client's body (`relay.web.body.BodyReceiver`) and the exchange's response. Credit goes
    back to the agent when the client's connection took the bytes; the client's body is read only as
    fast as it leaves through the tunnel.
    """

    def __init__(
        self,
        http: RelayRequest,
        access: Access,
        device: Device,
        server: str,
        owners: SessionOwners,
        session_id: str | None,
        keep_alive: KeepAlive,
    ) -> None:
        self._http = http
        self._access = access
        self._device = device
        self._server = server
        self._owners = owners
        self._session_id = session_id
        self._keep_alive = keep_alive
        self._boundary: sse.Boundary | None = None  # of a stream that may have comments
        self.was_heard = True
        self._exchange: Exchange | None = None
        self._beginning = Beginning()
        self._has_head = False
        self._left_bytes: int | None = None
        self._lasting: LastingStream | None = None
        self._full = False
        self._held_bytes = 0
        self._small = bytearray()

    def begin(self, exchange: Exchange) -> None:
        """Begin with an exchange that was opened for the request."""
        self._exchange = exchange
        self._http.when_gone = self._client_gone
        self._http.when_access_ended = self._access_ended
        self._http.body_in.hand_to(self)

    # The client's body.

    def body_received(self, data: bytes) -> None:
        if not self._has_head:
            self._beginning.add(data)
        if self._exchange is not None and self._exchange.write(data) > HIGH_WATER_BYTES:
            self._http.body_in.pause()

    def body_ended(self) -> None:
        self._beginning.end()
        if self._exchange is not None:
            self._exchange.end()

    def drained(self) -> None:
        self._http.body_in.resume()

    # The server's response.

    def head_received(self, head: ResponseHead) -> None:
        why = refusal(head.status)
        try:
            length_bytes = body_length(head.headers)
        except ValueError as error:
            why = f"answered with a head that cannot be used: {error}"
        if why is not None:
            self._drop(ErrorCode.CANCEL, why)
            self._fail(BAD_GATEWAY, f"The server {self._server!r} {why}.", Outcome.UNKNOWN)
            return
        self._note_session(head)
        self._has_head = True
        if self._exchange is not None:
            self._lasting = lasting(self._exchange.request, head)
        self._left_bytes = None if head.status == NO_CONTENT else length_bytes
        self._send_head(head)

    def _send_head(self, head: ResponseHead) -> None:
        http = self._http
        http.setResponseCode(head.status)
        fields = response_headers(head.headers)
        http.defaultContentType = b"application/octet-stream"
        if media_type(header(fields, "content-type")) == EVENT_STREAM:
            is_framed = self._left_bytes is not None or head.status == NO_CONTENT
            if not is_framed and header(fields, "content-encoding") is None:
                self._boundary = sse.Boundary()
                self._keep_alive.watch(self)
            fields = (*(field for field in _OF_STREAMS if not header(fields, field[0])), *fields)
        for name, value in (*fields, *_ALWAYS):
            http.responseHeaders.addRawHeader(name.encode(), value.encode("latin-1", "replace"))
        if self._left_bytes is not None:
            http.setHeader(b"content-length", b"%d" % self._left_bytes)
        http.registerProducer(self, True)
        http.write(b"")  # the head goes out before there is a body: a stream may be silent for long

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:
            return
        if self._left_bytes is not None:
            self._left_bytes -= len(data)
            if self._left_bytes < 0:
                self._break_off()
                return
        if self._lasting is not None:
            self._lasting.passed(data)
        if self._boundary is not None:
            self._boundary.passed(data)
            self.was_heard = True
        self._held_bytes += len(data)
        if self._full and len(self._small) + len(data) < LEAST_PIECE_BYTES:
            self._small += data
            return
        if self._small:
            self._small += data
            self._write_small()
        else:
            self._http.write(data)
        if not self._full:
            self._took()

    def keep_alive(self, quiet_sweeps: int) -> bool:
        """Write a comment (`keep_alive.QuietStream`): only while the server cannot reach the client."""
        exchange, boundary = self._exchange, self._boundary
        if (
            quiet_sweeps < QUIET_SWEEPS
            or self._full
            or exchange is None
            or not exchange.is_held
            or boundary is None
            or not boundary.is_reached
        ):
            return False
        self._http.write(sse.COMMENT)
        return True

    def ended(self) -> None:
        if self._exchange is None:
            return
        if self._left_bytes:
            self._break_off()
            return
        if not self._http.body_in.is_complete:
            self._drop(ErrorCode.CANCEL, "the answer is complete")
        self._write_small()
        self._finish()
        self._http.finish()

    def failed(self, failure: ExchangeFailure) -> None:
        if self._exchange is None:
            return
        self._exchange = None
        if self._has_head:
            self._break_off()
            return
        safe = failure.outcome is Outcome.NOT_DELIVERED
        text = f"{self._sentence(failure)} {MEANING[failure.outcome]}"
        self._fail(UNAVAILABLE if safe else BAD_GATEWAY, text, failure.outcome)

    def going_away(self) -> None:
        """End a stream that would last, as its server would; a call may go on."""
        if self._exchange is None or not is_lasting(self._exchange.request):
            return
        if not self._has_head:
            self._drop(ErrorCode.CANCEL, "going away")
            self._fail(
                UNAVAILABLE, "There is no stream now: somebody is stopping.", Outcome.UNKNOWN
            )
        elif self._lasting is not None:
            self._drop(ErrorCode.CANCEL, "going away")
            self._write_small()
            self._http.write(self._lasting.last_word(self._beginning.request_id))
            self._finish()
            self._http.finish()

    def _sentence(self, failure: ExchangeFailure) -> str:
        if failure.code is None:
            why = failure.text or "closed"
            return (
                f"The tunnel to the device {self._device.name!r} was lost before the server "
                f"{self._server!r} had answered ({why})."
            )
        return failure.text or f"The server {self._server!r} gave no answer."

    # Whose session it is.

    def _note_session(self, head: ResponseHead) -> None:
        place = (self._access, self._device, self._server)
        given = header(head.headers, SESSION_HEADER)
        if given is not None:
            self._owners.bind(*place, given)
        if self._session_id is None or head.status >= BAD_REQUEST:
            return
        if self._http.method == b"DELETE":
            self._owners.forget(*place, self._session_id)
        else:
            self._owners.bind(*place, self._session_id)

    # The client's connection.

    def pauseProducing(self) -> None:
        self._full = True

    def resumeProducing(self) -> None:
        self._full = False
        self._write_small()
        self._took()

    def _write_small(self) -> None:
        if self._small:
            small, self._small = bytes(self._small), bytearray()
            self._http.write(small)

    def stopProducing(self) -> None:
        """Nothing to do: `when_gone` tells."""

    def _took(self) -> None:
        held, self._held_bytes = self._held_bytes, 0
        if held and self._exchange is not None:
            self._exchange.consumed(held)

    def _client_gone(self) -> None:
        self._keep_alive.over(self)
        self._drop(ErrorCode.CANCEL, "the client closed the connection")

    def _access_ended(self, is_revoked: bool) -> None:
        """Drop the exchange, and leave the answer to be broken off; or end what would last."""
        if is_revoked:
            self._drop(ErrorCode.CANCEL, "the client's access was revoked")
        else:
            self.going_away()

    # How it ends.

    def _drop(self, code: ErrorCode, text: str) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.reset(code, text)

    def _break_off(self) -> None:
        """End the answer where it is, so that the client sees that it is not whole."""
        self._drop(ErrorCode.CANCEL, "the body is not what its head says")
        self._finish()
        self._http.abort()

    def _finish(self) -> None:
        self._keep_alive.over(self)
        self._exchange = None
        self._http.when_gone = None
        if self._has_head:
            self._http.unregisterProducer()

    def _fail(self, status: int, text: str, outcome: Outcome) -> None:
        self._http.when_gone = None
        error = JsonRpcError(INTERNAL_ERROR, text, {"outcome": outcome.value})
        retry_after_s = RETRY_AFTER_S if status == UNAVAILABLE else None
        LateError(self._http, status, error, retry_after_s, self._beginning).when_known()
