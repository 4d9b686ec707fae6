"""Which endpoint is where."""

from typing import Protocol

from mcptunnel.auth.keys import Scope
from mcptunnel.auth.scopes import READ_SCOPE
from mcptunnel.config.relay import RelayConfig
from mcptunnel.relay.devices import Devices
from mcptunnel.relay.draining import Draining
from mcptunnel.relay.places import device_address, server_address
from mcptunnel.relay.web.bearer import Answer, Gate
from mcptunnel.relay.web.guard import Guard
from mcptunnel.relay.web.index import Health, Index, Ready
from mcptunnel.relay.web.mcp import McpEndpoint
from mcptunnel.relay.web.pages.assets import Assets
from mcptunnel.relay.web.root import Guarded, Root
from mcptunnel.relay.web.servers import ServerAnswer, Servers

TUNNEL_PATHS = (b"tunnel", b"ws")


class Gates(Protocol):
    """Makes what lets in who has a scope; with `reading`, also who has only that, to read."""

    def __call__(self, scope: Scope, reading: str | None = None, /) -> Gate: ...


def make_root(
    config: RelayConfig,
    *,
    gate: Gates,
    devices: Devices,
    draining: Draining,
    hub: McpEndpoint,
    server: ServerAnswer,
    tunnel: Answer,
) -> Root:
    """Return the root of the relay's resources."""
    guard = guard_of(config)
    health = Health(devices, draining)
    root = Root(Index(config, health))
    root.putChild(b"assets", Assets())
    root.putChild(b"health", health)
    root.putChild(b"ready", Ready(draining))
    readers = gate(Scope.MCP, READ_SCOPE)
    clients = gate(Scope.MCP)  # what they ask a server for passes unread
    agents = gate(Scope.AGENT)
    root.putChild(b"mcp", Guarded(guard, readers, hub.answer))
    root.putChild(b"sse", Guarded(guard, readers, hub.open_sse))
    root.putChild(b"messages", Guarded(guard, readers, hub.post_sse))
    root.putChild(b"servers", Servers(guard, clients, server_address, server))
    root.putChild(b"devices", Servers(guard, clients, device_address, server))
    for path in TUNNEL_PATHS:
        root.putChild(path, Guarded(guard, agents, tunnel))
    return root


def guard_of(config: RelayConfig) -> Guard:
    """Return which names a relay answers to, and which origins may call it."""
    return Guard.of(config.public_url, config.allowed_hosts, config.allowed_origins)
