"""The answer to a legacy client's `initialize` (2025-11-25, basic/lifecycle)."""

from typing import Final

from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half.session import McpSession
from mcptunnel.mcp.jsonrpc import INVALID_PARAMS, JsonRpcError, Request
from mcptunnel.mcp.versions import negotiate_legacy
from mcptunnel.model import Principal

MAX_KEPT_BYTES: Final = 8 * 1024
"""The most that is kept of each thing a client says about itself, for as long as its session lives."""

_NOTHING: Final = Raw(b"{}")


def answer(
    request: Request, *, server_info: Raw, capabilities: Raw, instructions: str | None
) -> tuple[str, Raw]:
    """Return the version agreed on and the result of `initialize`.

    `server_info` (an Implementation) and `capabilities` are encoded objects that describe us. Raises
    JsonRpcError (INVALID_PARAMS) if the client names no version.
    """
    requested = jsonrpc.text(request.params.get("protocolVersion"))
    if requested is None:
        raise JsonRpcError(
            INVALID_PARAMS, "initialize needs protocolVersion, a string", None, request.id
        )
    version = negotiate_legacy(requested)
    result: dict[str, object] = {
        "protocolVersion": version,
        "capabilities": capabilities,
        "serverInfo": server_info,
    }
    if instructions is not None:
        result["instructions"] = instructions
    return version, jsonrpc.raw(result)


def open_session(
    request: Request, *, session_id: str, principal: Principal, client: str, version: str
) -> McpSession:
    """Return the session that an answered `initialize` begins.

    What the client says about itself is taken only if it is an object of at most MAX_KEPT_BYTES;
    nothing depends on it.
    """
    info = _object(request.params.get("clientInfo"))
    offered = _object(request.params.get("capabilities"))
    return McpSession(session_id, principal, client, version, offered or _NOTHING, info)


def _object(value: Raw | None) -> Raw | None:
    if value is None or memoryview(value).nbytes > MAX_KEPT_BYTES:
        return None
    encoded = bytes(value)  # a copy: a session must not keep the whole request alive
    return Raw(encoded) if encoded.startswith(b"{") else None
