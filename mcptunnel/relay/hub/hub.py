"""The hub's answers: every request of a client, in the modern dialect, to its result.

Clients of both eras come here; who translates for legacy ones is `relay.web.mcp`.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

import mcptunnel
from mcptunnel.config.relay import RelayConfig
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.catalogue import list_result
from mcptunnel.mcp.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    JsonRpcError,
    Request,
)
from mcptunnel.mcp.meta import SERVER_INFO
from mcptunnel.mcp.names import Target
from mcptunnel.mcp.service import Caller, Running
from mcptunnel.mcp.versions import LEGACY_VERSIONS, MODERN_VERSIONS
from mcptunnel.model import Principal
from mcptunnel.relay.access import Access
from mcptunnel.relay.devices import Device, Devices
from mcptunnel.relay.hub.catalogue import Catalogue
from mcptunnel.relay.hub.listing import Listing, NamesChanged
from mcptunnel.relay.hub.meta_tools import (
    RESTART,
    STATUS,
    RestartArguments,
    status_result,
    text_result,
)
from mcptunnel.relay.hub.open_calls import OpenCalls
from mcptunnel.relay.hub.restart import RestartOrder
from mcptunnel.relay.hub.running import Waiting
from mcptunnel.relay.hub.settling import Settling
from mcptunnel.relay.hub.tool_call import ToolCall

LIST_TTL_MS: Final = 0
INSTRUCTIONS: Final = (
    "These tools run on the user's own devices; a tool is named after the server that offers it. "
    "`status` tells which devices and servers are there, `restart` restarts a server that hangs."
)


class Hub:
    """The MCP server that clients see."""

    server_info: Final = jsonrpc.raw(
        {"name": "mcptunnel", "title": "mcptunnel", "version": mcptunnel.__version__}
    )
    capabilities: Final = jsonrpc.raw({"tools": {}})

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: RelayConfig,
        devices: Devices,
        *,
        names_changed: NamesChanged,
        epoch_s: Callable[[], float],
    ) -> None:
        self._reactor = reactor
        self._epoch_s = epoch_s
        self._devices = devices
        self._max_result_bytes = config.limits.max_result_bytes
        self.listing = Listing(
            reactor,
            devices,
            device_prefix=config.hub.device_prefix,
            offline_grace_s=config.hub.offline_grace_s,
            built=self._built,
            names_changed=names_changed,
        )
        self.calls = OpenCalls(reactor, config.hub.call_timeout_s, config.limits.max_result_bytes)
        self.catalogue = Catalogue(
            reactor,
            devices,
            self.calls,
            client_info=self.server_info,
            timeout_s=config.hub.server_timeout_s,
            max_result_bytes=config.limits.max_result_bytes,
            changed=self.changed,
        )
        self._settling = Settling(
            reactor, devices, self.catalogue, self.listing, timeout_s=config.hub.server_timeout_s
        )
        self._changes: dict[Principal, None] = {}
        self._methods: dict[str, Callable[[Access, Request, Caller], Running | None]] = {
            "tools/call": self._call,
            "tools/list": self._list,
            "server/discover": self._discover,
        }

    def request(self, access: Access, request: Request, caller: Caller) -> Running | None:
        """Answer a request, now or later; what is returned gives a running one up."""
        method = self._methods.get(request.method)
        if method is None:
            caller.error(
                JsonRpcError(METHOD_NOT_FOUND, f"Method not found: {request.method}", None)
            )
            return None
        try:
            return method(access, request, caller)
        except JsonRpcError as error:
            caller.error(error)
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer
            self._log.failure("cannot answer {method}", method=request.method)
            caller.error(JsonRpcError(INTERNAL_ERROR, "Internal error"))
        return None

    def go_away(self) -> None:
        """Ask servers nothing of our own accord any more; clients' calls run on."""
        self.catalogue.stop()

    def stop(self) -> None:
        """Do nothing more of our own accord."""
        self.catalogue.stop()
        self.calls.stop()

    def changed(self, principal: Principal) -> None:
        """Hear that something about a user's devices changed; it is looked at in the next turn."""
        self.listing.invalidate(principal)
        if not self._changes:
            self._reactor.callLater(0, self._take_changes)
        self._changes[principal] = None

    def _take_changes(self) -> None:
        changes, self._changes = self._changes, {}
        for principal in changes:
            for device in self._devices.of(principal):
                self.catalogue.refresh(device)
            self.listing.refresh(principal)

    def _built(self, principal: Principal) -> None:
        self._settling.changed(principal)

    # The methods.

    def _discover(self, _access: Access, _request: Request, caller: Caller) -> None:
        caller.result(
            jsonrpc.raw(
                {
                    "resultType": "complete",
                    "supportedVersions": [*MODERN_VERSIONS, *reversed(LEGACY_VERSIONS[1:])],
                    "capabilities": self.capabilities,
                    "instructions": INSTRUCTIONS,
                    "ttlMs": LIST_TTL_MS,
                    "cacheScope": "private",
                    "_meta": {SERVER_INFO: self.server_info},
                }
            )
        )

    def _list(self, access: Access, request: Request, caller: Caller) -> Running | None:
        cursor = request.params.get("cursor")
        if cursor is not None and bytes(cursor) != b"null":
            raise JsonRpcError(INVALID_PARAMS, "Unknown cursor: all tools are on the first page")
        principal = access.principal
        if self._settling.is_settled(principal):
            self._answer_list(principal, caller)
            return None
        return self._when_settled(principal, caller, lambda: self._answer_list(principal, caller))

    def _when_settled(
        self, principal: Principal, caller: Caller, answer: Callable[[], Running | None]
    ) -> Running:
        """Answer once what the user has is known, or the time for that is over."""
        waiting = Waiting()

        async def wait() -> None:
            await self._settling.settled(principal)
            try:
                waiting.begin(answer())
            except JsonRpcError as error:
                caller.error(error)

        waiting.until = Deferred.fromCoroutine(wait())
        waiting.until.addErrback(self._cannot_answer, caller)
        return waiting

    def _answer_list(self, principal: Principal, caller: Caller) -> None:
        tools = self.listing.tools(principal, self._epoch_s())
        caller.result(list_result(tools, LIST_TTL_MS, self.server_info))

    def _call(self, access: Access, request: Request, caller: Caller) -> Running | None:
        name = jsonrpc.text(request.params.get("name"))
        if name is None:
            raise JsonRpcError(INVALID_PARAMS, "tools/call needs name, a string")
        principal = access.principal
        target = self.listing.resolve(principal, name)
        if target is not None:
            return self._call_tool(access, request, caller, target)
        if name == STATUS:
            caller.result(status_result(self._devices.of(principal), self._epoch_s()))
            return None
        if name == RESTART:
            return self._restart(access, request, caller)
        if self._settling.is_settled(principal):
            raise JsonRpcError(INVALID_PARAMS, f"Unknown tool: {name}")

        def try_again() -> Running:
            target = self.listing.resolve(principal, name)
            if target is None:
                raise JsonRpcError(INVALID_PARAMS, f"Unknown tool: {name}")
            return self._call_tool(access, request, caller, target)

        return self._when_settled(principal, caller, try_again)

    def _call_tool(
        self, access: Access, request: Request, caller: Caller, target: Target
    ) -> Running:
        call = ToolCall(target.server, caller, self.calls, self._max_result_bytes)
        params = jsonrpc.with_member(request.params, "name", target.tool)
        call.start(
            self._devices.get(access.principal, target.device_key),
            Request(request.id, request.method, params),
            access,
        )
        return call

    def _restart(self, access: Access, request: Request, caller: Caller) -> Running | None:
        try:
            arguments = msgspec.json.decode(
                request.params.get("arguments", Raw(b"{}")), type=RestartArguments
            )
        except (msgspec.MsgspecError, RecursionError) as error:
            caller.result(text_result(f"restart: {error}", is_error=True))
            return None
        try:
            device = self._device_to_restart(access.principal, arguments.device)
        except LookupError as error:
            caller.result(text_result(str(error.args[0]), is_error=True))
            return None
        order = RestartOrder(
            self.calls, lambda ok, text: caller.result(text_result(text, is_error=not ok))
        )
        order.send(device, arguments.server, str(access.principal))
        return order

    def _device_to_restart(self, principal: Principal, name: str | None) -> Device:
        """Return the device that is meant. Raises LookupError with a sentence."""
        connected = [device for device in self._devices.of(principal) if device.is_connected]
        names = ", ".join(device.name for device in connected) or "none"
        meant = [device for device in connected if name is None or device.name == name]
        if len(meant) == 1:
            return meant[0]
        if not connected:
            raise LookupError("No device is connected, so nothing can be restarted.")
        if name is None:
            raise LookupError(f"Which device? Connected are: {names}.")
        raise LookupError(f"No connected device is called {name!r}. Connected are: {names}.")

    def _cannot_answer(self, failure: Failure, caller: Caller) -> None:
        if not failure.check(CancelledError):
            self._log.failure("cannot answer", failure)
            caller.error(JsonRpcError(INTERNAL_ERROR, "Internal error"))
