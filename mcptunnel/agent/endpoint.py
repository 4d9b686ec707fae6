"""The hub's calls on this agent's servers: an exchange in, a call on a local server, SSE or JSON out.

The relay sends one JSON-RPC message in the modern dialect. An answer that comes alone is a JSON
body; one that notifications precede is an event stream.
"""

from mcptunnel.agent.servers.interfaces import Cancel, LocalServer
from mcptunnel.mcp import jsonrpc, sse
from mcptunnel.mcp.calls import CallFailure
from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification, Request, Response
from mcptunnel.model import Outcome, ResponseHead
from mcptunnel.net.exchange import Exchange, ExchangeFailure, ExchangeReceiver
from mcptunnel.wire.constants import ErrorCode

JSON_HEAD = ResponseHead(200, (("content-type", "application/json"),))
BAD_REQUEST_HEAD = ResponseHead(400, (("content-type", "application/json"),))
MAX_REQUEST_BYTES = 64 * 1024 * 1024
"""A bound of the agent's own, whatever the relay allows its clients."""

EVENT_STREAM_HEAD = ResponseHead(200, (("content-type", "text/event-stream"),))


class HubCall(ExchangeReceiver):
    """One exchange of the hub, and the call on a local server that it becomes."""

    __slots__ = ("_body", "_cancel", "_exchange", "_server", "_size", "_streaming")

    def __init__(self, exchange: Exchange, server: LocalServer) -> None:
        self._exchange = exchange
        self._server = server
        self._body: list[bytes] = []
        self._size = 0
        self._cancel: Cancel | None = None
        self._streaming = False

    # What the relay sends.

    def data_received(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > MAX_REQUEST_BYTES:
            self._exchange.reset(
                ErrorCode.REFUSED_STREAM, f"The request is larger than {MAX_REQUEST_BYTES} bytes."
            )
            return
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
        self._cancel = self._server.call(message, self)

    def failed(self, failure: ExchangeFailure) -> None:
        if self._cancel is not None:
            self._cancel(failure.text or "the caller is gone")

    # What the local server answers.

    def notification(self, message: Notification) -> None:
        if not self._streaming:
            self._streaming = True
            self._exchange.send_head(EVENT_STREAM_HEAD)
        self._exchange.write(sse.encode(jsonrpc.encode(message)))

    def response(self, message: Response) -> None:
        body = jsonrpc.encode(message)
        if self._streaming:
            body = sse.encode(body)
        else:
            self._exchange.send_head(JSON_HEAD)
        self._exchange.write(body)
        self._exchange.end()

    def call_failed(self, failure: CallFailure) -> None:
        never_ran = failure.outcome is Outcome.NOT_DELIVERED
        self._exchange.reset(
            ErrorCode.REFUSED_STREAM if never_ran else ErrorCode.UNREACHABLE, failure.text
        )

    def _refuse(self, error: JsonRpcError) -> None:
        self._exchange.send_head(BAD_REQUEST_HEAD)
        self._exchange.write(jsonrpc.encode(error.response()))
        self._exchange.end()
