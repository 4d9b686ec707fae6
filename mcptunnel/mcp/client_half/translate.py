"""Messages between a legacy client and the modern dialect (2026-07-28, changelog).

Only the outer members are looked at, and inside a list of tools those of each tool.
"""

from typing import Final

import msgspec
from msgspec import Raw

from mcptunnel.mcp import jsonrpc, meta
from mcptunnel.mcp.client_half.session import McpSession
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, JsonRpcError, Members, Request

_MODERN_MEMBERS: Final = ("resultType", "ttlMs", "cacheScope")
_COMPLETE: Final = "complete"

# Errors that blame the modern request, which we wrote. A legacy client knows neither the codes nor
# what they blame.
_MODERN_CODES: Final = frozenset(
    b"%d" % code
    for code in (
        jsonrpc.HEADER_MISMATCH,
        jsonrpc.MISSING_CLIENT_CAPABILITY,
        jsonrpc.UNSUPPORTED_PROTOCOL_VERSION,
    )
)

_tools = msgspec.json.Decoder(list[dict[str, Raw]])


def to_modern(request: Request, session: McpSession) -> Request:
    """Return a legacy request with the `_meta` that makes it modern.

    The progress token, trace and vendor keys stay. No client capabilities are claimed: a server must
    not ask what cannot be carried to the client. Raises JsonRpcError (INVALID_PARAMS) if `_meta` is
    no object.
    """
    ours = meta.modern_meta(client_info=session.client_info)
    about = request.params.get(meta.META)
    if about is not None and bytes(about) != b"null":
        for key, value in jsonrpc.members(about).items():
            if not key.startswith(meta.CORE_PREFIX):
                ours[key] = value
    params = jsonrpc.with_member(request.params, meta.META, ours)
    if request.method == "tools/call":
        params.pop("task", None)  # legacy tasks, which we never offer
    return Request(request.id, request.method, params)


def to_legacy_result(method: str, result: Raw) -> Raw:
    """Return a modern result without what only 2026-07-28 has.

    What breaks a strict legacy client goes too: output schemas and structured content that are no
    objects. Raises JsonRpcError (INTERNAL_ERROR) if the result is no object, or of a `resultType`
    that a legacy client cannot be given.
    """
    try:
        known = jsonrpc.members(result)
    except JsonRpcError:
        raise JsonRpcError(INTERNAL_ERROR, "The server's result is no object") from None
    kind = known.get("resultType")
    if kind is not None and jsonrpc.text(kind) != _COMPLETE:
        raise JsonRpcError(
            INTERNAL_ERROR, "The server's answer needs a client of MCP 2026-07-28 or later"
        )
    for name in _MODERN_MEMBERS:
        known.pop(name, None)
    if method == "tools/list":
        _drop_loose_schemas(known)
    elif method == "tools/call":
        content = known.get("structuredContent")
        if content is not None and not _is_object(content):
            del known["structuredContent"]
    return jsonrpc.raw(known)


def _drop_loose_schemas(result: Members) -> None:
    try:
        tools = _tools.decode(result.get("tools", b""))
    except (msgspec.MsgspecError, RecursionError):
        return  # the client may judge it
    changed = False
    for tool in tools:
        schema = tool.get("outputSchema")
        if schema is not None and not _has_object_root(schema):
            del tool["outputSchema"]
            changed = True
    if changed:
        result["tools"] = jsonrpc.raw(tools)


def _has_object_root(schema: Raw) -> bool:
    return _is_object(schema) and jsonrpc.text(jsonrpc.members(schema).get("type")) == "object"


def _is_object(value: Raw) -> bool:
    return bytes(memoryview(value)[:1]) == b"{"


def to_legacy_error(error: Raw) -> Raw:
    """Return a modern error with a code that a legacy client knows; message and data stay."""
    try:
        known = jsonrpc.members(error)
    except JsonRpcError:
        return error
    if bytes(known.get("code", b"")) not in _MODERN_CODES:
        return error
    return jsonrpc.raw(jsonrpc.with_member(known, "code", INTERNAL_ERROR))
