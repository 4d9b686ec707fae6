"""The stream on which a legacy HTTP server says what belongs to no call.

It is opened with GET, and again whenever it ends (2025-11-25, basic/transports, "Listening for Messages
from the Server").
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall

from mcptunnel.agent.servers.http_response import MessageResponse
from mcptunnel.mcp.headers import EVENT_STREAM, LAST_EVENT_ID_HEADER, media_type
from mcptunnel.mcp.jsonrpc import Message
from mcptunnel.model import Headers, ResponseHead, header
from mcptunnel.net.http1 import Client, RequestError, RequestFailed

FIRST_DELAY_S: Final = 1.0
LONGEST_DELAY_S: Final = 60.0
STEADY_AFTER_S: Final = 10.0
"""A stream that lasted so long was a good one."""


class EventStream:
    """Keeps one stream open from `open` to `close`.

    `message` hears what comes; `lost` that the server does not know the session any more. A server
    that offers no such stream, which it may, is not asked again.
    """

    def __init__(
        self,
        reactor: Any,
        client: Client,
        headers: Headers,
        *,
        message: Callable[[Message], None],
        lost: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._client = client
        self._headers = headers
        self._message = message
        self._lost = lost
        self._response: MessageResponse | None = None
        self._timer: IDelayedCall | None = None
        self._event_id = ""
        self._opened_s = 0.0
        self._delay_s = FIRST_DELAY_S
        self._was_open = False

    def open(self) -> None:
        """Ask for the stream."""
        self._timer = None
        self._opened_s = self._reactor.seconds()
        fields = (*self._headers, ("accept", EVENT_STREAM))
        if self._event_id:
            fields = (*fields, (LAST_EVENT_ID_HEADER, self._event_id))
        response = self._response = MessageResponse(self._message, self._over)
        try:
            response.call = self._client.request("GET", "", fields, b"", response)
        except RequestError:  # the client is closed, or will never send this
            self._response = None

    def close(self) -> None:
        """Drop the stream, and ask no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        response, self._response = self._response, None
        if response is not None and response.call is not None:
            response.call.abort()

    def _over(
        self, head: ResponseHead | None, _rest: bytes, _failure: RequestFailed | None
    ) -> None:
        response, self._response = self._response, None
        if response is None:
            return
        if head is not None and not _is_stream(head):
            if head.status == HTTPStatus.NOT_FOUND and self._was_open:
                self._lost()
                return
            if head.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                return
        self._was_open = self._was_open or head is not None
        self._event_id = response.last_event_id or self._event_id
        self._open_later(response.retry_ms)

    def _open_later(self, retry_ms: int | None) -> None:
        if self._reactor.seconds() - self._opened_s >= STEADY_AFTER_S:
            self._delay_s = FIRST_DELAY_S
        delay_s, self._delay_s = self._delay_s, min(2 * self._delay_s, LONGEST_DELAY_S)
        if retry_ms is not None:
            delay_s = max(delay_s, min(retry_ms / 1000, LONGEST_DELAY_S))
        self._timer = self._reactor.callLater(delay_s, self.open)


def _is_stream(head: ResponseHead) -> bool:
    kind = media_type(header(head.headers, "content-type"))
    return head.status == HTTPStatus.OK and kind == EVENT_STREAM
