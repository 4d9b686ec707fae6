"""Keeps the tools of all servers known: fetched when an agent says that they may have changed."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
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
from mcptunnel.net.errors import printable
from mcptunnel.relay.devices import Device, Devices, RemoteServer
from mcptunnel.relay.hub.budget import (
    MAX_BYTES,
    MAX_SERVER_BYTES,
    MAX_SERVER_TOOLS,
    MAX_TOOLS,
    keep,
)
from mcptunnel.relay.hub.open_calls import OpenCalls
from mcptunnel.relay.hub.server_call import ServerCall

MAX_PAGES: Final = 100
RETRY_S: Final = 15.0
INTERVAL_S: Final = 1.0
"""A server is not asked again sooner, however often its tools change."""

STARTS_PER_TURN: Final = 16
"""Fetches that begin in one turn of the reactor; others wait for the next."""

_LEFT_OUT: Final = (
    f"{{}} tools are left out: their names are unusable or given twice, or there are more than "
    f"{MAX_SERVER_TOOLS} of the server, {MAX_TOOLS} or {MAX_BYTES >> 20} MiB of all servers"
)


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


@dataclass(slots=True, eq=False)
class _Asking:
    """What is asked of one server: when last, whether that goes on, and when it is due again."""

    began_s: float = float("-inf")
    fetching: Deferred[None] | None = None
    again: IDelayedCall | None = None

    def stop(self) -> None:
        if self.again is not None:
            self.again.cancel()
            self.again = None
        if self.fetching is not None:
            self.fetching.cancel()


class Catalogue:
    """Fetches what is not known. `changed(principal)` is called when something new is known.

    Every server is asked once at a time, and not at every whim.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        devices: Devices,
        calls: OpenCalls,
        *,
        client_info: Raw,
        timeout_s: float,
        max_result_bytes: int,
        changed: Callable[[Principal], None],
    ) -> None:
        self._reactor = reactor
        self._devices = devices
        self._calls = calls
        self._meta = jsonrpc.raw(meta.modern_meta(client_info=client_info))
        self._timeout_s = timeout_s
        self._max_bytes = min(max_result_bytes, MAX_SERVER_BYTES)
        self._changed = changed
        self._asked: dict[Device, dict[RemoteServer, _Asking]] = {}

    def refresh(self, device: Device) -> None:
        """Fetch the tools of every ready server of a device whose catalogue may have changed.

        What is asked of servers that it has no more is given up.
        """
        asked = self._asked.get(device, {})
        servers = device.servers if device.is_connected else {}
        for server in [s for s in asked if servers.get(s.info.name) is not s]:
            asked.pop(server).stop()
        if not servers:
            self._asked.pop(device, None)
        if not device.announced:
            return
        started = 0
        for server in servers.values():
            if server.info.state == "ready" and not server.fresh:
                if started == STARTS_PER_TURN:
                    self._changed(device.principal)
                    return
                started += self._ask_soon(device, server)

    def is_fetching(self, device: Device, server: RemoteServer) -> bool:
        """Whether an answer about a server's tools is under way."""
        asking = self._asked.get(device, {}).get(server)
        return asking is not None and asking.fetching is not None

    def stop(self) -> None:
        """Give up what is under way."""
        for asked in self._asked.values():
            for asking in asked.values():
                asking.stop()
        self._asked.clear()

    def _ask_soon(self, device: Device, server: RemoteServer) -> bool:
        """Fetch a server's tools as soon as that may be; return whether that is now."""
        asking = self._asked.setdefault(device, {}).setdefault(server, _Asking())
        if asking.fetching is not None:
            return False  # it is asked again when that is over
        now_s = self._reactor.seconds()
        wait_s = asking.began_s + INTERVAL_S - now_s
        if wait_s > 0:
            self._ask_later(device, server, wait_s)
            return False
        asking.stop()
        asking.began_s, server.fresh = now_s, True
        fetching = Deferred.fromCoroutine(self._fetch(device, server))
        if not fetching.called:
            asking.fetching = fetching

        def over(_: object) -> None:
            asking.fetching = None
            self._changed(device.principal)

        fetching.addErrback(self._cannot_fetch).addCallback(over)
        return True

    def _ask_later(self, device: Device, server: RemoteServer, wait_s: float) -> None:
        asking = self._asked.get(device, {}).get(server)
        if asking is None:
            return
        if asking.again is not None:
            asking.again.reset(wait_s)
            return

        def again() -> None:
            asking.again = None
            server.fresh = False
            self._changed(device.principal)

        asking.again = self._reactor.callLater(wait_s, again)

    async def _fetch(self, device: Device, server: RemoteServer) -> None:
        name = server.info.name
        try:
            tools, left_out = await self._all_pages(device, name)
        except (FetchFailed, JsonRpcError) as error:
            note = f"its tools could not be listed: {printable(str(error))}"
            if note != server.note:
                self._log.warn(
                    "{server} on {device}: {note}", server=name, device=device.name, note=note
                )
            server.note = note
            self._ask_later(device, server, RETRY_S)
            return
        left_out += keep(self._devices.of(device.principal), server, tools)
        server.note = _LEFT_OUT.format(left_out) if left_out else ""

    def _cannot_fetch(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("cannot list tools", failure)

    async def _all_pages(self, device: Device, name: str) -> tuple[tuple[Tool, ...], int]:
        """Follow the pages to the end; a server that never ends is cut off.

        Returns the tools by name, and how many there were besides, as far as is known. Raises
        FetchFailed, and JsonRpcError for a page that is no list of tools.
        """
        deadline_s = self._reactor.seconds() + self._timeout_s
        tools: dict[str, Tool] = {}
        cursors: set[str | None] = set()
        cursor: str | None = None
        seen = size_bytes = 0
        while cursor not in cursors and len(cursors) < MAX_PAGES:
            cursors.add(cursor)
            params: Members = {meta.META: self._meta}
            if cursor is not None:
                params["cursor"] = jsonrpc.raw(cursor)
            left_s = max(0.0, deadline_s - self._reactor.seconds())
            response = await self._ask(device, name, Request(1, "tools/list", params), left_s)
            if response.result is None:
                raise FetchFailed(str(jsonrpc.error_of(response)))
            size_bytes += memoryview(response.result).nbytes
            if size_bytes > self._max_bytes:
                raise FetchFailed(f"they take more than {self._max_bytes} bytes")
            page = parse_page(response.result, MAX_SERVER_TOOLS - len(tools))
            for tool in page.tools:
                tools.setdefault(tool.name, tool)
            seen += len(page.tools) + page.dropped
            cursor = page.next_cursor
            if cursor is None or len(tools) == MAX_SERVER_TOOLS:
                break
        return tuple(sorted(tools.values(), key=attrgetter("name"))), seen - len(tools)

    async def _ask(self, device: Device, name: str, request: Request, timeout_s: float) -> Response:
        answer = _OneAnswer()
        call = ServerCall(name, answer, self._calls, self._max_bytes)
        call.send(device, request, principal=str(device.principal), client="")
        answer.answered.addTimeout(timeout_s, self._reactor)
        try:
            return await answer.answered
        except DeferredTimeoutError:
            raise FetchFailed(f"no answer within {self._timeout_s:g} s") from None
        finally:
            call.cancel("no longer wanted")
