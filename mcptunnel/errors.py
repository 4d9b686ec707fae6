"""The root of every error of this package.

McpTunnelError
 ├─ config.errors.ConfigError       a configuration that cannot be used
 ├─ wire.errors.ProtocolError       the tunnel protocol was broken, by us or by the peer
 ├─ mcp.jsonrpc.JsonRpcError        a message that is not JSON-RPC as MCP wants it
 ├─ net.errors.LinkError            a link that could not be made or was lost
 ├─ net.http.FetchError             nothing that could be used came from another server
 ├─ auth.errors.OAuthError          a request that the authorization server refuses
 ├─ auth.jose.JoseError             a signed token that cannot be trusted
 ├─ auth.json_objects.NotAnObjectError  a document that is no JSON object
 ├─ auth.oidc.errors.ProviderError  a sign-in provider that cannot be used
 ├─ auth.oidc.errors.SignInError    a person who could not sign in
 ├─ sealing.SealBrokenError         a sealed text that is not ours, was changed or has expired
 └─ store.errors.StoreError         a store that cannot be opened or is of another version
"""


class McpTunnelError(Exception):
    """Something went wrong that a person can be told about; `str()` is that sentence."""
