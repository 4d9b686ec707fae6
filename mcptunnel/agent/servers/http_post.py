"""One POST to a local HTTP server, and its stream until the answer has come.

A server of 2025-11-25 may close the stream before that; it is then read on with GET (2025-11-25,
basic/transports, "Resumability and Redelivery"; SEP-1699).
"""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall

from mcptunnel.agent.servers.http_response import MessageResponse
from mcptunnel.mcp.headers import EVENT_STREAM, LAST_EVENT_ID_HEADER
from mcptunnel.mcp.jsonrpc import Message
from mcptunnel.model import Headers, ResponseHead
from mcptunnel.net.http1 import Call, Client, RequestError, RequestFailed

MAX_ATTEMPTS: Final = 5
"""To read on, in a row, without an event."""
RETRY_MS: Final = 1000
LONGEST_RETRY_MS: Final = 60_000

Over = Callable[[ResponseHead | None, bytes, RequestFailed | None], None]
_OK: Final = 200


class Post:
    """A request under way. `over` hears that no more will come, as in `MessageResponse`.

    `resume_headers` are those of a GET that reads on; None if the server cannot do that.
    """

    def __init__(
        self,
        reactor: Any,
        client: Client,
        resume_headers: Headers | None,
        message: Callable[[Message], None],
        over: Over,
    ) -> None:
        self._reactor = reactor
        self._client = client
        self._resume_headers = resume_headers
        self._message = message
        self._tell_over = over
        self._response: MessageResponse | None = None
        self._call: Call | None = None
        self._timer: IDelayedCall | None = None
        self._event_id: str | None = None
        self._attempts = 0
        self._is_paused = False
        self._is_over = False

    def send(self, headers: Headers, body: bytes) -> None:
        """Send the request. Raises RequestError."""
        self._ask("POST", headers, body, self._over)

    def pause(self) -> None:
        """Read no more for now."""
        self._is_paused = True
        if self._call is not None:
            self._call.pause()

    def resume(self) -> None:
        """Read again."""
        self._is_paused = False
        if self._call is not None:
            self._call.resume()

    def finish(self) -> None:
        """Know that the answer has come: what follows is of no interest."""
        self._is_over = True

    def abort(self) -> None:
        """Close the stream."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._call is not None:
            self._call.abort()

    def _ask(self, method: str, headers: Headers, body: bytes, over: Over) -> None:
        self._response = MessageResponse(self._message, over)
        self._call = self._client.request(method, "", headers, body, self._response)
        self._response.call = self._call
        if self._is_paused:
            self._call.pause()

    def _over(self, head: ResponseHead | None, rest: bytes, failure: RequestFailed | None) -> None:
        self._call = None
        if self._is_over:
            return
        if not self._reads_on(head, rest, failure):
            self._is_over = True
            self._tell_over(head, rest, failure)

    def _reads_on(
        self, head: ResponseHead | None, rest: bytes, failure: RequestFailed | None
    ) -> bool:
        """Ask for the rest of the stream after a while, if it said how."""
        response = self._response
        if self._resume_headers is None or response is None:
            return False
        if response.last_event_id not in (None, "", self._event_id):
            self._event_id = response.last_event_id
            self._attempts = 0
        if self._event_id is None or self._attempts >= MAX_ATTEMPTS:
            return False
        self._attempts += 1
        retry_ms = RETRY_MS if response.retry_ms is None else response.retry_ms
        delay_s = min(retry_ms, LONGEST_RETRY_MS) / 1000

        def read_on() -> None:
            self._timer = None
            self._read_on(lambda: self._tell_over(head, rest, failure))

        self._timer = self._reactor.callLater(delay_s, read_on)
        return True

    def _read_on(self, give_up: Callable[[], None]) -> None:
        def over(head: ResponseHead | None, rest: bytes, failure: RequestFailed | None) -> None:
            refused = head is not None and head.status != _OK
            if refused and not self._is_over:
                self._is_over = True
                give_up()
            else:
                self._over(head, rest, failure)

        headers = (
            *(self._resume_headers or ()),
            ("accept", EVENT_STREAM),
            (LAST_EVENT_ID_HEADER, self._event_id or ""),
        )
        try:
            self._ask("GET", headers, b"", over)
        except RequestError:
            self._is_over = True
            give_up()
