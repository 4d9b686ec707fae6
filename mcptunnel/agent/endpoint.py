"""The hub's calls on this agent's servers: an exchange in, a call on a local server, SSE or JSON out.

The relay sends one JSON-RPC message in the modern dialect. An answer that comes alone is a JSON
body; one that notifications precede is an event stream.
"""

from mcptunnel.agent.held_news import HeldNews
from mcptunnel.agent.servers.interfaces import LocalCall, LocalServer
from mcptunnel.mcp import jsonrpc, sse
from mcptunnel.mcp.calls import CallFailure
from mcptunnel.mcp.headers import LEGACY_CLIENT
from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification, Request, Response
from mcptunnel.mcp.server_half.listens import LISTEN
from mcptunnel.mcp.service import Asker
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Outcome, ResponseHead
from mcptunnel.net.exchange import Exchange, ExchangeFailure, ExchangeReceiver
from mcptunnel.wire.constants import ErrorCode

JSON_HEAD = ResponseHead(200, (("content-type", "application/json"),))
BAD_REQUEST_HEAD = ResponseHead(400, (("content-type", "application/json"),))

MAX_REQUESTS_BYTES = 64 * 1024 * 1024
"""All requests of an agent that are not answered yet, whatever the relay allows its clients."""

PIECE_BYTES = 64
"""What a piece of a request takes up beside its bytes, about."""

MAX_UNSENT_BYTES = 256 * 1024
"""With more than this unsent a call's progress is left out: its client reads too slowly.

What a listen tells is held instead, and each change told once.
"""

EVENT_STREAM_HEAD = ResponseHead(200, (("content-type", "text/event-stream"),))


class RequestRoom:
    """How much memory the open requests of an agent may take up, and do."""

    __slots__ = ("free_bytes",)

    def __init__(self, most_bytes: int = MAX_REQUESTS_BYTES) -> None:
        self.free_bytes = most_bytes


class HubCall(ExchangeReceiver):
    """One exchange of the hub, and the call on a local server that it becomes.

    Its request counts against `room` until it is over: what becomes of it in between is the
    server's affair, and it may lie in memory all the time.
    """

    __slots__ = (
        "_body",
        "_call",
        "_exchange",
        "_held",
        "_is_behind",
        "_room",
        "_server",
        "_size",
        "_streaming",
    )

    def __init__(self, exchange: Exchange, server: LocalServer, room: RequestRoom) -> None:
        self._exchange = exchange
        self._server = server
        self._room = room
        self._body: list[bytes] = []
        self._size = 0
        self._call: LocalCall | None = None
        self._streaming = False
        self._is_behind = False
        self._held: HeldNews | None = None  # of a listen, what it is behind with

    # What the relay sends.

    def data_received(self, data: bytes) -> None:
        size = len(data) + PIECE_BYTES
        if size > self._room.free_bytes:
            self._over()
            self._exchange.reset(
                ErrorCode.REFUSED_STREAM,
                "The device has no room for the request beside those that it works on.",
            )
            return
        self._room.free_bytes -= size
        self._size += size
        self._body.append(data)
        self._exchange.consumed(len(data))

    def ended(self) -> None:
        try:
            message = jsonrpc.parse(b"".join(self._body))
        except JsonRpcError as error:
            self._refuse(error)
            return
        self._body.clear()
        if not isinstance(message, Request):
            self._refuse(JsonRpcError(jsonrpc.INVALID_REQUEST, "Expected a request"))
            return
        head = self._exchange.request
        if message.method == LISTEN:
            self._held = HeldNews()
        era = Era.LEGACY if LEGACY_CLIENT in head.headers else Era.MODERN
        self._call = self._server.call(message, self, Asker(head.principal, head.client, era))

    def failed(self, failure: ExchangeFailure) -> None:
        self._over()
        if self._call is not None:
            self._call.cancel(failure.text or "the caller is gone")

    def drained(self) -> None:
        if not self._is_behind:
            return
        self._is_behind = False
        for message in () if self._held is None else self._held.take():
            self._write_event(sse.encode(message))
        if self._call is not None and not self._is_behind:
            self._call.resume()

    # What the local server answers.

    def notification(self, message: Notification) -> None:
        if not self._is_behind:
            self._write_event(sse.encode(jsonrpc.encode(message)))
        elif self._held is not None:
            self._held.add(message)

    def _write_event(self, event: bytes) -> None:
        if not self._streaming:
            self._streaming = True
            self._exchange.send_head(EVENT_STREAM_HEAD)
        unsent_bytes = self._exchange.write(event)
        if unsent_bytes > MAX_UNSENT_BYTES and not self._is_behind:
            self._is_behind = True
            if self._call is not None:
                self._call.pause()

    def response(self, message: Response) -> None:
        self._over()
        body = jsonrpc.encode(message)
        if self._streaming:
            body = sse.encode(body)
        else:
            self._exchange.send_head(JSON_HEAD)
        self._exchange.write(body)
        self._exchange.end()

    def call_failed(self, failure: CallFailure) -> None:
        self._over()
        never_ran = failure.outcome is Outcome.NOT_DELIVERED
        self._exchange.reset(
            ErrorCode.REFUSED_STREAM if never_ran else ErrorCode.UNREACHABLE, failure.text
        )

    def _refuse(self, error: JsonRpcError) -> None:
        self._over()
        self._exchange.send_head(BAD_REQUEST_HEAD)
        self._exchange.write(jsonrpc.encode(error.response()))
        self._exchange.end()

    def _over(self) -> None:
        """Make room for other requests."""
        self._room.free_bytes += self._size
        self._size = 0
        self._body.clear()
