"""Whether the `Mcp-Param-*` headers of calls agree with what a server's tools annotate.

A server behind us that is no modern HTTP server does not look at headers: whoever processes the body
in front of it has to (2026-07-28, streamable-http, "Custom Headers from Tool Parameters").
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from msgspec import Raw

from mcptunnel.agent.servers.interfaces import LocalCall, LocalServer
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.calls import CallFailure
from mcptunnel.mcp.client_half.timers import Timer, Timers
from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification, Request, Response
from mcptunnel.mcp.meta import META, modern_meta
from mcptunnel.mcp.param_headers import Annotation, mismatch, read_list
from mcptunnel.model import Headers

LIST: Final = "tools/list"
LISTING_S: Final = 10.0
"""A server that has not listed its tools by then is asked without a check."""
MAX_PAGES: Final = 100
FRESH_S: Final = 1.0
"""A list that is no older than this is not asked for again because a header disagrees with it."""

Checked: TypeAlias = Callable[[JsonRpcError | None], None]


class ToolHeaders:
    """Keeps what the tools of one server annotate.

    The list is asked for with the first call, when the server says that it may have changed, and
    before a call is refused: nobody is refused for what a tool no longer is.
    """

    def __init__(self, server: LocalServer, timers: Timers, now_s: Callable[[], float]) -> None:
        self._server = server
        self._timers = timers
        self._now_s = now_s
        self._annotated: dict[str, tuple[Annotation, ...]] = {}
        self._revision = -1
        self._listed_s = float("-inf")
        self._listing: _Listing | None = None
        self._waiting: list[tuple[Headers, Request, Checked]] = []

    def check(self, headers: Headers, request: Request, checked: Checked) -> None:
        """Tell why a `tools/call` has to be refused, None if it agrees; perhaps later."""
        if self._revision == self._server.status.revision:
            wrong = self._wrong(headers, request)
            if wrong is None or self._now_s() - self._listed_s < FRESH_S:
                checked(wrong)
                return
        self._waiting.append((headers, request, checked))
        if self._listing is None:
            self._listing = _Listing(self._server, self._timers, self._listed)
            self._listing.begin()

    def stop(self) -> None:
        """Ask no more."""
        if self._listing is not None:
            self._listing.stop()

    def _wrong(self, headers: Headers, request: Request) -> JsonRpcError | None:
        params = request.params
        annotated = self._annotated.get(jsonrpc.text(params.get("name")) or "", ())
        return mismatch(annotated, headers, params.get("arguments"))

    def _listed(self, annotated: dict[str, tuple[Annotation, ...]] | None, revision: int) -> None:
        self._listing = None
        if annotated is not None:
            self._annotated, self._revision = annotated, revision
            self._listed_s = self._now_s()
        waiting, self._waiting = self._waiting, []
        for headers, request, checked in waiting:
            checked(None if annotated is None else self._wrong(headers, request))


class _Listing:
    """Asks for all pages of one list (`mcp.calls.CallReceiver`)."""

    def __init__(
        self,
        server: LocalServer,
        timers: Timers,
        listed: Callable[[dict[str, tuple[Annotation, ...]] | None, int], None],
    ) -> None:
        self._server = server
        self._listed = listed
        self._revision = server.status.revision
        self._annotated: dict[str, tuple[Annotation, ...]] = {}
        self._pages = 0
        self._is_over = False
        self._call: LocalCall | None = None
        self._timer: Timer | None = timers.call_later(LISTING_S, self._late)

    def begin(self, cursor: Raw | None = None) -> None:
        """Ask for a page."""
        self._pages += 1
        params = {META: jsonrpc.raw(modern_meta())}
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

    def _finish(self, annotated: dict[str, tuple[Annotation, ...]] | None) -> None:
        self._is_over = True
        self._call = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._listed(annotated, self._revision)
