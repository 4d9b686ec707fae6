"""Which endpoint is where."""

from collections.abc import Callable

from mcptunnel.auth.keys import Scope
from mcptunnel.config.relay import RelayConfig
from mcptunnel.relay.credentials import Credentials
from mcptunnel.relay.web.bearer import BearerGate
from mcptunnel.relay.web.guard import Guard
from mcptunnel.relay.web.index import Health, Index
from mcptunnel.relay.web.root import Answer, Guarded, Root

TUNNEL_PATHS = (b"tunnel", b"ws")


def make_root(
    config: RelayConfig,
    *,
    credentials: Credentials,
    connected_count: Callable[[], int],
    resuming_count: Callable[[], int],
    mcp: Answer,
    tunnel: Answer,
) -> Root:
    """Return the root of the relay's resources."""
    guard = Guard.of(config.public_url, config.allowed_hosts, config.allowed_origins)
    health = Health(connected_count, resuming_count)
    root = Root(Index(config.public_url, health))
    root.putChild(b"health", health)
    root.putChild(b"mcp", Guarded(guard, BearerGate(credentials, Scope.MCP), mcp))
    for path in TUNNEL_PATHS:
        root.putChild(path, Guarded(guard, BearerGate(credentials, Scope.AGENT), tunnel))
    return root
