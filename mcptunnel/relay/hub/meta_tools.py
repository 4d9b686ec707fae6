"""The hub's own tools, always there: `status` and `restart`."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.relay.devices import Device
from mcptunnel.relay.remote_server import RemoteServer

MAX_STATUS_SERVERS: Final = 256
"""Servers that one answer of `status` describes; of the others it says how many there are."""

STATUS: Final = "status"
RESTART: Final = "restart"


@dataclass(frozen=True, slots=True)
class MetaTool:
    """A tool of the hub: its name and its definition as it is listed."""

    name: str
    definition: Raw


META_TOOLS: Final = (
    MetaTool(
        RESTART,
        jsonrpc.raw(
            {
                "name": RESTART,
                "title": "Restart local servers",
                "description": (
                    "Restart the local MCP servers of a device, or one of them. "
                    "Use it when a server hangs or after its configuration changed."
                ),
                "inputSchema": {
                    "type": "object",
                    "properties": {
                        "device": {
                            "type": "string",
                            "description": "Name of the device; may be left out if there is one.",
                        },
                        "server": {
                            "type": "string",
                            "description": "Name of the server; all of the device if left out.",
                        },
                    },
                },
                "annotations": {
                    "readOnlyHint": False,
                    "destructiveHint": True,
                    "idempotentHint": True,
                    "openWorldHint": False,
                },
            }
        ),
    ),
    MetaTool(
        STATUS,
        jsonrpc.raw(
            {
                "name": STATUS,
                "title": "Status of devices and servers",
                "description": (
                    "Tell which devices are connected, which local MCP servers they run, "
                    "and what is wrong with those that do not work."
                ),
                "inputSchema": {"type": "object", "properties": {}},
                "annotations": {"readOnlyHint": True, "openWorldHint": False},
            }
        ),
    ),
)


class RestartArguments(msgspec.Struct, frozen=True):
    """The arguments of `restart`."""

    device: str | None = None
    server: str | None = None


def status_result(devices: Iterable[Device], epoch_s: float) -> Raw:
    """Return the result of `status`: text for the model, the same as data for programs."""
    found: list[dict[str, Any]] = []
    room = MAX_STATUS_SERVERS
    for device in devices:
        described = _device(device, epoch_s, room)
        room -= len(described["servers"])
        found.append(described)
    return jsonrpc.raw(
        {
            "resultType": "complete",
            "content": [{"type": "text", "text": _text(found)}],
            "structuredContent": {"devices": found},
            "isError": False,
        }
    )


def _device(device: Device, epoch_s: float, max_servers: int) -> dict[str, Any]:
    servers = sorted(device.servers.items())[:max_servers]
    is_away = device.is_resuming or not device.is_connected
    described: dict[str, Any] = {
        "name": device.name,
        "connected": device.is_connected,
        "resuming": device.is_resuming,
        "stopping": device.is_stopping,
        "revoked": device.is_revoked,
        "lastSeen": _time(device.last_seen_s if is_away else epoch_s),
        "agentVersion": device.agent_version,
        "servers": [_server(server) for _name, server in servers],
    }
    if len(servers) < len(device.servers):
        described["serversNotShown"] = len(device.servers) - len(servers)
    if device.connected_s is not None:
        described["connectedSince"] = _time(device.connected_s)
    if device.tunnel is not None and device.tunnel.session.round_trip_s is not None:
        described["roundTripMs"] = round(device.tunnel.session.round_trip_s * 1000, 1)
    return described


def _server(server: RemoteServer) -> dict[str, Any]:
    info = server.info
    return {
        "name": info.name,
        "kind": info.kind,
        "state": info.state,
        "detail": server.note or info.detail,
        "era": info.era,
        "protocolVersion": info.version,
        "restarts": info.restarts,
        "tools": len(server.tools),
    }


def _text(devices: list[dict[str, Any]]) -> str:
    if not devices:
        return "No device is known. Start an agent: twistd -n mcptunnel-agent --config agent.toml"
    lines: list[str] = []
    for device in devices:
        state = "connected"
        if "roundTripMs" in device:
            state += f", round trip {device['roundTripMs']:g} ms"
        if device["revoked"]:
            state = f"revoked, last seen {device['lastSeen']}"
        elif device["stopping"]:
            state = "stopping, and takes no new calls"
        elif device["resuming"]:
            state = f"expected back, last seen {device['lastSeen']}; calls wait for it"
        elif not device["connected"]:
            state = f"offline, last seen {device['lastSeen']}"
        lines.append(f"{device['name']}: {state}")
        seen = "" if device["connected"] else " (when last seen)"
        lines.extend(_line(server, seen) for server in device["servers"])
        if "serversNotShown" in device:
            lines.append(f"  and {device['serversNotShown']} more servers")
    return "\n".join(lines)


def _line(server: dict[str, Any], seen: str) -> str:
    state, detail = server["state"], server["detail"]
    told = f" - {detail}" if detail and detail != f"is {state}" else ""
    return f"  {server['name']} ({server['kind']}): {state}{seen}, {server['tools']} tools{told}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def text_result(text: str, *, is_error: bool, meta: dict[str, Any] | None = None) -> Raw:
    """Return a tool result that is one text."""
    result: dict[str, Any] = {
        "resultType": "complete",
        "content": [{"type": "text", "text": text}],
        "isError": is_error,
    }
    if meta:
        result["_meta"] = meta
    return jsonrpc.raw(result)
