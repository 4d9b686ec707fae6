"""Messages between a legacy client and the modern dialect (2026-07-28, changelog).

Only the outer members are looked at, and inside a list of tools those of each tool.
"""

from typing import Final

import msgspec
from msgspec import Raw

from mcptunnel.mcp import jsonrpc, meta
from mcptunnel.mcp.client_half.session import McpSession
from mcptunnel.mcp.input_required import METHODS
from mcptunnel.mcp.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    JsonRpcError,
    Members,
    Request,
)

_MODERN_MEMBERS: Final = ("resultType", "ttlMs", "cacheScope")
_NOT_THEIRS: Final = ("inputResponses", "requestState", "task")
"""What a legacy client has no business to say: retries are ours, and legacy tasks nobody offers."""

_COMPLETE: Final = "complete"
_INPUT_REQUIRED: Final = "input_required"
_LINKS_SINCE: Final = "2025-06-18"
_LINK: Final = "resource_link"
RESOURCE_NOT_FOUND: Final = -32002
"""Until 2025-11-25; since then it is INVALID_PARAMS (2026-07-28, server/resources)."""

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

_objects = msgspec.json.Decoder(list[dict[str, Raw]])


def to_modern(request: Request, session: McpSession) -> Request:
    """Return a legacy request with the `_meta` that makes it modern.

    The progress token, trace and vendor keys stay; capabilities and log level are those of the
    session. Raises JsonRpcError (INVALID_PARAMS) if `_meta` is no object.
    """
    ours = meta.modern_meta(
        client_info=session.client_info,
        client_capabilities=session.capabilities,
        log_level=session.log_level,
    )
    about = request.params.get(meta.META)
    if about is not None and bytes(about) != b"null":
        for key, value in jsonrpc.members(about).items():
            if not key.startswith(meta.CORE_PREFIX):
                ours[key] = value
    params = jsonrpc.with_member(request.params, meta.META, ours)
    if request.method in METHODS:
        for name in _NOT_THEIRS:
            params.pop(name, None)
    return Request(request.id, request.method, params)


def to_legacy_result(method: str, result: Raw, version: str) -> Raw | None:
    """Return a modern result without what only 2026-07-28 has; None if it asks for input.

    What breaks a strict legacy client goes too: output schemas and structured content that are no
    objects; resource links, before there were any, become text. Raises JsonRpcError (INTERNAL_ERROR)
    if the result is no object, or of a `resultType` that a legacy client cannot be given.
    """
    try:
        known = jsonrpc.members(result)
    except JsonRpcError:
        raise JsonRpcError(INTERNAL_ERROR, "The server's result is no object") from None
    kind = known.get("resultType")
    if kind is not None and (named := jsonrpc.text(kind)) != _COMPLETE:
        if named == _INPUT_REQUIRED:
            return None
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
        if version < _LINKS_SINCE:
            _write_out_links(known)
    return jsonrpc.raw(known)


def _write_out_links(result: Members) -> None:
    """Make text of resource links; content without any is not looked into."""
    content = result.get("content")
    if content is None or _LINK.encode() not in bytes(content):
        return
    try:
        parts = _objects.decode(content)
    except (msgspec.MsgspecError, RecursionError):
        return
    result["content"] = jsonrpc.raw(list(map(_written_out, parts)))


def _written_out(part: Members) -> object:
    if jsonrpc.text(part.get("type")) != _LINK:
        return part
    name, uri = jsonrpc.text(part.get("name")), jsonrpc.text(part.get("uri"))
    return {"type": "text", "text": f"{name or 'Resource'}: {uri}"}


def _drop_loose_schemas(result: Members) -> None:
    try:
        tools = _objects.decode(result.get("tools", b""))
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


def to_legacy_error(method: str, error: Raw) -> Raw:
    """Return a modern error of `method` with a code that a legacy client knows; the rest stays."""
    try:
        known = jsonrpc.members(error)
    except JsonRpcError:
        return error
    code = bytes(known.get("code", b""))
    if code in _MODERN_CODES:
        return jsonrpc.raw(jsonrpc.with_member(known, "code", INTERNAL_ERROR))
    if method == "resources/read" and code == b"%d" % INVALID_PARAMS:
        return jsonrpc.raw(jsonrpc.with_member(known, "code", RESOURCE_NOT_FOUND))
    return error
