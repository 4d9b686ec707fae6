"""The hub's lists: everything of one kind that all servers have, in pages."""

from typing import Final

from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.catalogue import list_result
from mcptunnel.mcp.jsonrpc import INVALID_PARAMS, JsonRpcError, Request
from mcptunnel.mcp.kinds import Kind
from mcptunnel.mcp.service import Caller, Running
from mcptunnel.relay.access import Access
from mcptunnel.relay.hub.meta_tools import META_TOOLS
from mcptunnel.relay.hub.parts import Parts

PAGE_ITEMS: Final = {Kind.TOOL: 500, Kind.PROMPT: 500, Kind.RESOURCE: 1000, Kind.TEMPLATE: 1000}
PAGE_BYTES: Final = 2 * 1024 * 1024
"""A page ends with the thing that reaches this."""


class Lists:
    """Answers the list method of one kind (`parts.Method`)."""

    def __init__(self, parts: Parts, kind: Kind) -> None:
        self._parts = parts
        self._kind = kind

    def request(self, access: Access, request: Request, caller: Caller) -> Running | None:
        start = self._start(access, request.params.get("cursor"))

        def answer() -> None:
            caller.result(self._page(access, start))

        return self._parts.when_settled(access.principal, self._kind, caller, answer)

    def _start(self, access: Access, cursor: Raw | None) -> int:
        if cursor is None or bytes(cursor) == b"null":
            return 0
        text = jsonrpc.text(cursor)
        if text is None:
            raise JsonRpcError(INVALID_PARAMS, "cursor must be a string")
        return self._parts.seals.open_cursor(access, self._kind, text)

    def _page(self, access: Access, start: int) -> Raw:
        parts, kind, principal = self._parts, self._kind, access.principal
        epoch_s = parts.epoch_s()
        definitions = parts.listings[kind].definitions(principal, epoch_s)
        if kind is Kind.TOOL:
            definitions = [*(tool.definition for tool in META_TOOLS), *definitions]
        end = _end(definitions, start, PAGE_ITEMS[kind])
        more = end < len(definitions)
        return list_result(
            kind,
            definitions[start:end],
            self._ttl_ms(access, epoch_s),
            parts.server_info,
            parts.seals.cursor(access, kind, end) if more else None,
        )

    def _ttl_ms(self, access: Access, epoch_s: float) -> int:
        """Return the shortest time that is left of what a server grants its list; 0 if there is none."""
        kind, now_s = self._kind, self._parts.reactor.seconds()
        servers = self._parts.listings[kind].servers(access.principal, epoch_s)
        return min(
            (s.known[kind].left_ms(now_s) for _device, s in servers if s.has(kind)), default=0
        )


def _end(definitions: list[Raw], start: int, most_items: int) -> int:
    size_bytes = 0
    last = min(len(definitions), start + most_items)
    for position in range(start, last):
        size_bytes += memoryview(definitions[position]).nbytes
        if size_bytes >= PAGE_BYTES:
            return position + 1
    return last
