"""How much may be known of one user's servers, so that nobody fills the relay's memory or time."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

from mcptunnel.mcp.alike import is_alike
from mcptunnel.mcp.catalogue import Item
from mcptunnel.mcp.features import Features
from mcptunnel.mcp.kinds import Kind
from mcptunnel.relay.devices import Device
from mcptunnel.relay.remote_server import RemoteServer

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many things of a kind, and how many bytes of their definitions.

    `server_bytes` is what all pages of one server's list may take.
    """

    server_items: int
    server_bytes: int
    user_items: int
    user_bytes: int


BOUNDS: Final = {
    Kind.TOOL: Bounds(1000, 2 * MIB, 2000, 8 * MIB),
    Kind.PROMPT: Bounds(1000, 2 * MIB, 2000, 4 * MIB),
    Kind.RESOURCE: Bounds(2000, 2 * MIB, 5000, 8 * MIB),
    Kind.TEMPLATE: Bounds(500, 1 * MIB, 1000, 2 * MIB),
}


MAX_INSTRUCTIONS_CHARS: Final = 64_000
"""Instructions of all servers of a user that are kept; of these some may be of devices that are away."""


def keep(devices: Iterable[Device], server: RemoteServer, kind: Kind, items: Iterable[Item]) -> int:
    """Give a server of one of a user's devices its list; return of how much there was no room for.

    Devices that are offline make room, the one that was seen last at last.
    """
    bounds = BOUNDS[kind]
    fetched = tuple(items)
    devices = list(devices)
    count, size_bytes = len(fetched), sum(item.size_bytes for item in fetched)
    for device in devices:
        for other in device.servers.values():
            if other is not server:
                count += len(other.known[kind].items)
                size_bytes += other.known[kind].size_bytes
    offline = sorted((d for d in devices if not d.is_connected), key=lambda d: d.last_seen_s)
    for device in offline:
        if count <= bounds.user_items and size_bytes <= bounds.user_bytes:
            break
        for other in device.servers.values():
            known = other.known[kind]
            count -= len(known.items)
            size_bytes -= known.size_bytes
            known.items, known.size_bytes = (), 0
    excess = (count - bounds.user_items, size_bytes - bounds.user_bytes)
    kept = fetched[: _fitting(fetched, *excess)]
    known = server.known[kind]
    if not _are_alike(kept, known.items):  # by the old ones it is known what is listed already
        known.items, known.size_bytes = kept, sum(item.size_bytes for item in kept)
    return len(fetched) - len(kept)


def keep_features(devices: Iterable[Device], server: RemoteServer, features: Features) -> None:
    """Note what a server of one of a user's devices can do; without room not its instructions."""
    taken_chars = len(features.instructions)
    for device in devices:
        for other in device.servers.values():
            if other is not server and other.features is not None:
                taken_chars += len(other.features.instructions)
    if taken_chars > MAX_INSTRUCTIONS_CHARS:
        features = replace(features, instructions="")
    server.features = features


def _are_alike(new: tuple[Item, ...], old: tuple[Item, ...]) -> bool:
    """Whether a server's list says the same as before: some write it anew each time, in any order."""
    return [item.name for item in new] == [item.name for item in old] and all(
        is_alike(one.definition, other.definition) for one, other in zip(new, old, strict=True)
    )


def _fitting(items: tuple[Item, ...], excess_count: int, excess_bytes: int) -> int:
    """Return how many of the items fit, if so much of them does not; the last ones give way."""
    if excess_count <= 0 and excess_bytes <= 0:
        return len(items)
    sizes = list(accumulate(item.size_bytes for item in items))
    room_bytes = (sizes[-1] if sizes else 0) - excess_bytes
    by_bytes = sum(size <= room_bytes for size in sizes)
    return max(0, min(by_bytes, len(items) - max(0, excess_count)))
