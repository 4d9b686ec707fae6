"""`completion/complete`: asked of the server whose prompt or template it is about."""

from typing import Final

from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import INVALID_PARAMS, JsonRpcError, Members, Request
from mcptunnel.mcp.kinds import Kind
from mcptunnel.mcp.names import Target
from mcptunnel.mcp.service import Caller, Running
from mcptunnel.relay.access import Access
from mcptunnel.relay.hub.parts import Parts
from mcptunnel.relay.hub.prompt_call import prompt_target
from mcptunnel.relay.hub.resource_call import when_owned
from mcptunnel.relay.hub.routed_call import RoutedCall

PROMPT: Final = "ref/prompt"
RESOURCE: Final = "ref/resource"


class CompletionCall(RoutedCall):
    """A completion under way. There are no URIs in its result."""

    __slots__ = ()

    def mapped(self, result: Members) -> bool:
        return False


class CompletionCalls:
    """Answers `completion/complete` (`parts.Method`)."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def request(self, access: Access, request: Request, caller: Caller) -> Running | None:
        ref = jsonrpc.members(request.params.get("ref"))
        kind = jsonrpc.text(ref.get("type"))
        key = {PROMPT: "name", RESOURCE: "uri"}.get(kind or "")
        about = None if key is None else jsonrpc.text(ref.get(key))
        if key is None or about is None:
            raise JsonRpcError(
                INVALID_PARAMS, "ref must be a ref/prompt with name, or a ref/resource with uri"
            )

        def complete(target: Target) -> Running:
            own: Raw = jsonrpc.raw(jsonrpc.with_member(ref, key, target.item))
            call = CompletionCall(self._parts, access, caller, target)
            call.start(request, jsonrpc.with_member(request.params, "ref", own))
            return call

        if kind == RESOURCE:
            return when_owned(self._parts, access, caller, about, complete)
        return self._parts.when_settled(
            access.principal,
            Kind.PROMPT,
            caller,
            lambda: complete(prompt_target(self._parts, access, about)),
        )
