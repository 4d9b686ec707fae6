"""How many tools may be known of one user, so that nobody fills the relay's memory or time."""

from collections.abc import Iterable
from itertools import accumulate
from typing import Final

from mcptunnel.mcp.catalogue import Tool
from mcptunnel.relay.devices import Device, RemoteServer

MAX_SERVER_TOOLS: Final = 1000
"""Tools of one server."""

MAX_SERVER_BYTES: Final = 2 * 1024 * 1024
"""What all pages of one server's list may take."""

MAX_TOOLS: Final = 2000
"""Tools of all servers of a user."""

MAX_BYTES: Final = 8 * 1024 * 1024
"""What the definitions of all tools of a user may take."""


def keep(devices: Iterable[Device], server: RemoteServer, tools: Iterable[Tool]) -> int:
    """Give a server of one of a user's devices its tools; return how many there was no room for.

    Devices that are offline make room, the one that was seen last at last.
    """
    fetched = tuple(tools)
    known = list(devices)
    count, size_bytes = len(fetched), sum(tool.size_bytes for tool in fetched)
    for device in known:
        for other in device.servers.values():
            if other is not server:
                count += len(other.tools)
                size_bytes += other.tools_bytes
    offline = sorted((d for d in known if not d.is_connected), key=lambda d: d.last_seen_s)
    for device in offline:
        if count <= MAX_TOOLS and size_bytes <= MAX_BYTES:
            break
        for other in device.servers.values():
            count -= len(other.tools)
            size_bytes -= other.tools_bytes
            other.tools, other.tools_bytes = (), 0
    kept = fetched[: _fitting(fetched, count - MAX_TOOLS, size_bytes - MAX_BYTES)]
    if kept != server.tools:  # the old ones may be listed already: it is by them that this is known
        server.tools, server.tools_bytes = kept, sum(tool.size_bytes for tool in kept)
    return len(fetched) - len(kept)


def _fitting(tools: tuple[Tool, ...], excess_count: int, excess_bytes: int) -> int:
    """Return how many of the tools fit, if so much of them does not; the last ones give way."""
    if excess_count <= 0 and excess_bytes <= 0:
        return len(tools)
    sizes = list(accumulate(tool.size_bytes for tool in tools))
    room_bytes = (sizes[-1] if sizes else 0) - excess_bytes
    by_bytes = sum(size <= room_bytes for size in sizes)
    return max(0, min(by_bytes, len(tools) - max(0, excess_count)))
