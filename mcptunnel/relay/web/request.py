"""HTTP requests of the relay: bodies in memory and bounded, and word when the client goes away."""

from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.http import Request as HTTPRequest
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from mcptunnel.model import Headers
from mcptunnel.relay.web.answers import error_body

CONTENT_TOO_LARGE = 413
DISCARD_FACTOR = 16


class RelayRequest(Request):
    """A request whose body may have so many bytes and no more.

    `when_gone`, if set, is called once when the client closes the connection before the answer is
    complete.
    """

    when_gone: Callable[[], None] | None = None
    _refused = False
    _received_bytes = 0

    def __init__(self, channel: Any, *args: Any, max_body_bytes: int, **kwargs: Any) -> None:
        super().__init__(channel, *args, **kwargs)
        self.max_body_bytes = max_body_bytes

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)
        if length is not None and length > self.max_body_bytes:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        self._received_bytes += len(data)
        if not self._refused and self._received_bytes > self.max_body_bytes:
            self._refuse()
        if not self._refused:
            super().handleContentChunk(data)
        elif self._received_bytes > DISCARD_FACTOR * self.max_body_bytes:
            transport: Any = self.channel.transport
            transport.abortConnection()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if self._refused:
            # The answer went out when the body proved too large; now the client has heard it.
            self.channel.loseConnection()
        else:
            super().requestReceived(command, path, version)

    def connectionLost(self, reason: Failure) -> None:
        when_gone, self.when_gone = self.when_gone, None
        super().connectionLost(reason)
        if when_gone is not None:
            when_gone()

    def _refuse(self) -> None:
        """Answer 413 at once, and read on for a while so that the client gets to hear it."""
        self._refused = True
        self.content = BytesIO()  # what was read already is of no use
        limit = self.max_body_bytes
        body = error_body(-32600, f"The request body is larger than {limit} bytes")
        transport: Any = self.channel.transport
        transport.write(
            b"HTTP/1.1 413 Content Too Large\r\n"
            b"Content-Type: application/json\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )

    def body(self) -> bytes:
        """Return the whole body."""
        content = self.content
        return content.getvalue() if isinstance(content, BytesIO) else b""

    def fields(self) -> Headers:
        """Return the header fields, names in lower case."""
        return tuple(
            (name.decode("ascii", "replace").lower(), value.decode("utf-8", "replace"))
            for name, values in self.requestHeaders.getAllRawHeaders()
            for value in values
        )


class RelaySite(Site):
    """A site without form parsing and access log, whose bodies stay in memory."""

    noisy = False

    def __init__(self, resource: IResource, max_body_bytes: int, reactor: IReactorTime) -> None:
        super().__init__(resource, reactor=reactor, parsePOSTFormSubmission=False)
        factory: Any = partial(RelayRequest, max_body_bytes=max_body_bytes)
        self.requestFactory = factory

    def getContentFile(self, _length: int | None) -> BytesIO:
        return BytesIO()

    def log(self, request: HTTPRequest) -> None:
        """Write no access log; what matters is logged where it happens."""
