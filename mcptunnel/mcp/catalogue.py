"""Lists of tools, prompts, resources and templates: read from the servers, renamed, merged into one.

(2026-07-28, server/tools, server/prompts, server/resources.) A definition is carried as the text that
the server wrote; only what the hub must change is ever decoded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, JsonRpcError
from mcptunnel.mcp.kinds import LISTED, Kind
from mcptunnel.mcp.meta import META, SERVER_INFO

_page = msgspec.json.Decoder(list[Raw])
_schemas: msgspec.json.Decoder[dict[str, Raw] | list[Raw]] = msgspec.json.Decoder(
    dict[str, Raw] | list[Raw]
)
_ANNOTATION: Final = "x-mcp-header"
_MAX_SCHEMA_DEPTH: Final = 32
MAX_ANNOTATED_BYTES: Final = 64 * 1024
"""A schema from which annotations must be taken is this long at most: it has to be taken apart."""

_ANY_ARGUMENTS: Final = Raw(b'{"type":"object"}')

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


class _Named(msgspec.Struct):
    name: str


class _Addressed(msgspec.Struct):
    name: str = msgspec.field(name="uri")


class _Templated(msgspec.Struct):
    name: str = msgspec.field(name="uriTemplate")


_NAMES: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    "name": msgspec.json.Decoder(_Named),
    "uri": msgspec.json.Decoder(_Addressed),
    "uriTemplate": msgspec.json.Decoder(_Templated),
}

MAX_TTL_MS: Final = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Item:
    """One thing as its server describes it; `definition` is its own copy of all members.

    `name` is what identifies it: the name of a tool or prompt, the URI of a resource, the URI template.
    """

    name: str
    definition: Raw

    @property
    def size_bytes(self) -> int:
        return memoryview(self.definition).nbytes


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a server's list; `dropped` counts what was left out of it.

    `next_cursor` is None on the last page; the empty text is a cursor like any other. `ttl_ms` is for
    how long the server says that the page holds, 0 if it says nothing usable.
    """

    items: tuple[Item, ...]
    next_cursor: str | None
    dropped: int
    ttl_ms: int = 0


def parse_page(kind: Kind, result: Raw, max_items: int) -> Page:
    """Read the result of a server's list; what is beyond `max_items` is not looked at.

    Raises JsonRpcError (INTERNAL_ERROR) if it is no such result: the server's fault, not the
    client's.
    """
    listed = LISTED[kind]
    try:
        members = jsonrpc.members(result)
        definitions = _page.decode(members.get(listed.member, b""))
    except (JsonRpcError, msgspec.MsgspecError, RecursionError):
        raise JsonRpcError(
            INTERNAL_ERROR, f"The server's answer to {listed.method} is malformed"
        ) from None
    decoder = _NAMES[listed.key]
    read = (_read_item(decoder, one, listed.max_key_chars) for one in definitions[:max_items])
    items = tuple(item for item in read if item is not None)
    cursor = jsonrpc.text(members.get("nextCursor"))
    return Page(items, cursor, len(definitions) - len(items), _ttl_ms(members.get("ttlMs")))


def _ttl_ms(encoded: Raw | None) -> int:
    try:
        ttl_ms = msgspec.json.decode(encoded or b"0", type=int)
    except msgspec.MsgspecError:
        return 0
    return max(0, min(ttl_ms, MAX_TTL_MS))


def _read_item(decoder: msgspec.json.Decoder[Any], encoded: Raw, max_chars: int) -> Item | None:
    try:
        name = decoder.decode(encoded).name
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    if not 0 < len(name) <= max_chars:
        return None
    # A copy: what is kept of a page must not keep the page.
    return Item(name, encoded.copy())


def renamed(kind: Kind, item: Item, name: str) -> Raw:
    """Return a definition under the name or URI that clients see; as it is if that is its own."""
    if name == item.name:
        return item.definition
    definition = jsonrpc.members(item.definition)
    definition[LISTED[kind].key] = jsonrpc.raw(name)
    return jsonrpc.raw(definition)


def exposed(tool: Item, name: str) -> Raw:
    """Return a tool's definition under the name that clients see.

    Annotations `x-mcp-header` are taken out of its input schema: a client that sees none sends no
    `Mcp-Param-*` headers, and the hub need not check them (streamable-http, "Custom Headers"). A
    schema that is too long for that gives way to one that allows any arguments.
    """
    definition = jsonrpc.members(tool.definition)
    definition["name"] = jsonrpc.raw(name)
    schema = definition.get("inputSchema")
    if schema is not None and _ANNOTATION.encode() in bytes(schema):
        is_short = memoryview(schema).nbytes <= MAX_ANNOTATED_BYTES
        definition["inputSchema"] = (
            _without_annotations(schema, _MAX_SCHEMA_DEPTH) if is_short else _ANY_ARGUMENTS
        )
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


def list_result(
    kind: Kind,
    definitions: Sequence[Raw],
    ttl_ms: int,
    server_info: Raw,
    next_cursor: str | None = None,
) -> Raw:
    """Return a page of our own list, for this user alone (server/utilities/caching)."""
    result: dict[str, object] = {
        LISTED[kind].member: definitions,
        "resultType": "complete",
        "ttlMs": ttl_ms,
        "cacheScope": "private",
        META: {SERVER_INFO: server_info},
    }
    if next_cursor is not None:
        result["nextCursor"] = next_cursor
    return jsonrpc.raw(result)
