"""Whether the `Mcp-Param-*` headers of calls agree with what a server's tools annotate.

A server behind us that is no modern HTTP server does not look at headers: whoever processes the body
in front of it has to (2026-07-28, streamable-http, "Custom Headers from Tool Parameters").
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from mcptunnel.agent.servers.interfaces import LocalServer
from mcptunnel.agent.servers.tool_listing import Annotated, ToolListing
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half.timers import Timers
from mcptunnel.mcp.jsonrpc import JsonRpcError, Request
from mcptunnel.mcp.param_headers import mismatch
from mcptunnel.model import Headers

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
        self._annotated: Annotated = {}
        self._revision = -1
        self._listed_s = float("-inf")
        self._listing: ToolListing | None = None
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
            revision = self._server.status.revision
            self._listing = ToolListing(
                self._server, self._timers, lambda annotated: self._listed(annotated, revision)
            )
            self._listing.begin()

    def stop(self) -> None:
        """Ask no more."""
        if self._listing is not None:
            self._listing.stop()

    def _wrong(self, headers: Headers, request: Request) -> JsonRpcError | None:
        params = request.params
        annotated = self._annotated.get(jsonrpc.text(params.get("name")) or "", ())
        return mismatch(annotated, headers, params.get("arguments"))

    def _listed(self, annotated: Annotated | None, revision: int) -> None:
        self._listing = None
        if annotated is not None:
            self._annotated, self._revision = annotated, revision
            self._listed_s = self._now_s()
        waiting, self._waiting = self._waiting, []
        for headers, request, checked in waiting:
            checked(None if annotated is None else self._wrong(headers, request))
