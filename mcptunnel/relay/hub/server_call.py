"""One request of the hub to one server: an exchange, read as JSON-RPC messages."""

from mcptunnel.mcp import jsonrpc, sse
from mcptunnel.mcp.calls import CallFailure, CallReceiver
from mcptunnel.mcp.headers import is_json
from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification, Request, Response
from mcptunnel.model import ExchangeKind, Outcome, RequestHead, ResponseHead, header
from mcptunnel.net.errors import printable
from mcptunnel.net.exchange import Exchange, ExchangeFailure, ExchangeReceiver
from mcptunnel.relay.devices import Device
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.errors import GoingAway, TooManyStreams

PATH = "/mcp"

MAX_TOLD_CHARS = 1000
"""What a client is told of an agent's words about a failure."""

_HEADERS = (("content-type", "application/json"),)


class ServerCall(ExchangeReceiver):
    """A call under way. The receiver hears of it until it is over or `cancel`led.

    While `hold` is set, credit for what arrived is kept back, so that a slow client slows down its
    own call and nothing else.
    """

    __slots__ = (
        "_body",
        "_device",
        "_exchange",
        "_held_bytes",
        "_holding",
        "_max_bytes",
        "_parser",
        "_receiver",
        "_server",
        "_size",
    )

    def __init__(self, server: str, receiver: CallReceiver, max_result_bytes: int) -> None:
        self._server = server
        self._device = ""
        self._receiver = receiver
        self._max_bytes = max_result_bytes
        self._exchange: Exchange | None = None
        self._parser: sse.Parser | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._holding = False
        self._held_bytes = 0

    def send(self, device: Device, request: Request, *, principal: str, client: str) -> None:
        """Open the exchange; the receiver hears at once if that cannot be done."""
        head = RequestHead(
            self._server, "POST", PATH, _HEADERS, principal, client, ExchangeKind.HUB
        )
        self._device = device.name
        tunnel = device.tunnel
        try:
            if tunnel is None:
                raise GoingAway(f"The device {device.name!r} is not connected.")
            exchange = tunnel.open(head, self)
        except (GoingAway, TooManyStreams) as error:
            self._receiver.call_failed(CallFailure(str(error), Outcome.NOT_DELIVERED))
            return
        self._exchange = exchange
        exchange.write(jsonrpc.encode(request))
        exchange.end()

    def cancel(self, reason: str) -> None:
        """Give up; the agent tells the server, and the receiver hears nothing more."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.reset(ErrorCode.CANCEL, reason)

    def hold(self, holding: bool) -> None:
        """Keep credit back, or give it."""
        self._holding = holding
        if not holding and self._held_bytes and self._exchange is not None:
            self._exchange.consumed(self._held_bytes)
            self._held_bytes = 0

    # What the agent sends.

    def head_received(self, head: ResponseHead) -> None:
        content_type = header(head.headers, "content-type") or ""
        if content_type.startswith("text/event-stream"):
            self._parser = sse.Parser(self._max_bytes)
        elif not is_json(content_type):
            self._fail(f"answered with HTTP {head.status} and no JSON")

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        if self._holding:
            self._held_bytes += len(data)
        else:
            exchange.consumed(len(data))
        if self._parser is None:
            self._size += len(data)
            if self._size > self._max_bytes:
                self._fail(f"sent a result of more than {self._max_bytes} bytes")
                return
            self._body.append(data)
            return
        try:
            found = self._parser.feed(data)
        except sse.EventTooLarge:
            self._fail(f"sent an event of more than {self._max_bytes} bytes")
            return
        for event in found:
            self._message(event.data)

    def ended(self) -> None:
        if self._exchange is None:
            return
        if self._parser is None:
            self._message(b"".join(self._body))
        if self._exchange is not None:
            self._fail("ended its answer without a result")

    def failed(self, failure: ExchangeFailure) -> None:
        if self._exchange is not None:
            self._exchange = None
            self._receiver.call_failed(CallFailure(self._sentence(failure), failure.outcome))

    def _sentence(self, failure: ExchangeFailure) -> str:
        if failure.code is None:
            why = printable(failure.text, MAX_TOLD_CHARS) or "closed"
            return (
                f"The tunnel to the device {self._device!r} was lost before the server "
                f"{self._server!r} had answered ({why})."
            )
        told = printable(failure.text, MAX_TOLD_CHARS)
        return told or f"The server {self._server!r} gave no answer."

    def _message(self, body: bytes) -> None:
        if self._exchange is None or not body:
            return
        try:
            message = jsonrpc.parse(body)
        except JsonRpcError as error:
            self._fail(f"sent something that is no JSON-RPC message ({error})")
            return
        if isinstance(message, Notification):
            self._receiver.notification(message)
        elif isinstance(message, Response):
            self._exchange = None
            self._receiver.response(message)

    def _fail(self, detail: str) -> None:
        self.cancel(detail)
        self._receiver.call_failed(
            CallFailure(f"The server {self._server!r} {detail}.", Outcome.UNKNOWN)
        )
