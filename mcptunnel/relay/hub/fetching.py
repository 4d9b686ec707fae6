"""One question to one server: its lists to their end, or what it can do."""

from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from msgspec import Raw
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError

from mcptunnel.mcp import client_capabilities, features, jsonrpc, meta
from mcptunnel.mcp.calls import CallFailure
from mcptunnel.mcp.catalogue import Item, parse_page
from mcptunnel.mcp.features import Features
from mcptunnel.mcp.jsonrpc import (
    INTERNAL_ERROR,
    Members,
    Notification,
    Request,
    Response,
)
from mcptunnel.mcp.kinds import LISTED, Kind
from mcptunnel.relay.devices import Device
from mcptunnel.relay.hub.budget import BOUNDS
from mcptunnel.relay.hub.open_calls import OpenCalls
from mcptunnel.relay.hub.server_call import ServerCall

MAX_PAGES: Final = 100
MAX_ABOUT_BYTES: Final = 256 * 1024
"""What a server may say of what it can do."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A server's list: its items by name, and for how many milliseconds they hold.

    `left_out` is how many there were besides, as far as is known; `goes_on` is whether there were more
    pages, which nobody looked at.
    """

    items: tuple[Item, ...]
    ttl_ms: int
    left_out: int
    goes_on: bool


class FetchFailed(Exception):
    """A question got no answer; `str()` says why, `code` is that of the server's error, if any."""

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code


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


class Fetching:
    """Asks servers, each within a time and a size."""

    def __init__(
        self,
        reactor: Any,
        calls: OpenCalls,
        *,
        client_info: Raw,
        timeout_s: float,
        max_result_bytes: int,
    ) -> None:
        self._reactor = reactor
        self._calls = calls
        about = meta.modern_meta(
            client_info=client_info, client_capabilities=client_capabilities.ALL
        )
        self._meta = jsonrpc.raw(about)
        self._timeout_s = timeout_s
        self._max_bytes = max_result_bytes

    async def about(self, device: Device, server: str) -> Features:
        """Return what a server can do. Raises FetchFailed, and JsonRpcError for a malformed answer."""
        result = await self._ask(
            device, server, "server/discover", {}, MAX_ABOUT_BYTES, self._timeout_s
        )
        return features.read(result)

    async def all_pages(self, device: Device, server: str, kind: Kind) -> Fetched:
        """Follow the pages to the end; a server that never ends is cut off.

        Raises FetchFailed, and JsonRpcError for a page that is no list.
        """
        bounds, method = BOUNDS[kind], LISTED[kind].method
        max_bytes = min(self._max_bytes, bounds.server_bytes)
        deadline_s = self._reactor.seconds() + self._timeout_s
        items: dict[str, Item] = {}
        cursors: set[str | None] = set()
        cursor: str | None = None
        ttls_ms: list[int] = []
        seen = size_bytes = 0
        goes_on = True
        while goes_on and cursor not in cursors and len(cursors) < MAX_PAGES:
            cursors.add(cursor)
            params: Members = {} if cursor is None else {"cursor": jsonrpc.raw(cursor)}
            left_s = max(0.0, deadline_s - self._reactor.seconds())
            result = await self._ask(device, server, method, params, max_bytes, left_s)
            size_bytes += memoryview(result).nbytes
            if size_bytes > max_bytes:
                raise FetchFailed(f"they take more than {max_bytes} bytes")
            page = parse_page(kind, result, bounds.server_items - len(items))
            for item in page.items:
                items.setdefault(item.name, item)
            seen += len(page.items) + page.dropped
            ttls_ms.append(page.ttl_ms)
            cursor = page.next_cursor
            goes_on = cursor is not None
            if len(items) == bounds.server_items:
                break
        ordered = tuple(sorted(items.values(), key=attrgetter("name")))
        return Fetched(ordered, min(ttls_ms), seen - len(items), goes_on)

    async def _ask(
        self,
        device: Device,
        server: str,
        method: str,
        params: Members,
        max_bytes: int,
        timeout_s: float,
    ) -> Raw:
        answer = _OneAnswer()
        call = ServerCall(server, answer, self._calls, max_bytes)
        request = Request(1, method, {**params, meta.META: self._meta})
        call.send(device, request, principal=str(device.principal), client="")
        answer.answered.addTimeout(timeout_s, self._reactor)
        try:
            response = await answer.answered
        except DeferredTimeoutError:
            raise FetchFailed(f"no answer within {self._timeout_s:g} s") from None
        finally:
            call.cancel("no longer wanted")
        if response.result is None:
            error = jsonrpc.error_of(response)
            raise FetchFailed(str(error), INTERNAL_ERROR if error is None else error.code)
        return response.result
