"""An exchange that the agent answers itself, as the endpoint of a server."""

from collections.abc import Callable
from typing import Final

from mcptunnel.agent.endpoint import MAX_UNSENT_BYTES, PIECE_BYTES, RequestRoom
from mcptunnel.mcp.client_half.http import (
    CONTENT_TOO_LARGE,
    NO_CONTENT,
    OK,
    STREAM_HEADERS,
    UNAVAILABLE,
    Watcher,
)
from mcptunnel.mcp.client_half.refusals import refuse
from mcptunnel.mcp.headers import JSON
from mcptunnel.mcp.passthrough import with_length
from mcptunnel.mcp.service import Asker
from mcptunnel.model import Headers, ResponseHead, header
from mcptunnel.net.exchange import Exchange, ExchangeFailure, ExchangeReceiver
from mcptunnel.wire.constants import ErrorCode

RETRY_AFTER_S: Final = 1
_OF_BODIES: Final[Headers] = (("content-type", JSON),)


class SpokenRequest(ExchangeReceiver):
    """One HTTP request and the way of its answer (`mcp.client_half.http.Http`).

    `answered` is called with its whole body. The body counts against `room` until there is an answer,
    or nobody waits for one.
    """

    __slots__ = (
        "_answered",
        "_exchange",
        "_is_slow",
        "_max_bytes",
        "_parts",
        "_room",
        "_size_bytes",
        "_watcher",
        "asker",
        "headers",
        "is_over",
        "method",
    )

    def __init__(
        self,
        exchange: Exchange,
        room: RequestRoom,
        max_bytes: int,
        answered: "Callable[[SpokenRequest, bytes], None]",
    ) -> None:
        self._exchange = exchange
        self._room = room
        self._max_bytes = max_bytes
        self._answered = answered
        head = exchange.request
        self.asker = Asker(head.principal, head.client)
        self.method: str = head.method
        self.headers: Headers = head.headers
        self._parts: list[bytes] = []
        self._size_bytes = 0
        self._watcher: Watcher | None = None
        self._is_slow = self.is_over = False

    # What the relay sends.

    def data_received(self, data: bytes) -> None:
        self._exchange.consumed(len(data))
        if self.is_over:
            return
        size_bytes = len(data) + PIECE_BYTES
        if size_bytes > self._room.free_bytes:
            self._over()
            text = "The device has no room for the request beside those that it works on."
            self._exchange.reset(ErrorCode.REFUSED_STREAM, text)
            return
        self._room.free_bytes -= size_bytes
        self._size_bytes += size_bytes
        self._parts.append(data)
        if self._size_bytes - PIECE_BYTES * len(self._parts) > self._max_bytes:
            text = (
                f"The body is larger than {self._max_bytes} bytes, which is all that is read here"
            )
            refuse(self, CONTENT_TOO_LARGE, text)

    def ended(self) -> None:
        if not self.is_over:
            body = b"".join(self._parts)
            self._parts.clear()
            self._answered(self, body)

    def failed(self, failure: ExchangeFailure) -> None:
        watcher = self._watcher
        self._over()
        if watcher is not None:
            watcher.client_gone()

    def drained(self) -> None:
        if self._is_slow:
            self._is_slow = False
            if self._watcher is not None:
                self._watcher.client_slow(False)

    # What the front answers.

    def answer(self, status: int, body: bytes = b"", headers: Headers = ()) -> None:
        if status == UNAVAILABLE and header(headers, "retry-after") is None:
            headers = (*headers, ("retry-after", str(RETRY_AFTER_S)))
        if body:
            headers = (*_OF_BODIES, *headers)
        length_bytes = None if status == NO_CONTENT else len(body)
        self._over()
        self._exchange.send_head(ResponseHead(status, with_length(headers, length_bytes)))
        if body:
            self._exchange.write(body)
        self._exchange.end()

    def start(self, headers: Headers = ()) -> None:
        self._exchange.send_head(ResponseHead(OK, (*STREAM_HEADERS, *headers)))

    def write(self, data: bytes) -> None:
        if self._exchange.write(data) > MAX_UNSENT_BYTES and not self._is_slow:
            self._is_slow = True
            if self._watcher is not None:
                self._watcher.client_slow(True)

    def write_soon(self, data: bytes) -> None:
        self.write(data)  # the tunnel joins what one turn writes

    def finish(self) -> None:
        self._over()
        self._exchange.end()

    def watch(self, watcher: Watcher | None) -> None:
        self._watcher = watcher

    def _over(self) -> None:
        """Make room for other requests."""
        self.is_over = True
        self._room.free_bytes += self._size_bytes
        self._size_bytes = 0
        self._parts.clear()
        self._watcher = None
