"""What can go wrong with a store."""

from mcptunnel.errors import McpTunnelError


class StoreError(McpTunnelError):
    """The store cannot be opened, is of another version, or failed in use."""
