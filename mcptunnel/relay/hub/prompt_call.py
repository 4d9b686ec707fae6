"""`prompts/get`, and completion for the arguments of prompts."""

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import INVALID_PARAMS, JsonRpcError, Members, Request
from mcptunnel.mcp.kinds import Kind
from mcptunnel.mcp.links import map_messages
from mcptunnel.mcp.names import Target
from mcptunnel.mcp.service import Caller, Running
from mcptunnel.relay.access import Access
from mcptunnel.relay.hub.parts import Parts
from mcptunnel.relay.hub.routed_call import RoutedCall


class PromptCall(RoutedCall):
    """A prompt that is being got."""

    __slots__ = ()

    def mapped(self, result: Members) -> bool:
        return map_messages(result, self.mention)


class PromptCalls:
    """Answers `prompts/get` (`parts.Method`)."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def request(self, access: Access, request: Request, caller: Caller) -> Running | None:
        name = jsonrpc.text(request.params.get("name"))
        if name is None:
            raise JsonRpcError(INVALID_PARAMS, "prompts/get needs name, a string")

        def get(target: Target) -> Running:
            call = PromptCall(self._parts, access, caller, target)
            call.start(request, jsonrpc.with_member(request.params, "name", target.item))
            return call

        target = self._parts.tables.of(access.principal).prompts.resolve(name)
        if target is not None:
            return get(target)
        return self._parts.when_settled(
            access.principal,
            Kind.PROMPT,
            caller,
            lambda: get(prompt_target(self._parts, access, name)),
        )


def prompt_target(parts: Parts, access: Access, name: str) -> Target:
    """Return the place of a prompt. Raises JsonRpcError (INVALID_PARAMS) if there is none."""
    target = parts.tables.of(access.principal).prompts.resolve(name)
    if target is None:
        raise JsonRpcError(INVALID_PARAMS, f"Unknown prompt: {name}")
    return target
