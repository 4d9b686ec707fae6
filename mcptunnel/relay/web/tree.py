"""Which endpoint is where."""

from collections.abc import Callable

from mcptunnel.auth.keys import Scope
from mcptunnel.config.relay import RelayConfig
from mcptunnel.relay.devices import Devices
from mcptunnel.relay.draining import Draining
from mcptunnel.relay.places import device_address, server_address
from mcptunnel.relay.web.bearer import Gate
from mcptunnel.relay.web.guard import Guard
from mcptunnel.relay.web.index import Health, Index, Ready
from mcptunnel.relay.web.mcp import McpEndpoint
from mcptunnel.relay.web.pages.assets import Assets
from mcptunnel.relay.web.root import Answer, Guarded, Root
from mcptunnel.relay.web.servers import ServerAnswer, Servers

TUNNEL_PATHS = (b"tunnel", b"ws")


def make_root(
    config: RelayConfig,
    *,
    gate: Callable[[Scope], Gate],
    devices: Devices,
    draining: Draining,
    hub: McpEndpoint,
    server: ServerAnswer,
    tunnel: Answer,
) -> Root:
    """Return the root of the relay's resources; `gate` makes what lets in who has a scope."""
    guard = guard_of(config)
    health = Health(devices, draining)
    root = Root(Index(config, health))
    root.putChild(b"assets", Assets())
    root.putChild(b"health", health)
    root.putChild(b"ready", Ready(draining))
    clients = gate(Scope.MCP)
    agents = gate(Scope.AGENT)
    root.putChild(b"mcp", Guarded(guard, clients, hub.answer))
    root.putChild(b"sse", Guarded(guard, clients, hub.open_sse))
    root.putChild(b"messages", Guarded(guard, clients, hub.post_sse))
    root.putChild(b"servers", Servers(guard, clients, server_address, server))
    root.putChild(b"devices", Servers(guard, clients, device_address, server))
    for path in TUNNEL_PATHS:
        root.putChild(path, Guarded(guard, agents, tunnel))
    return root


def guard_of(config: RelayConfig) -> Guard:
    """Return which names a relay answers to, and which origins may call it."""
    return Guard.of(config.public_url, config.allowed_hosts, config.allowed_origins)
