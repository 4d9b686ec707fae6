"""`resources/read`: whose a URI is, listed or not."""

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import INVALID_PARAMS, JsonRpcError, Members, Request
from mcptunnel.mcp.kinds import Kind
from mcptunnel.mcp.links import map_contents
from mcptunnel.mcp.names import Target
from mcptunnel.mcp.service import Caller, Running
from mcptunnel.model import Principal
from mcptunnel.relay.access import Access
from mcptunnel.relay.hub.parts import Parts
from mcptunnel.relay.hub.routed_call import RoutedCall

_PRIVATE: Final = Raw(b'"private"')
"""What is public at one server is not at the hub: another user's server may mean another thing by its URI."""


class ResourceCall(RoutedCall):
    """A resource that is being read; `uri` is what the client calls it."""

    __slots__ = ("_uri",)

    def __init__(
        self, parts: Parts, access: Access, caller: Caller, target: Target, uri: str
    ) -> None:
        super().__init__(parts, access, caller, target)
        self._uri = uri

    def mapped(self, result: Members) -> bool:
        changed = map_contents(result, self._shown)
        if result.get("cacheScope", _PRIVATE) != _PRIVATE:
            result["cacheScope"] = _PRIVATE
            changed = True
        return changed

    def _shown(self, uri: str) -> str:
        return self._uri if uri == self._target.item else self.mention(uri)


class ResourceCalls:
    """Answers `resources/read` (`parts.Method`)."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def request(self, access: Access, request: Request, caller: Caller) -> Running | None:
        uri = jsonrpc.text(request.params.get("uri"))
        if uri is None:
            raise JsonRpcError(INVALID_PARAMS, "resources/read needs uri, a string")

        def read(target: Target) -> Running:
            call = ResourceCall(self._parts, access, caller, target, uri)
            call.start(request, jsonrpc.with_member(request.params, "uri", target.item))
            return call

        target = self._parts.tables.of(access.principal).uris.resolve(uri)
        if target is not None:
            return read(target)
        return when_owned(self._parts, access, caller, uri, read)


def when_owned(
    parts: Parts, access: Access, caller: Caller, uri: str, then: Callable[[Target], Running]
) -> Running | None:
    """Go on with the place of a URI, or of a template, once both lists are known."""
    principal = access.principal

    def listed() -> Running | None:
        return parts.when_settled(
            principal, Kind.TEMPLATE, caller, lambda: then(owner(parts, principal, uri))
        )

    return parts.when_settled(principal, Kind.RESOURCE, caller, listed)


def owner(parts: Parts, principal: Principal, uri: str) -> Target:
    """Return the place that a URI is read from. Raises JsonRpcError (INVALID_PARAMS) if there is none."""
    return parts.owners.now(principal, parts.epoch_s()).of(uri)
