"""`tools/call`: our own tools, and those of the servers."""

from collections.abc import Iterable

import msgspec
from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.calls import CallFailure
from mcptunnel.mcp.jsonrpc import INVALID_PARAMS, JsonRpcError, Members, Request
from mcptunnel.mcp.kinds import Kind
from mcptunnel.mcp.links import map_content
from mcptunnel.mcp.meta import OUTCOME
from mcptunnel.mcp.names import Target
from mcptunnel.mcp.service import Caller, Running
from mcptunnel.model import Principal
from mcptunnel.relay.access import Access
from mcptunnel.relay.devices import Device
from mcptunnel.relay.hub.meta_tools import (
    RESTART,
    STATUS,
    RestartArguments,
    status_result,
    text_result,
)
from mcptunnel.relay.hub.parts import Parts
from mcptunnel.relay.hub.restart import RestartOrder
from mcptunnel.relay.hub.routed_call import RoutedCall


class ToolCall(RoutedCall):
    """A call of a tool; a failure is a result, which models can read."""

    __slots__ = ()

    def mapped(self, result: Members) -> bool:
        return map_content(result, self.mention)

    def told(self, failure: CallFailure, text: str) -> None:
        outcome = {OUTCOME: failure.outcome.value}
        self._caller.result(text_result(text, is_error=True, meta=outcome))


class ToolCalls:
    """Answers `tools/call` (`parts.Method`)."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def request(self, access: Access, request: Request, caller: Caller) -> Running | None:
        name = jsonrpc.text(request.params.get("name"))
        if name is None:
            raise JsonRpcError(INVALID_PARAMS, "tools/call needs name, a string")
        principal = access.principal
        target = self._parts.tables.of(principal).tools.resolve(name)
        if target is not None:
            return self._call(access, request, caller, target)
        if name == STATUS:
            devices = self._parts.devices.of(principal)
            caller.result(status_result(devices, self._parts.epoch_s()))
            return None
        if name == RESTART:
            return self._restart(access, request, caller)

        def try_again() -> Running:
            found = self._parts.tables.of(principal).tools.resolve(name) or self._bare(
                principal, name
            )
            return self._call(access, request, caller, found)

        return self._parts.when_settled(principal, Kind.TOOL, caller, try_again)

    def _call(self, access: Access, request: Request, caller: Caller, target: Target) -> Running:
        call = ToolCall(self._parts, access, caller, target)
        call.start(request, jsonrpc.with_member(request.params, "name", target.item))
        return call

    def _bare(self, principal: Principal, name: str) -> Target:
        """Return the one tool that its server calls so.

        Apps that a server brings along (MCP Apps) know its tools by no other name. Nothing is bound
        by this: with a second such tool the name means none. Raises JsonRpcError (INVALID_PARAMS).
        """
        epoch_s = self._parts.epoch_s()
        servers = self._parts.listings[Kind.TOOL].servers(principal, epoch_s)
        found = [
            Target(device.installation_id, server.info.name, name)
            for device, server in servers
            if any(tool.name == name for tool in server.tools)
        ]
        if len(found) == 1:
            return found[0]
        more = f"; {len(found)} servers have one of this name" if found else ""
        raise JsonRpcError(INVALID_PARAMS, f"Unknown tool: {name}{more}")

    def _restart(self, access: Access, request: Request, caller: Caller) -> Running | None:
        try:
            arguments = msgspec.json.decode(
                request.params.get("arguments", Raw(b"{}")), type=RestartArguments
            )
        except (msgspec.MsgspecError, RecursionError) as error:
            caller.result(text_result(f"restart: {error}", is_error=True))
            return None
        try:
            device = _device_to_restart(self._parts.devices.of(access.principal), arguments.device)
        except LookupError as error:
            caller.result(text_result(str(error.args[0]), is_error=True))
            return None
        order = RestartOrder(
            self._parts.calls, lambda ok, text: caller.result(text_result(text, is_error=not ok))
        )
        order.send(device, arguments.server, str(access.principal))
        return order


def _device_to_restart(devices: Iterable[Device], name: str | None) -> Device:
    """Return the device that is meant. Raises LookupError with a sentence."""
    connected = [device for device in devices if device.is_connected]
    names = ", ".join(device.name for device in connected) or "none"
    meant = [device for device in connected if name is None or device.name == name]
    if len(meant) == 1:
        return meant[0]
    if not connected:
        raise LookupError("No device is connected, so nothing can be restarted.")
    if name is None:
        raise LookupError(f"Which device? Connected are: {names}.")
    raise LookupError(f"No connected device is called {name!r}. Connected are: {names}.")
