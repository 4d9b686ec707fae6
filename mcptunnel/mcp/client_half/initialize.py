"""The answer to a legacy client's `initialize` (2025-11-25, basic/lifecycle)."""

from typing import Final

from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half.capabilities import to_legacy_server, to_modern_client
from mcptunnel.mcp.client_half.session import McpSession
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, JsonRpcError, Request
from mcptunnel.mcp.meta import META, SERVER_INFO, modern_meta
from mcptunnel.mcp.service import Asker
from mcptunnel.mcp.versions import negotiate_legacy

MAX_KEPT_BYTES: Final = 8 * 1024
"""The most that is kept of each thing a client says about itself, for as long as its session lives."""

_NAMELESS: Final = Raw(b'{"name":"unnamed","version":"0"}')


def open_session(
    request: Request, *, session_id: str, asker: Asker, only: str | None = None
) -> McpSession:
    """Return the session that an `initialize` begins, if it is answered; `only` in this version.

    What the client says about itself is taken only if it is an object of at most MAX_KEPT_BYTES;
    nothing depends on it. Raises JsonRpcError (INVALID_PARAMS) if the client names no version.
    """
    requested = jsonrpc.text(request.params.get("protocolVersion"))
    if requested is None:
        raise JsonRpcError(
            INVALID_PARAMS, "initialize needs protocolVersion, a string", None, request.id
        )
    version = only or negotiate_legacy(requested)
    capabilities = to_modern_client(_object(request.params.get("capabilities")), version)
    info = _object(request.params.get("clientInfo"))
    return McpSession(session_id, asker, version, capabilities, info)


def discover(request: Request, session: McpSession) -> Request:
    """Return the modern request that learns what `initialize` has to tell."""
    about = modern_meta(client_info=session.client_info, client_capabilities=session.capabilities)
    return Request(request.id, "server/discover", {META: jsonrpc.raw(about)})


def answer(session: McpSession, discovered: Raw) -> Raw:
    """Return the result of `initialize`, from that of `server/discover`.

    Raises JsonRpcError (INTERNAL_ERROR) if that is no object: the server's fault.
    """
    try:
        said = jsonrpc.members(discovered)
        about = jsonrpc.members(said.get(META))
    except JsonRpcError:
        raise JsonRpcError(INTERNAL_ERROR, "The server's description is malformed") from None
    result: dict[str, object] = {
        "protocolVersion": session.version,
        "capabilities": to_legacy_server(said.get("capabilities")),
        "serverInfo": about.get(SERVER_INFO, _NAMELESS),
    }
    instructions = said.get("instructions")
    if jsonrpc.text(instructions) is not None:
        result["instructions"] = instructions
    return jsonrpc.raw(result)


def _object(value: Raw | None) -> Raw | None:
    if value is None or memoryview(value).nbytes > MAX_KEPT_BYTES:
        return None
    encoded = bytes(value)  # a copy: a session must not keep the whole request alive
    return Raw(encoded) if encoded.startswith(b"{") else None
