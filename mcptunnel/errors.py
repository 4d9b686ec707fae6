"""The root of every error of this package.

McpTunnelError
 ├─ config.errors.ConfigError       a configuration that cannot be used
 ├─ wire.errors.ProtocolError       the tunnel protocol was broken, by us or by the peer
 ├─ mcp.jsonrpc.JsonRpcError        a message that is not JSON-RPC as MCP wants it
 ├─ net.errors.LinkError            a link that could not be made or was lost
 ├─ sealing.SealBrokenError         a sealed text that is not ours, was changed or has expired
 └─ store.errors.StoreError         a store that cannot be opened or is of another version
"""


class McpTunnelError(Exception):
    """Something went wrong that a person can be told about; `str()` is that sentence."""
