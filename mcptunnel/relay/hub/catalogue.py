"""Keeps the tools of all servers known: fetched when an agent says that they may have changed."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Raw
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcptunnel.mcp import jsonrpc, meta
from mcptunnel.mcp.calls import CallFailure
from mcptunnel.mcp.catalogue import Tool, parse_page
from mcptunnel.mcp.jsonrpc import JsonRpcError, Members, Notification, Request, Response
from mcptunnel.model import Principal
from mcptunnel.relay.devices import Device, RemoteServer
from mcptunnel.relay.hub.server_call import ServerCall

MAX_PAGES: Final = 100
MAX_TOOLS: Final = 5000
RETRY_S: Final = 15.0


class FetchFailed(Exception):
    """The tools of a server could not be fetched; `str()` says why."""


class _OneAnswer:
    """Turns a call without notifications into a Deferred."""

    def __init__(self) -> None:
        self.answered: Deferred[Response] = Deferred()

    def notification(self, message: Notification) -> None:
        """Nothing was asked for that has any."""

    def response(self, message: Response) -> None:
        self.answered.callback(message)

    def call_failed(self, failure: CallFailure) -> None:
        self.answered.errback(FetchFailed(failure.text))


class Catalogue:
    """Fetches what is not known. `changed(principal)` is called when something new is known."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        client_info: Raw,
        timeout_s: float,
        max_result_bytes: int,
        changed: Callable[[Principal], None],
    ) -> None:
        self._reactor = reactor
        self._meta = jsonrpc.raw(meta.modern_meta(client_info=client_info))
        self._timeout_s = timeout_s
        self._max_bytes = max_result_bytes
        self._changed = changed
        self._fetching: dict[RemoteServer, Deferred[None]] = {}
        self._retries: dict[RemoteServer, IDelayedCall] = {}

    def refresh(self, device: Device) -> None:
        """Fetch the tools of every ready server of a device whose catalogue may have changed."""
        for server in device.servers.values():
            ready = server.info.state == "ready" and not server.fresh
            known = device.is_connected and device.announced
            if ready and known and server not in self._fetching:
                fetching = Deferred.fromCoroutine(self._fetch(device, server))
                if not fetching.called:
                    self._fetching[server] = fetching
                fetching.addErrback(self._cannot_fetch)

    def is_fetching(self, server: RemoteServer) -> bool:
        """Whether an answer about a server's tools is under way."""
        return server in self._fetching

    def stop(self) -> None:
        """Give up what is under way."""
        for fetching in list(self._fetching.values()):
            fetching.cancel()
        for retry in self._retries.values():
            retry.cancel()
        self._retries.clear()

    async def _fetch(self, device: Device, server: RemoteServer) -> None:
        name = server.info.name
        try:
            tools = await self._all_pages(device, name)
        except (FetchFailed, JsonRpcError) as error:
            server.note = f"its tools could not be listed: {error}"
            self._log.warn(
                "tools of {server} on {device}: {error}",
                server=name,
                device=device.name,
                error=str(error),
            )
            self._retry_later(device, server)
        else:
            server.tools, server.note = tuple(tools), ""
        finally:
            # Fresh even after a failure, so that nobody waits: it is tried again later.
            server.fresh = True
            self._fetching.pop(server, None)
        self._changed(device.principal)

    def _cannot_fetch(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("cannot list tools", failure)

    def _retry_later(self, device: Device, server: RemoteServer) -> None:
        def retry() -> None:
            del self._retries[server]
            if device.servers.get(server.info.name) is server:
                server.fresh = False
                self.refresh(device)

        self._retries[server] = self._reactor.callLater(RETRY_S, retry)

    async def _all_pages(self, device: Device, name: str) -> list[Tool]:
        """Follow the pages to the end; a server that never ends is cut off.

        Raises FetchFailed, and JsonRpcError for a page that is no list of tools.
        """
        deadline_s = self._reactor.seconds() + self._timeout_s
        tools: list[Tool] = []
        cursor: str | None = None
        size = 0
        for _page in range(MAX_PAGES):
            params: Members = {meta.META: self._meta}
            if cursor is not None:
                params["cursor"] = jsonrpc.raw(cursor)
            left_s = max(0.0, deadline_s - self._reactor.seconds())
            response = await self._ask(device, name, Request(1, "tools/list", params), left_s)
            if response.result is None:
                raise FetchFailed(str(jsonrpc.error_of(response)))
            size += memoryview(response.result).nbytes
            if size > self._max_bytes:
                raise FetchFailed(f"they take more than {self._max_bytes} bytes")
            page = parse_page(response.result)
            tools.extend(page.tools)
            cursor = page.next_cursor
            if cursor is None or len(tools) > MAX_TOOLS:
                break
        return tools[:MAX_TOOLS]

    async def _ask(self, device: Device, name: str, request: Request, timeout_s: float) -> Response:
        answer = _OneAnswer()
        call = ServerCall(name, answer, self._max_bytes)
        call.send(device, request, principal=str(device.principal), client="")
        answer.answered.addTimeout(timeout_s, self._reactor)
        try:
            return await answer.answered
        except DeferredTimeoutError:
            raise FetchFailed(f"no answer within {self._timeout_s:g} s") from None
        finally:
            call.cancel("no longer wanted")
