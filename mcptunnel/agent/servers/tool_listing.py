"""Learning from a server which arguments of its tools are repeated in headers."""

from collections.abc import Callable
from typing import Final, TypeAlias

from msgspec import Raw

from mcptunnel.agent.servers.interfaces import LocalCall, LocalServer
from mcptunnel.mcp import client_capabilities, jsonrpc
from mcptunnel.mcp.calls import CallFailure
from mcptunnel.mcp.client_half.timers import Timer, Timers
from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification, Request, Response
from mcptunnel.mcp.meta import META, modern_meta
from mcptunnel.mcp.param_headers import Annotation, read_list

LIST: Final = "tools/list"
LISTING_S: Final = 10.0
"""Nobody waits longer for a list."""
MAX_PAGES: Final = 100

Annotated: TypeAlias = dict[str, tuple[Annotation, ...]]
"""By the names of tools."""


class ToolListing:
    """Asks for all pages of the list (`mcp.calls.CallReceiver`).

    `listed` is told what the tools annotate, or None if the server did not list them in time.
    """

    def __init__(
        self,
        server: LocalServer,
        timers: Timers,
        listed: Callable[[Annotated | None], None],
    ) -> None:
        self._server = server
        self._listed = listed
        self._annotated: Annotated = {}
        self._pages = 0
        self._is_over = False
        self._call: LocalCall | None = None
        self._timer: Timer | None = timers.call_later(LISTING_S, self._late)

    def begin(self, cursor: Raw | None = None) -> None:
        """Ask for a page."""
        self._pages += 1
        about = modern_meta(client_capabilities=client_capabilities.ALL)
        params = {META: jsonrpc.raw(about)}
        if cursor is not None:
            params["cursor"] = cursor
        call = self._server.call(Request(self._pages, LIST, params), self)
        if not self._is_over:
            self._call = call

    def stop(self) -> None:
        """Give up."""
        if not self._is_over:
            call = self._call
            self._finish(None)
            if call is not None:
                call.cancel("not needed any more")

    def notification(self, message: Notification) -> None:
        """Nothing in a list is of interest before its end."""

    def response(self, message: Response) -> None:
        if self._is_over:
            return
        if message.result is None:
            self._finish(None)
            return
        self._annotated.update(read_list(message.result).annotated)
        try:
            cursor = jsonrpc.members(message.result).get("nextCursor")
        except JsonRpcError:
            cursor = None
        if jsonrpc.text(cursor) is not None and self._pages < MAX_PAGES:
            self.begin(cursor)
        else:
            self._finish(self._annotated)

    def call_failed(self, failure: CallFailure) -> None:
        if not self._is_over:
            self._finish(None)

    def _late(self) -> None:
        self._timer = None
        self.stop()

    def _finish(self, annotated: Annotated | None) -> None:
        self._is_over = True
        self._call = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._listed(annotated)
