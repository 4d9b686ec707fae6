"""`Mcp-Param-*` headers: arguments that a modern HTTP server wants to see in the head of a call.

A tool's inputSchema marks them with `x-mcp-header` (2026-07-28, basic/transports/streamable-http). A
client must drop tools with invalid marks, and must send the headers of the others.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.headers import encode_value
from mcptunnel.model import Headers

MARK: Final = "x-mcp-header"
PREFIX: Final = "mcp-param-"

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_KINDS: Final = ("string", "integer", "boolean")
_MAX_SAFE: Final = 2**53 - 1
_MAX_DEPTH: Final = 32

Marks = tuple[tuple[str, tuple[str, ...]], ...]
"""Header names, in lower case, and where their values stand in the arguments."""


class InvalidMarks(ValueError):
    """A schema whose marks break the rules."""


class _Tool(msgspec.Struct, frozen=True):
    name: str
    schema: Raw = msgspec.field(name="inputSchema", default=Raw(b"{}"))


class _Tools(msgspec.Struct, frozen=True):
    tools: list[Raw]


_tool = msgspec.json.Decoder(_Tool)
_tools = msgspec.json.Decoder(_Tools)


def marks_of(schema: object) -> Marks:
    """Return the marks of a decoded inputSchema. Raises InvalidMarks."""
    found = tuple(_walk(schema, ()))
    names = [name for name, _ in found]
    if len(set(names)) != len(names):
        raise InvalidMarks(f"{MARK} stands twice with one name")
    if _count(schema) != len(found):
        raise InvalidMarks(f"{MARK} stands where no argument is")
    return found


def _walk(schema: object, path: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or len(path) > _MAX_DEPTH:
        return
    for name, inner in properties.items():
        where = (*path, name)
        if isinstance(inner, dict) and MARK in inner:
            mark = inner[MARK]
            if not isinstance(mark, str) or not _TOKEN.fullmatch(mark):
                raise InvalidMarks(f"{MARK} is no name of a header")
            if inner.get("type") not in _KINDS:
                raise InvalidMarks(f"{MARK} marks what is no string, integer or boolean")
            yield mark.lower(), where
        yield from _walk(inner, where)


def _count(value: object, depth: int = 0) -> int:
    """Count marks anywhere, also where they have no business; properties may be called so."""
    if depth > 4 * _MAX_DEPTH:
        raise InvalidMarks("the schema is too deep")
    if isinstance(value, list):
        return sum(_count(one, depth + 1) for one in value)
    if not isinstance(value, dict):
        return 0
    found = 1 if MARK in value else 0
    for name, inner in value.items():
        if name == "properties" and isinstance(inner, dict):
            found += sum(_count(one, depth + 1) for one in inner.values())
        elif name not in ("const", "default", "enum", "examples", MARK):
            found += _count(inner, depth + 1)
    return found


def params_headers(marks: Marks, arguments: Raw | None) -> Headers:
    """Return the header fields of a call with these arguments; absent and null ones have none."""
    if not marks or arguments is None:
        return ()
    decoded = jsonrpc.decode(arguments)
    fields = ((name, _said(_at(decoded, path))) for name, path in marks)
    return tuple((PREFIX + name, encode_value(said)) for name, said in fields if said is not None)


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _said(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) <= _MAX_SAFE else None
    return value if isinstance(value, str) else None


def without_invalid_marks(result: Raw) -> tuple[Raw, dict[str, Marks], list[str]]:
    """Return a list of tools without those whose marks are invalid, all marks, and who was dropped.

    A result without marks stays byte for byte.
    """
    if MARK.encode() not in bytes(result):
        return result, {}, []
    marks: dict[str, Marks] = {}
    kept, dropped = list[Raw](), list[str]()
    try:
        for encoded in _tools.decode(result).tools:
            tool = _tool.decode(encoded)
            try:
                found = marks_of(jsonrpc.decode(tool.schema))
            except (InvalidMarks, jsonrpc.JsonRpcError):
                dropped.append(tool.name)
                continue
            kept.append(encoded)
            if found:
                marks[tool.name] = found
        if dropped:
            result = jsonrpc.raw(jsonrpc.with_member(jsonrpc.members(result), "tools", kept))
    except (msgspec.MsgspecError, RecursionError):
        return result, {}, []
    return result, marks, dropped
