"""A site that takes small bodies only, and requests of which the head has come so far."""

from collections.abc import Mapping

from mcptunnel.config.relay import LimitsConfig
from tests.relay.web.site import Connection, HttpClient, MemorySite, head_of

LIMIT = 4096
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


def limited_site() -> MemorySite:
    return MemorySite(limits=LimitsConfig(max_request_bytes=LIMIT))


def begin(
    client: HttpClient, body_bytes: int = LIMIT, headers: Mapping[str, str | None] | None = None
) -> Connection:
    """Send the head of a POST in the session."""
    wanted = {
        **client.headers,
        "mcp-session-id": client.session,
        "content-length": str(body_bytes),
        **(headers or {}),
    }
    present = {name: value for name, value in wanted.items() if value is not None}
    connection = client.site.connection()
    connection.send(head_of("POST", "/mcp", present))
    return connection
