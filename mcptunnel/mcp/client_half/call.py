"""A client's request that the service is answering."""

from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half.answer import Outlet
from mcptunnel.mcp.client_half.http import OK
from mcptunnel.mcp.eras import http_status
from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification, RequestId, Response
from mcptunnel.mcp.service import Running
from mcptunnel.mcp.versions import Era


class Call:
    """A modern client's request (`service.Caller`, `http.Watcher`).

    It keeps nothing of the request: a call may last for an hour. When it is over it knows nobody.
    """

    __slots__ = ("_id", "_is_over", "_out", "_running")

    era = Era.MODERN

    def __init__(self, request_id: RequestId, out: Outlet) -> None:
        self._id = request_id
        self._out: Outlet | None = out  # None: nobody listens any more
        self._running: Running | None = None
        self._is_over = False

    def run(self, running: Running | None) -> None:
        """Note what is answering, unless it has answered."""
        if not self._is_over:
            self._running = running
            if self._out is not None:
                self._out.wait(self)

    # What the service says.

    def result(self, result: Raw) -> None:
        self._respond(OK, Response(self._id, result))

    def error(self, error: JsonRpcError) -> None:
        self._respond(http_status(error, Era.MODERN), error.response(self._id))

    def notification(self, message: Notification) -> None:
        if self._out is not None and self._out.takes_events:
            self._out.event(jsonrpc.encode(message))

    # What the client's connection says.

    def client_gone(self) -> None:
        """The client cancels by leaving (2026-07-28, streamable-http, "Cancellation")."""
        running = self._running
        self._settle()
        if running is not None:
            running.cancel("the client closed the stream")

    def client_slow(self, slow: bool) -> None:
        if self._running is not None:
            self._running.hold(slow)

    def access_ended(self, is_revoked: bool) -> None:
        if is_revoked:
            running = self._running
            self._settle()
            if running is not None:
                running.cancel("the client's access was revoked")

    def _respond(self, status: int, response: Response) -> None:
        out = self._out
        self._settle()
        if out is not None:
            out.respond(status, jsonrpc.encode(response))

    def _settle(self) -> None:
        self._is_over = True
        self._out = self._running = None
