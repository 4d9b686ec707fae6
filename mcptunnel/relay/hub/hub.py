"""The hub: every request of a client, in the modern dialect, to its result.

Clients of both eras come here; who translates for legacy ones is `relay.web.mcp`. Each method has a
file of its own; here they are put together.
"""

import secrets
from collections.abc import Callable
from typing import Any, Final

from twisted.logger import Logger

import mcptunnel
from mcptunnel.config.relay import RelayConfig
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, METHOD_NOT_FOUND, JsonRpcError, Request
from mcptunnel.mcp.kinds import LISTED, Kind
from mcptunnel.mcp.listens import LISTEN
from mcptunnel.mcp.service import Caller, Running
from mcptunnel.model import Principal
from mcptunnel.relay.access import Access
from mcptunnel.relay.bearers import NamesChanged
from mcptunnel.relay.devices import Device, Devices
from mcptunnel.relay.hub.awaited import SHARE, Awaited
from mcptunnel.relay.hub.catalogue import Catalogue
from mcptunnel.relay.hub.completion_call import CompletionCalls
from mcptunnel.relay.hub.discovering import Discovering
from mcptunnel.relay.hub.fetching import Fetching
from mcptunnel.relay.hub.listening import Listening
from mcptunnel.relay.hub.listing import Listing
from mcptunnel.relay.hub.lists import Lists
from mcptunnel.relay.hub.open_calls import OpenCalls
from mcptunnel.relay.hub.owners import OwnersOfUsers
from mcptunnel.relay.hub.parts import Method, Parts
from mcptunnel.relay.hub.prompt_call import PromptCalls
from mcptunnel.relay.hub.resource_call import ResourceCalls
from mcptunnel.relay.hub.seals import Seals
from mcptunnel.relay.hub.settling import Settling
from mcptunnel.relay.hub.tables import Tables
from mcptunnel.relay.hub.tool_call import ToolCalls
from mcptunnel.relay.remote_server import RemoteServer

INSTRUCTIONS: Final = (
    "These tools run on the user's own devices; a tool is named after the server that offers it. "
    "`status` tells which devices and servers are there, `restart` restarts a server that hangs."
)


class Hub:
    """The MCP server that clients see.

    `secret` gives the secret that seals what clients bring back, when it is first needed.
    """

    server_info: Final = jsonrpc.raw(
        {"name": "mcptunnel", "title": "mcptunnel", "version": mcptunnel.__version__}
    )

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: RelayConfig,
        devices: Devices,
        *,
        names_changed: NamesChanged,
        secret: Callable[[], bytes],
        epoch_s: Callable[[], float],
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._reactor = reactor
        self._devices = devices
        self._changes: dict[Principal, None] = {}
        self.calls = OpenCalls(reactor, config.hub.call_timeout_s, config.limits.max_result_bytes)
        self.tables = Tables(names_changed)
        self.catalogue = Catalogue(reactor, devices, self._fetching(config), changed=self.changed)
        wait_s = config.hub.server_timeout_s
        self._awaited = Awaited(reactor, self.catalogue, wait_s=SHARE * wait_s, over=self.changed)
        self.listings = self._make_listings(config)
        self._settling = Settling(reactor, devices, self.catalogue, self.listings, timeout_s=wait_s)
        self.parts = Parts(
            reactor,
            epoch_s,
            devices,
            self.calls,
            self.catalogue,
            self.listings,
            self.tables,
            OwnersOfUsers(self.listings[Kind.RESOURCE], self.tables),
            self._settling,
            Seals(secret, random, epoch_s),
            self.server_info,
            config.limits.max_result_bytes,
        )
        grace_s, changed = config.hub.offline_grace_s, self.server_changed
        self._listening = Listening(self.parts, offline_grace_s=grace_s, server_changed=changed)
        self._methods = _methods(self.parts, self._listening)

    def request(self, access: Access, request: Request, caller: Caller) -> Running | None:
        """Answer a request, now or later; what is returned gives a running one up."""
        method = self._methods.get(request.method)
        if method is None:
            caller.error(
                JsonRpcError(METHOD_NOT_FOUND, f"Method not found: {request.method}", None)
            )
            return None
        try:
            return method.request(access, request, caller)
        except JsonRpcError as error:
            caller.error(error)
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer
            self._log.failure("cannot answer {method}", method=request.method)
            caller.error(JsonRpcError(INTERNAL_ERROR, "Internal error"))
        return None

    def go_away(self) -> None:
        """Ask servers nothing of our own accord any more; clients' calls run on, listens end."""
        self._listening.stop()
        self.catalogue.stop()

    def stop(self) -> None:
        """Do nothing more of our own accord."""
        self._listening.stop()
        self.catalogue.stop()
        self._awaited.stop()
        self.calls.stop()

    def changed(self, principal: Principal) -> None:
        """Hear that something about a user's devices changed; it is looked at in the next turn."""
        for kind, listing in self.listings.items():
            if self.catalogue.is_wanted(principal, kind):
                listing.invalidate(principal)
        if not self._changes:
            self._reactor.callLater(0, self._take_changes)
        self._changes[principal] = None

    def forget_names(self, device: Device) -> None:
        """Hear that a device was forgotten, and that its names may be others' now."""
        self.tables.forget_device(device.principal, device.installation_id)

    def server_changed(self, device: Device, server: RemoteServer, kind: Kind) -> None:
        """Hear that a list of a server is another one now: what it says of its own accord."""
        server.known[kind].fresh = False
        self.changed(device.principal)

    def _make_listings(self, config: RelayConfig) -> dict[Kind, Listing]:
        return {
            kind: Listing(
                kind,
                self._reactor,
                self._devices,
                self.tables,
                config=config.hub,
                awaited=self._awaited,
                built=self._built,
            )
            for kind in Kind
        }

    def _fetching(self, config: RelayConfig) -> Fetching:
        return Fetching(
            self._reactor,
            self.calls,
            client_info=self.server_info,
            timeout_s=config.hub.server_timeout_s,
            max_result_bytes=config.limits.max_result_bytes,
        )

    def _take_changes(self) -> None:
        changes, self._changes = self._changes, {}
        for principal in changes:
            for device in self._devices.of(principal):
                self.catalogue.refresh(device)
            for kind, listing in self.listings.items():
                if self.catalogue.is_wanted(principal, kind):
                    listing.refresh(principal)
            self._listening.refresh(principal)

    def _built(self, principal: Principal) -> None:
        self._settling.changed(principal)
        self._listening.refresh(principal)


def _methods(parts: Parts, listening: Listening) -> dict[str, Method]:
    methods: dict[str, Method] = {
        LISTEN: listening,
        "tools/call": ToolCalls(parts),
        "prompts/get": PromptCalls(parts),
        "resources/read": ResourceCalls(parts),
        "completion/complete": CompletionCalls(parts),
        **{LISTED[kind].method: Lists(parts, kind) for kind in Kind},
    }
    methods["server/discover"] = Discovering(parts, INSTRUCTIONS)
    return methods
