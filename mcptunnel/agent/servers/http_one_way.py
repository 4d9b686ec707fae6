"""Messages to a local HTTP server that have no answer: notifications, and answers to its pings."""

from collections import deque
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall

from mcptunnel.model import Headers, ResponseHead
from mcptunnel.net.http1 import Call, Client, RequestError, RequestFailed

MAX_ONE_WAY: Final = 8
"""At once; a server that takes none of them gets no more, and keeps no more of our connections."""
MAX_WAITING: Final = 4096
"""Of what a call or a listen depends on, so many wait for their turn."""
ONE_WAY_TIMEOUT_S: Final = 5.0
"""How long the server has to take one (with a status, that is all there is to it)."""


class OneWayPosts:
    """POSTs whose responses nobody reads. One that fails, or is one too many, changes nothing.

    As many as `max_waiting` wait for their turn.
    """

    def __init__(self, reactor: Any, client: Client, *, max_waiting: int = 0) -> None:
        self._reactor = reactor
        self._client = client
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[Headers, bytes]] = deque()
        self._open_count = 0

    def post(self, headers: Headers, body: bytes) -> None:
        """Send a message, if not too many are under way or wait. Raises RequestError."""
        if self._open_count >= MAX_ONE_WAY:
            if len(self._waiting) < self._max_waiting:
                self._waiting.append((headers, body))
            return
        response = _Unread(self)
        call = self._client.request("POST", "", headers, body, response)
        self._open_count += 1
        response.timer = self._reactor.callLater(ONE_WAY_TIMEOUT_S, self._give_up, call)

    def _give_up(self, call: Call) -> None:
        call.abort()
        self._next()

    def over(self, timer: IDelayedCall) -> None:
        """Take note of a response's end."""
        timer.cancel()
        self._next()

    def _next(self) -> None:
        self._open_count -= 1
        if self._waiting:
            headers, body = self._waiting.popleft()
            try:
                self.post(headers, body)
            except RequestError:
                self._waiting.clear()  # the client is closed


class _Unread:
    """The response to one of them (`net.http1.ResponseReceiver`)."""

    __slots__ = ("_posts", "timer")

    timer: IDelayedCall

    def __init__(self, posts: OneWayPosts) -> None:
        self._posts = posts

    def head_received(self, head: ResponseHead) -> None:
        pass

    def data_received(self, data: bytes) -> None:
        pass

    def ended(self) -> None:
        self._posts.over(self.timer)

    def failed(self, reason: RequestFailed) -> None:
        self._posts.over(self.timer)
