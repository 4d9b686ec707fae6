"""Messages to a local HTTP server that have no answer: notifications, and answers to its pings."""

from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall

from mcptunnel.model import Headers, ResponseHead
from mcptunnel.net.http1 import Call, Client, RequestFailed

MAX_ONE_WAY: Final = 8
"""At once; a server that takes none of them gets no more, and keeps no more of our connections."""
ONE_WAY_TIMEOUT_S: Final = 5.0
"""How long the server has to take one (with a status, that is all there is to it)."""


class OneWayPosts:
    """POSTs whose responses nobody reads. One that fails, or is one too many, changes nothing."""

    def __init__(self, reactor: Any, client: Client) -> None:
        self._reactor = reactor
        self._client = client
        self._open_count = 0

    def post(self, headers: Headers, body: bytes) -> None:
        """Send a message, if not too many are under way. Raises RequestError."""
        if self._open_count >= MAX_ONE_WAY:
            return
        response = _Unread(self)
        call = self._client.request("POST", "", headers, body, response)
        self._open_count += 1
        response.timer = self._reactor.callLater(ONE_WAY_TIMEOUT_S, self._give_up, call)

    def _give_up(self, call: Call) -> None:
        call.abort()
        self._open_count -= 1

    def over(self, timer: IDelayedCall) -> None:
        """Take note of a response's end."""
        timer.cancel()
        self._open_count -= 1


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
