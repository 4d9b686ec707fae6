"""The HTTP answer to a POST: one JSON body, or an event stream once there is news or it takes long."""

from typing import Protocol

from mcptunnel.mcp import sse
from mcptunnel.mcp.client_half.http import ACCEPTED, OK, Http, Watcher
from mcptunnel.mcp.client_half.keep_alive import QUIET_SWEEPS, SWITCH_SWEEPS, KeepAlive
from mcptunnel.model import Headers


class Outlet(Protocol):
    """Where the answer to one request goes: any number of events, then its end."""

    @property
    def takes_events(self) -> bool:
        """Whether the client can be sent anything before the response."""

    def wait(self, watcher: Watcher) -> None:
        """Hear of the client from now on: the answer takes longer."""

    def event(self, message: bytes) -> None:
        """Send a message before the response, if the client takes event streams."""

    def respond(self, status: int, response: bytes) -> None:
        """Send the response, with this HTTP status if that is still open."""

    def drop(self) -> None:
        """End without a response: the client wants none."""


class HttpAnswer:
    """The answer to one HTTP request (`Outlet`, `http.Watcher`, `keep_alive.QuietStream`).

    `headers` are added to the head of a stream, or of a body with status 200.
    """

    __slots__ = (
        "_http",
        "_is_slow",
        "_keep_alive",
        "_streaming",
        "_takes_json",
        "_watcher",
        "headers",
        "takes_events",
        "was_heard",
    )

    def __init__(self, http: Http, accepts: tuple[bool, bool], keep_alive: KeepAlive) -> None:
        self._http = http
        self._takes_json, self.takes_events = accepts
        self._keep_alive = keep_alive
        self._watcher: Watcher | None = None
        self._streaming = self._is_slow = False
        self.was_heard = True
        self.headers: Headers = ()

    def wait(self, watcher: Watcher) -> None:
        is_new = self._watcher is None
        self._watcher = watcher
        if is_new:
            self._http.watch(self)
            if self.takes_events:
                self._keep_alive.watch(self)

    def event(self, message: bytes) -> None:
        if self.takes_events:
            self.open_stream()
            self._http.write_soon(sse.encode(message))
            self.was_heard = True

    def respond(self, status: int, response: bytes) -> None:
        if self._streaming or (status == OK and not self._takes_json):
            self.open_stream()
            self._http.write(sse.encode(response))
            self._finish()
        else:
            self._leave()
            self._http.answer(status, response, self.headers if status == OK else ())

    @property
    def is_streaming(self) -> bool:
        """Whether it has become an event stream."""
        return self._streaming

    def drop(self) -> None:
        if self._streaming:
            self._finish()
        else:
            self._leave()
            self._http.answer(ACCEPTED)

    def open_stream(self) -> None:
        """Become an event stream, if it is none yet."""
        if not self._streaming:
            self._streaming = True
            self._http.start(self.headers)

    def keep_alive(self, quiet_sweeps: int) -> bool:
        """Show the client, and whoever stands between, that this goes on."""
        if self._is_slow or quiet_sweeps < (QUIET_SWEEPS if self._streaming else SWITCH_SWEEPS):
            return False
        self.open_stream()
        self._http.write(sse.COMMENT)
        return True

    def client_gone(self) -> None:
        watcher = self._watcher
        self._leave()
        if watcher is not None:
            watcher.client_gone()

    def client_slow(self, slow: bool) -> None:
        self._is_slow = slow
        if self._watcher is not None:
            self._watcher.client_slow(slow)

    def access_ended(self, is_revoked: bool) -> None:
        watcher = self._watcher
        if watcher is None:
            return
        watcher.access_ended(is_revoked)
        if is_revoked and self._watcher is not None:  # it did not answer
            if self._streaming:
                self._finish()
            else:
                self._leave()

    def _finish(self) -> None:
        self._leave()
        self._http.finish()

    def _leave(self) -> None:
        """Let go of all who know us, so that nothing is left behind."""
        if self._watcher is not None:
            self._keep_alive.over(self)
            self._watcher = None
            self._http.watch(None)
