"""The event stream that answers a GET of a legacy session (2025-11-25, basic/transports)."""

from typing import Final

from mcptunnel.mcp import sse
from mcptunnel.mcp.client_half.http import Http
from mcptunnel.mcp.client_half.keep_alive import QUIET_SWEEPS
from mcptunnel.mcp.client_half.listening import Listening
from mcptunnel.mcp.client_half.live import Shared
from mcptunnel.mcp.client_half.unread import Unread
from mcptunnel.mcp.service import Asker

MAX_UNREAD_BYTES: Final = 256 * 1024
"""What a client that does not read may leave unread before its stream is ended."""


class GetStream:
    """A GET stream from its head to its end.

    It is a `http.Watcher`, a `streams.Ending`, and a `keep_alive.QuietStream`.

    No event has an id: what is lost with the connection is lost (no `Last-Event-ID`).
    """

    __slots__ = (
        "_asker",
        "_http",
        "_keep_alive",
        "_listening",
        "_streams",
        "_unread",
        "was_heard",
    )

    def __init__(
        self,
        http: Http,
        asker: Asker,
        listening: Listening,
        shared: Shared,
    ) -> None:
        self._http = http
        self._asker = asker
        self._listening: Listening | None = listening  # None: it is over
        self._streams = shared.streams
        self._keep_alive = shared.keep_alive
        self._unread = Unread(
            shared.unread, shared.timers, asker.principal, MAX_UNREAD_BYTES, self.end
        )
        self.was_heard = True

    def open(self) -> None:
        """Send the head, and what has been waiting for a stream."""
        self._http.start()
        self._http.write(sse.COMMENT)  # so that whoever stands between lets the head through
        self._keep_alive.watch(self)
        self._http.watch(self)
        if self._listening is not None:
            self._listening.attach(self)

    def send(self, message: bytes) -> None:
        """Send an event."""
        if self._listening is None:
            return
        event = sse.encode(message)
        if self._unread.takes(len(event)):
            self._http.write_soon(event)
            self.was_heard = True

    def end(self) -> None:
        """End the stream; the client may open another."""
        if self._leave():
            self._http.finish()

    def keep_alive(self, quiet_sweeps: int) -> bool:
        if self._unread.is_slow or quiet_sweeps < QUIET_SWEEPS:
            return False
        self._http.write(sse.COMMENT)
        return True

    def client_gone(self) -> None:
        self._leave()

    def access_ended(self, is_revoked: bool) -> None:
        self.end()

    def client_slow(self, slow: bool) -> None:
        self._unread.slow(slow)
        if self._listening is not None:
            self._listening.hold(slow)

    def _leave(self) -> bool:
        listening, self._listening = self._listening, None
        if listening is None:
            return False
        self._keep_alive.over(self)
        self._unread.over()
        self._http.watch(None)
        self._streams.remove(self._asker, self)
        listening.detach(self)
        return True
