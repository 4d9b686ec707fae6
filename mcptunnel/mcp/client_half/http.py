"""The HTTP side of the front, as whoever has the connection gives it: no matter which."""

from typing import Final, Protocol

from mcptunnel.mcp.headers import EVENT_STREAM
from mcptunnel.model import Headers

STREAM_HEADERS: Final[Headers] = (
    ("content-type", EVENT_STREAM),
    ("cache-control", "no-cache"),
    ("x-accel-buffering", "no"),
    ("x-content-type-options", "nosniff"),
)
"""The header fields of an event stream; those of a body are left to the HTTP side."""

OK: Final = 200
ACCEPTED: Final = 202
NO_CONTENT: Final = 204
BAD_REQUEST: Final = 400
NOT_FOUND: Final = 404
METHOD_NOT_ALLOWED: Final = 405
NOT_ACCEPTABLE: Final = 406
CONTENT_TOO_LARGE: Final = 413
UNSUPPORTED_MEDIA_TYPE: Final = 415
TOO_MANY_REQUESTS: Final = 429
BAD_GATEWAY: Final = 502
UNAVAILABLE: Final = 503


class Watcher(Protocol):
    """Hears how the client's connection is."""

    def client_gone(self) -> None:
        """The client is gone before the answer was complete; said once, nothing can be sent any more."""

    def client_slow(self, slow: bool) -> None:
        """The client reads more slowly than is written (True), or has caught up."""

    def access_ended(self, is_revoked: bool) -> None:
        """The client's access was revoked, or only expired.

        End a stream that would last, in order. If it was revoked give up all else: who has the
        connection breaks off what is not complete then.
        """


class Http(Protocol):
    """One HTTP request, and the way of its answer: `answer`, or `start`, `write`… and `finish`."""

    @property
    def method(self) -> str: ...

    @property
    def headers(self) -> Headers: ...

    def answer(self, status: int, body: bytes = b"", headers: Headers = ()) -> None:
        """Send the whole answer; a body is JSON. `headers` come beside those of every body."""

    def start(self, headers: Headers = ()) -> None:
        """Send the head of an event stream, at once or with its first bytes (STREAM_HEADERS)."""

    def write(self, data: bytes) -> None:
        """Send a part of the stream at once."""

    def write_soon(self, data: bytes) -> None:
        """Send a part of the stream with all else of this turn, in order with what `write` sends."""

    def finish(self) -> None:
        """End the stream in order."""

    def watch(self, watcher: Watcher | None) -> None:
        """Tell `watcher` of the connection from now on, nobody if it is None."""
