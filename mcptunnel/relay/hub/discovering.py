"""`server/discover`: all servers of a user as one; answered at once, from what is known here."""

from typing import Final

from mcptunnel.mcp import features, jsonrpc
from mcptunnel.mcp.features import Features
from mcptunnel.mcp.jsonrpc import Request
from mcptunnel.mcp.kinds import Kind
from mcptunnel.mcp.meta import SERVER_INFO
from mcptunnel.mcp.service import Caller
from mcptunnel.mcp.versions import LEGACY_VERSIONS, MODERN_VERSIONS
from mcptunnel.model import Principal
from mcptunnel.relay.access import Access
from mcptunnel.relay.hub.parts import Parts

TTL_MS: Final = 0


class Discovering:
    """Answers `server/discover` (`parts.Method`); `instructions` are our own."""

    def __init__(self, parts: Parts, instructions: str) -> None:
        self._parts = parts
        self._instructions = instructions

    def request(self, access: Access, request: Request, caller: Caller) -> None:
        known = self._known(access.principal)
        caller.result(
            jsonrpc.raw(
                {
                    "resultType": "complete",
                    "supportedVersions": [*MODERN_VERSIONS, *reversed(LEGACY_VERSIONS[1:])],
                    "capabilities": features.capabilities(known),
                    "instructions": self._told(access.principal),
                    "ttlMs": TTL_MS,
                    "cacheScope": "private",
                    "_meta": {SERVER_INFO: self._parts.server_info},
                }
            )
        )

    def _known(self, principal: Principal) -> list[Features]:
        """Return what every server can do, connected or not.

        What is not known yet is taken for granted: clients ask once, and a list that turns out to be
        empty costs less than one that is never asked for.
        """
        found: list[Features] = []
        for device in self._parts.devices.of(principal):
            if not device.announced and not device.servers:
                found.append(Features())
            found += [
                server.features or Features()
                for server in device.servers.values()
                if server.features is not None or server.info.state in ("starting", "ready")
            ]
        return found

    def _told(self, principal: Principal) -> str:
        parts = self._parts
        with_device = len(parts.devices.of(principal)) > 1
        servers = parts.listings[Kind.TOOL].servers(principal, parts.epoch_s())
        return features.instructions(
            self._instructions,
            (
                (
                    f"{server.info.name} on {device.name}" if with_device else server.info.name,
                    server.features.instructions,
                )
                for device, server in servers
                if server.features is not None
            ),
        )
