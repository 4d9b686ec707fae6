"""Messages between the modern dialect and a legacy server (2026-07-28, changelog).

Only the outer members are looked at. What is inside `content` is never decoded: a large result costs
one scan and one copy.
"""

from typing import Final

import msgspec
from msgspec import Raw

from mcptunnel.mcp import jsonrpc, meta
from mcptunnel.mcp.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    JsonRpcError,
    Members,
)
from mcptunnel.mcp.server_half.handshake import ServerInfo
from mcptunnel.mcp.versions import MODERN_VERSIONS

RESOURCE_NOT_FOUND: Final = -32002
"""The legacy code of an unknown resource; 2026-07-28 says INVALID_PARAMS instead."""

CACHEABLE: Final = frozenset(
    {
        "server/discover",
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "resources/read",
    }
)
"""Methods whose results must carry `ttlMs` and `cacheScope` (2026-07-28, server/utilities/caching)."""

_METHODS: Final = CACHEABLE | {"completion/complete", "prompts/get", "tools/call"}
"""All that a modern client may ask of a legacy server, vendors' own methods aside."""

_SPECIFICATIONS: Final = frozenset(b"%d" % code for code in jsonrpc.SPECIFICATIONS)
_ABSENT: Final = Raw()


class _Outer(msgspec.Struct, frozen=True, gc=False):
    result_type: Raw = msgspec.field(name="resultType", default=_ABSENT)
    ttl_ms: Raw = msgspec.field(name="ttlMs", default=_ABSENT)
    cache_scope: Raw = msgspec.field(name="cacheScope", default=_ABSENT)
    meta: Raw = msgspec.field(name="_meta", default=_ABSENT)


_outer = msgspec.json.Decoder(_Outer)


def meta_of(params: Members) -> Members:
    """Return the members of `_meta`; {} if it is absent or null.

    Raises JsonRpcError (INVALID_PARAMS) if it is anything else but an object.
    """
    about = params.get(meta.META)
    return {} if about is None or bytes(about) == b"null" else jsonrpc.members(about)


def own_keys_removed(about: Members) -> Members:
    """Return `_meta` without the keys that belong to one hop of the modern protocol.

    The progress token, trace and vendor keys stay.
    """
    return {key: value for key, value in about.items() if not key.startswith(meta.CORE_PREFIX)}


def to_modern_result(method: str, result: Raw, server_info: Raw | None) -> Raw:
    """Return a legacy result with what 2026-07-28 demands of every result, where it is missing.

    Members that are there stay byte for byte. Raises JsonRpcError (INTERNAL_ERROR) if the result is
    no object.
    """
    try:
        outer = _outer.decode(result)
    except (msgspec.MsgspecError, RecursionError):
        raise JsonRpcError(INTERNAL_ERROR, "The server's result is no object") from None
    added: list[bytes] = []
    if not outer.result_type:
        added.append(b'"resultType":"complete"')
    if method in CACHEABLE:
        if not outer.ttl_ms:
            added.append(b'"ttlMs":0')
        if not outer.cache_scope:
            added.append(b'"cacheScope":"private"')
    if server_info is not None:
        if outer.meta:
            result = _with_server_info(result, outer.meta, server_info)
        else:
            added.append(b'"_meta":{"%b":%b}' % (meta.SERVER_INFO.encode(), bytes(server_info)))
    return _spliced(result, b",".join(added)) if added else result


def _with_server_info(result: Raw, about: Raw, server_info: Raw) -> Raw:
    try:
        known = jsonrpc.members(about)
    except JsonRpcError:  # a `_meta` that is no object, null mostly, says nothing
        known = {}
    if meta.SERVER_INFO in known:
        return result
    known[meta.SERVER_INFO] = server_info
    return jsonrpc.raw(jsonrpc.with_member(jsonrpc.members(result), meta.META, known))


def _spliced(result: Raw, added: bytes) -> Raw:
    """Put members in front of those of a valid object; a big result is copied once."""
    inside = memoryview(result)[1:]
    start = 0
    while inside[start] in b" \t\r\n":
        start += 1
    comma = b"" if inside[start] == ord("}") else b","
    return Raw(b"".join((b"{", added, comma, inside)))


def to_modern_error(method: str, error: Raw) -> Raw:
    """Return a legacy error of `method` with what 2026-07-28 has for it; data stays.

    Servers of the Python SDK 1.x say of a method which they do not know that its parameters are wrong.
    A code that has got another meaning since then is none of theirs.
    """
    try:
        known = jsonrpc.members(error)
    except JsonRpcError:
        return error
    code = bytes(known.get("code", b""))
    if code == b"%d" % RESOURCE_NOT_FOUND:
        return jsonrpc.raw(jsonrpc.with_member(known, "code", INVALID_PARAMS))
    if code == b"%d" % INVALID_PARAMS and method not in _METHODS:
        known = jsonrpc.with_member(known, "message", f"Method not found: {method}")
        return jsonrpc.raw(jsonrpc.with_member(known, "code", METHOD_NOT_FOUND))
    if code in _SPECIFICATIONS:
        return jsonrpc.raw(jsonrpc.with_member(known, "code", jsonrpc.INTERNAL_ERROR))
    return error


def discover_result(info: ServerInfo) -> Raw:
    """Return what a legacy server would answer to `server/discover`.

    Its tasks are not those of 2026-07-28 and are not offered.
    """
    result: dict[str, object] = {
        "resultType": "complete",
        "supportedVersions": MODERN_VERSIONS,
        "capabilities": jsonrpc.with_member(jsonrpc.members(info.capabilities), "tasks", None),
        "ttlMs": 0,
        "cacheScope": "private",
    }
    if info.instructions is not None:
        result["instructions"] = info.instructions
    if info.server_info is not None:
        result[meta.META] = {meta.SERVER_INFO: info.server_info}
    return jsonrpc.raw(result)
