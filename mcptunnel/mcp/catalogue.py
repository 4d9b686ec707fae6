"""Lists of tools: read from the servers, renamed, and merged into one (2026-07-28, server/tools).

A tool's definition is carried as the text that the server wrote; only what the hub must change is
ever decoded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, JsonRpcError
from mcptunnel.mcp.meta import META, SERVER_INFO

_page = msgspec.json.Decoder(list[Raw])
_schemas: msgspec.json.Decoder[dict[str, Raw] | list[Raw]] = msgspec.json.Decoder(
    dict[str, Raw] | list[Raw]
)
_ANNOTATION: Final = "x-mcp-header"
_MAX_SCHEMA_DEPTH: Final = 32

# Where a JSON Schema (2020-12, and draft-07's "definitions") holds schemas: by name, in a list, one.
_BY_NAME: Final = frozenset(
    {"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"}
)
_LISTED: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SINGLE: Final = frozenset(
    {
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)


MAX_NAME_CHARS: Final = 256
"""A longer name is unusable: names are remembered, even of tools that are gone."""


class _Named(msgspec.Struct):
    name: str


_named = msgspec.json.Decoder(_Named)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as its server describes it; `definition` is its own copy of all members, the name too."""

    name: str
    definition: Raw

    @property
    def size_bytes(self) -> int:
        return memoryview(self.definition).nbytes


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a server's list; `dropped` counts the tools of it that were left out.

    `next_cursor` is None on the last page; the empty text is a cursor like any other.
    """

    tools: tuple[Tool, ...]
    next_cursor: str | None
    dropped: int


def parse_page(result: Raw, max_tools: int) -> Page:
    """Read the result of a server's `tools/list`; tools beyond `max_tools` are not looked at.

    Raises JsonRpcError (INTERNAL_ERROR) if it is no such result: the server's fault, not the
    client's.
    """
    try:
        members = jsonrpc.members(result)
        definitions = _page.decode(members.get("tools", b""))
    except (JsonRpcError, msgspec.MsgspecError, RecursionError):
        raise JsonRpcError(INTERNAL_ERROR, "The server sent a malformed list of tools") from None
    read = map(_read_tool, definitions[:max_tools])
    tools = tuple(tool for tool in read if tool is not None)
    cursor = jsonrpc.text(members.get("nextCursor"))
    return Page(tools, cursor, len(definitions) - len(tools))


def _read_tool(encoded: Raw) -> Tool | None:
    try:
        name = _named.decode(encoded).name
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    if not 0 < len(name) <= MAX_NAME_CHARS:
        return None
    # A copy: what is kept of a page must not keep the page.
    return Tool(name, encoded.copy())


def exposed(tool: Tool, name: str) -> Raw:
    """Return a tool's definition under the name that clients see.

    Annotations `x-mcp-header` are taken out of its input schema: a client that sees none sends no
    `Mcp-Param-*` headers, and the hub need not check them (streamable-http, "Custom Headers").
    """
    definition = jsonrpc.members(tool.definition)
    definition["name"] = jsonrpc.raw(name)
    schema = definition.get("inputSchema")
    if schema is not None:
        definition["inputSchema"] = _without_annotations(schema, _MAX_SCHEMA_DEPTH)
    return jsonrpc.raw(definition)


def _without_annotations(schema: Raw, depth: int) -> Raw:
    """Take the annotation out of a schema and of the schemas in it, not out of the data in it.

    What holds none stays as it was written.
    """
    if _ANNOTATION.encode() not in bytes(schema) or depth == 0:
        return schema
    try:
        members = jsonrpc.members(schema)
    except JsonRpcError:
        return schema
    members.pop(_ANNOTATION, None)
    for key, value in members.items():
        if key in _SINGLE:
            members[key] = _without_annotations(value, depth - 1)
        elif key in _BY_NAME or key in _LISTED:
            members[key] = _each_without_annotations(value, depth - 1)
    return jsonrpc.raw(members)


def _each_without_annotations(schemas: Raw, depth: int) -> Raw:
    try:
        held = _schemas.decode(schemas)
    except (msgspec.MsgspecError, RecursionError):
        return schemas
    if isinstance(held, Mapping):
        return jsonrpc.raw({n: _without_annotations(s, depth) for n, s in held.items()})
    return jsonrpc.raw([_without_annotations(s, depth) for s in held])


def list_result(tools: Iterable[Raw], ttl_ms: int, server_info: Raw | None = None) -> Raw:
    """Return the result of our `tools/list`: one page, for this user alone (server/utilities/caching).

    `server_info` says who we are; a legacy client was told by `initialize`.
    """
    result: dict[str, object] = {
        "tools": list(tools),
        "resultType": "complete",
        "ttlMs": ttl_ms,
        "cacheScope": "private",
    }
    if server_info is not None:
        result[META] = {SERVER_INFO: server_info}
    return jsonrpc.raw(result)
