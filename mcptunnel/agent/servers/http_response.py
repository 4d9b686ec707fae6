"""The response to one POST to a local HTTP server: JSON-RPC messages, one or many."""

from collections.abc import Callable

from mcptunnel.mcp import jsonrpc, sse
from mcptunnel.mcp.headers import EVENT_STREAM, media_type
from mcptunnel.mcp.jsonrpc import Batch, JsonRpcError, Message
from mcptunnel.mcp.server_half.unreadable import failed_answer
from mcptunnel.model import ResponseHead, header
from mcptunnel.net.http1 import Call, RequestFailed

MAX_MESSAGE_BYTES = 64 * 1024 * 1024


class MessageResponse:
    """Takes the response to a POST (`net.http1.ResponseReceiver`).

    `message(message)` is called for every message of an event stream; then
    `over(head, body, failure)` once: `body` is what was no event stream, `failure` is set if the
    response is not whole. `other(event)` hears of events that are no messages. `last_event_id` and `retry_ms` are what the stream said last about resuming.
    """

    def __init__(
        self,
        message: Callable[[Message], None],
        over: Callable[[ResponseHead | None, bytes, RequestFailed | None], None],
    ) -> None:
        self._message = message
        self._over = over
        self.head: ResponseHead | None = None
        self._parser: sse.Parser | None = None
        self._body: list[bytes] = []
        self._size = 0
        self.call: Call | None = None
        self.last_event_id: str | None = None
        self.retry_ms: int | None = None
        self.other: Callable[[sse.Event], None] | None = None

    def head_received(self, head: ResponseHead) -> None:
        self.head = head
        if media_type(header(head.headers, "content-type")) == EVENT_STREAM:
            self._parser = sse.Parser(MAX_MESSAGE_BYTES)

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            self._size += len(data)
            if self._size > MAX_MESSAGE_BYTES:
                self._abort(f"the body has more than {MAX_MESSAGE_BYTES} bytes")
            else:
                self._body.append(data)
            return
        try:
            events = self._parser.feed(data)
        except sse.EventTooLarge as error:
            for event in error.events:
                self._take(event)
            self._abort(f"an event has more than {MAX_MESSAGE_BYTES} bytes")
            return
        for event in events:
            self._take(event)

    def ended(self) -> None:
        self._over(self.head, b"".join(self._body), None)

    def failed(self, reason: RequestFailed) -> None:
        self._over(self.head, b"".join(self._body), reason)

    def _take(self, event: sse.Event) -> None:
        self.last_event_id = event.id
        if event.retry_ms is not None:
            self.retry_ms = event.retry_ms
        if event.type == "message":
            self._read(event.data)
        elif self.other is not None:
            self.other(event)

    def _read(self, data: bytes) -> None:
        if not data:  # priming events of 2025-11-25 carry only an id
            return
        message: Message | Batch | None
        try:
            message = jsonrpc.parse(data)
        except JsonRpcError as error:
            message = failed_answer(data, error)
        if not (message is None or isinstance(message, Batch)):
            self._message(message)

    def _abort(self, text: str) -> None:
        if self.call is not None:
            self.call.abort()
        self._over(self.head, b"", RequestFailed(text, may_have_run=True))
