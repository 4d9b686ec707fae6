"""HTTP+SSE of 2024-11-05: one GET for all that the server says, and an endpoint for what it is told.

The stream begins with an event `endpoint`, whose data is the URL to POST to (2024-11-05,
basic/transports, "HTTP with SSE").
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from twisted.internet.defer import Deferred

from mcptunnel.agent.servers.http_handshake import Unusable
from mcptunnel.agent.servers.http_response import MessageResponse
from mcptunnel.mcp import sse
from mcptunnel.mcp.headers import EVENT_STREAM, JSON
from mcptunnel.mcp.jsonrpc import Message
from mcptunnel.model import Headers, ResponseHead
from mcptunnel.net.http1 import Call, Client, RequestError, RequestFailed

MAX_HELD: Final = 256
"""Messages that come before anybody takes them."""
MAX_POSTS: Final = 256
"""Under way at once: a server that takes no more is told no more."""

Failed = Callable[[str, bool], None]
"""Hears why a message was not taken, and whether it may have been."""


class OldChannel:
    """The way to one server, from `open` to `close`; over for good when its stream ends.

    `client` is one of the server's root, for this channel alone.
    """

    def __init__(self, client: Client, url: str, headers: Headers) -> None:
        self._client = client
        self._url = url
        self._headers = headers
        self._path = ""
        self._opened: Deferred[None] = Deferred()
        self._stream: Call | None = None
        self._posts: set[_Taken] = set()
        self._held: list[Message] = []
        self._message: Callable[[Message], None] = self._held.append
        self._closed: Callable[[str], None] | None = None
        self.problem = ""

    @property
    def was_open(self) -> bool:
        """Whether the server named an endpoint."""
        return bool(self._path)

    async def open(self) -> None:
        """Wait for the endpoint. Raises Unusable."""
        response = MessageResponse(self._take, self._over)
        response.other = self._other
        fields = (*self._headers, ("accept", EVENT_STREAM))
        try:
            stream = self._client.request("GET", _path(self._url), fields, b"", response)
        except RequestError as error:
            raise Unusable(f"cannot be asked: {error}") from error
        self._stream = response.call = stream
        await self._opened

    def attend(self, message: Callable[[Message], None], closed: Callable[[str], None]) -> None:
        """Hear from now on what comes, what has come already, and why it ends."""
        held, self._held = self._held, []
        self._message, self._closed = message, closed
        for one in held:
            message(one)
        if self.problem:
            closed(self.problem)

    def hold(self) -> None:
        """Keep what comes until somebody attends again."""
        self._message, self._closed = self._held.append, None

    def post(self, body: bytes, failed: Failed) -> None:
        """Send one message."""
        if self.problem or len(self._posts) >= MAX_POSTS:
            failed(self.problem or "takes no more messages", False)
            return
        taken = _Taken(self._posts, failed)
        fields = (*self._headers, ("content-type", JSON))
        try:
            call = self._client.request("POST", self._path, fields, body, taken)
        except RequestError as error:
            failed(f"cannot be asked: {error}", False)
            return
        taken.call = call
        self._posts.add(taken)

    async def close(self) -> None:
        """Drop everything; nobody hears of it."""
        self._closed = None
        self.problem = self.problem or "was left"
        if self._stream is not None:
            self._stream.abort()
        for taken in list(self._posts):
            taken.drop()
        await self._client.close()

    def _take(self, message: Message) -> None:
        if self._closed is not None or len(self._held) < MAX_HELD:
            self._message(message)

    def _other(self, event: sse.Event) -> None:
        if event.type != "endpoint" or self._opened.called:
            return
        found = urljoin(self._url, event.data.decode(errors="replace").strip())
        if not _same_origin(found, self._url):
            self._end("names an endpoint on another host")
            return
        self._path = _path(found)
        self._opened.callback(None)

    def _over(self, head: ResponseHead | None, _rest: bytes, failure: RequestFailed | None) -> None:
        if failure is not None:
            self._end(f"closed its stream: {failure.text}")
        else:
            self._end(f"ended its stream (HTTP status {0 if head is None else head.status})")

    def _end(self, problem: str) -> None:
        if self.problem:
            return
        self.problem = problem
        if self._stream is not None:
            self._stream.abort()
        if not self._opened.called:
            self._opened.errback(Unusable(problem))
        elif self._closed is not None:
            self._closed(problem)


class _Taken:
    """The response to a POST (`net.http1.ResponseReceiver`): its status is all there is to it."""

    __slots__ = ("_failed", "_posts", "call", "status")

    def __init__(self, posts: "set[_Taken]", failed: Failed) -> None:
        self._posts = posts
        self._failed = failed
        self.call: Call | None = None
        self.status = 0

    def head_received(self, head: ResponseHead) -> None:
        self.status = head.status

    def data_received(self, data: bytes) -> None:
        pass

    def ended(self) -> None:
        self._posts.discard(self)
        if self.status >= HTTPStatus.MULTIPLE_CHOICES:
            self._failed(f"answered with HTTP {self.status}", False)

    def failed(self, reason: RequestFailed) -> None:
        self._posts.discard(self)
        self._failed(f"gave no answer: {reason.text}", reason.may_have_run)

    def drop(self) -> None:
        """Be of no more interest."""
        self._posts.discard(self)
        if self.call is not None:
            self.call.abort()


def root_of(url: str) -> str:
    """Return the URL of a server's root."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _path(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _same_origin(one: str, other: str) -> bool:
    def origin(url: str) -> tuple[Any, ...]:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        return parts.scheme, parts.hostname, port, parts.username

    try:
        return origin(one) == origin(other)
    except ValueError:
        return False
