"""One request of the hub to one server: an exchange, read as JSON-RPC messages."""

from io import SEEK_END, BytesIO

from mcptunnel.mcp import jsonrpc, sse
from mcptunnel.mcp.calls import CallFailure, CallReceiver
from mcptunnel.mcp.headers import LEGACY_CLIENT, is_json
from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification, Request, Response
from mcptunnel.mcp.versions import Era
from mcptunnel.model import ExchangeKind, Outcome, RequestHead, ResponseHead, header
from mcptunnel.net.errors import printable
from mcptunnel.net.exchange import Exchange, ExchangeFailure, ExchangeReceiver
from mcptunnel.relay.devices import Device
from mcptunnel.relay.hub.open_calls import STEP_BYTES, OpenCalls
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.errors import GoingAway, TooManyStreams

PATH = "/mcp"

MAX_TOLD_CHARS = 1000
"""What a client is told of an agent's words about a failure."""

_HEADERS = (("content-type", "application/json"),)
_LEGACY_HEADERS = (*_HEADERS, LEGACY_CLIENT)


class ServerCall(ExchangeReceiver):
    """A call under way. The receiver hears of it until it is over or `cancel`led.

    While `hold` is set, credit for what arrived is kept back, so that a slow client slows down its
    own call and nothing else. What it keeps counts among `calls`, of all its user's; and a call that
    is silent for too long fails.
    """

    __slots__ = (
        "_body",
        "_calls",
        "_device",
        "_exchange",
        "_holding",
        "_max_bytes",
        "_parser",
        "_receiver",
        "_server",
        "_uncredited_bytes",
        "kept_bytes",
        "patience_s",
        "quiet_since_s",
        "was_heard",
    )

    def __init__(
        self, server: str, receiver: CallReceiver, calls: OpenCalls, max_result_bytes: int
    ) -> None:
        self._server = server
        self._device: Device | None = None
        self._receiver: CallReceiver | None = receiver  # None once it has heard the end
        self._calls = calls
        self._max_bytes = max_result_bytes
        self._exchange: Exchange | None = None
        self._parser: sse.Parser | None = None
        self._body: BytesIO | None = None
        self._holding = False
        self._uncredited_bytes = 0
        self.kept_bytes = 0
        self.patience_s = calls.timeout_s
        self.quiet_since_s = 0.0
        self.was_heard = True

    def send(
        self,
        device: Device,
        request: Request,
        *,
        principal: str,
        client: str,
        era: Era = Era.MODERN,
    ) -> None:
        """Open the exchange; the receiver hears at once if that cannot be done."""
        headers = _HEADERS if era is Era.MODERN else _LEGACY_HEADERS
        head = RequestHead(self._server, "POST", PATH, headers, principal, client, ExchangeKind.HUB)
        self._device = device
        body = jsonrpc.encode(request)
        tunnel = device.tunnel
        try:
            if tunnel is None:
                raise GoingAway(f"The device {device.name!r} is not connected.")
            if len(body) > STEP_BYTES and not self._keeps(len(body)):
                raise GoingAway("Your calls under way hold all the memory there is for them.")
            exchange = tunnel.open(head, self)
        except (GoingAway, TooManyStreams) as error:
            self._end(CallFailure(str(error), Outcome.NOT_DELIVERED))
            return
        self._exchange = exchange
        self._calls.watch(self)
        exchange.write(body)
        exchange.end()

    def cancel(self, reason: str) -> None:
        """Give up; the agent tells the server, and the receiver hears nothing more."""
        self._receiver = None
        self._drop(ErrorCode.CANCEL, reason)

    def hold(self, holding: bool) -> None:
        """Keep credit back, or give it."""
        self._holding = holding
        if not holding and self._uncredited_bytes and self._exchange is not None:
            self._exchange.consumed(self._uncredited_bytes)
            self._uncredited_bytes = 0

    def client_gone(self) -> None:
        """Go on without anybody who waits: in the legacy eras to leave is not to cancel."""
        self.hold(False)

    # Bounds (`open_calls`).

    def count_bytes(self) -> int:
        """Return what is kept: of the request what was not sent, of the result what has come."""
        unsent_bytes = 0 if self._exchange is None else self._exchange.unsent_bytes
        return unsent_bytes + self._unfinished_bytes()

    def timed_out(self) -> None:
        """Fail: the agent has said nothing for too long."""
        self._fail(f"has been silent for {self.patience_s:g} s")

    def drop(self) -> None:
        """Drop what the agent has not ended, though it has answered."""
        self._drop(ErrorCode.NO_ERROR, "answered")

    # What the agent sends.

    def head_received(self, head: ResponseHead) -> None:
        self.was_heard = True
        content_type = header(head.headers, "content-type") or ""
        if content_type.startswith("text/event-stream"):
            self._parser = sse.Parser(self._max_bytes)
        elif not is_json(content_type):
            self._fail(f"answered with HTTP {head.status} and no JSON")

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None or self._receiver is None:
            return
        self.was_heard = True
        if self._holding:
            self._uncredited_bytes += len(data)
        else:
            exchange.consumed(len(data))
        if self._parser is None:
            self._take_body(data)
        else:
            self._take_events(self._parser, data)
        grown_bytes = self._unfinished_bytes() - self.kept_bytes
        if grown_bytes > STEP_BYTES and not self._keeps(grown_bytes):
            self._fail("sent more than there is memory for beside your other calls under way")

    def ended(self) -> None:
        if self._receiver is not None and self._body is not None:
            self._message(self._body.getvalue())
        if self._receiver is not None:
            self._fail("ended its answer without a result")
        self._close()

    def failed(self, failure: ExchangeFailure) -> None:
        self._end(CallFailure(self._sentence(failure), failure.outcome))

    def _take_body(self, data: bytes) -> None:
        body = self._body
        if body is None:
            body = self._body = BytesIO(data)  # which copies nothing, unless there is more
            body.seek(0, SEEK_END)
        else:
            body.write(data)
        if body.tell() > self._max_bytes:
            self._fail(f"sent a result of more than {self._max_bytes} bytes")

    def _take_events(self, parser: sse.Parser, data: bytes) -> None:
        try:
            found = parser.feed(data)
        except sse.EventTooLarge:
            self._fail(f"sent an event of more than {self._max_bytes} bytes")
            return
        for event in found:
            self._message(event.data)

    def _unfinished_bytes(self) -> int:
        if self._parser is not None:
            return self._parser.held_bytes
        return 0 if self._body is None else self._body.tell()

    def _keeps(self, count_bytes: int) -> bool:
        device = self._device
        return device is None or self._calls.keeps(self, device.principal, count_bytes)

    def _sentence(self, failure: ExchangeFailure) -> str:
        if failure.code is None:
            why = printable(failure.text, MAX_TOLD_CHARS) or "closed"
            name = "" if self._device is None else self._device.name
            return (
                f"The tunnel to the device {name!r} was lost before the server "
                f"{self._server!r} had answered ({why})."
            )
        told = printable(failure.text, MAX_TOLD_CHARS)
        return told or f"The server {self._server!r} gave no answer."

    def _message(self, body: bytes) -> None:
        receiver = self._receiver
        if receiver is None or not body:
            return
        try:
            message = jsonrpc.parse(body)
        except JsonRpcError as error:
            self._fail(f"sent something that is no JSON-RPC message ({error})")
            return
        if isinstance(message, Notification):
            receiver.notification(message)
        elif isinstance(message, Response):
            self._receiver = None
            if self._parser is not None:
                self._calls.answered(self)
            receiver.response(message)

    # The end.

    def _fail(self, detail: str) -> None:
        receiver, self._receiver = self._receiver, None
        self._drop(ErrorCode.CANCEL, detail)
        if receiver is not None:
            text = f"The server {self._server!r} {detail}."
            receiver.call_failed(CallFailure(text, Outcome.UNKNOWN))

    def _end(self, failure: CallFailure) -> None:
        receiver, self._receiver = self._receiver, None
        self._close()
        if receiver is not None:
            receiver.call_failed(failure)

    def _drop(self, code: ErrorCode, text: str) -> None:
        exchange = self._exchange
        self._close()
        if exchange is not None:
            exchange.reset(code, text)

    def _close(self) -> None:
        """Let go of everything, and be counted no more."""
        self._exchange = self._parser = self._body = None
        self._calls.over(self)
        if self.kept_bytes and self._device is not None:
            self._calls.keeps_nothing(self, self._device.principal)
