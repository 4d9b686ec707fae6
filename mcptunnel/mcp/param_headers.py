"""`Mcp-Param-*`: arguments of a tool call that headers repeat.

2026-07-28, streamable-http, "Custom Headers from Tool Parameters"; SEP-2243. A tool says in its
`inputSchema` which: `"x-mcp-header": "Region"` on a property means that `Mcp-Param-Region` bears its
value. A client writes these headers, a server holds them against the body.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Raw

from mcptunnel.errors import McpTunnelError
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.headers import decode_value, encode_value
from mcptunnel.mcp.jsonrpc import HEADER_MISMATCH, INVALID_PARAMS, JsonRpcError
from mcptunnel.model import Headers

ANNOTATION: Final = "x-mcp-header"
PREFIX: Final = "mcp-param-"
MAX_DEPTH: Final = 32
MAX_SAFE_INTEGER: Final = 2**53 - 1
"""The largest integer that JavaScript holds exactly; one beyond it (or its negative) is repeated by nobody."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_INTEGER = re.compile(r"(-?[0-9]{1,20})(?:\.0{1,20})?")
_TYPES: Final = ("string", "integer", "boolean")

Scalar: TypeAlias = str | int | bool


class BadAnnotation(McpTunnelError):
    """A tool's annotations break the rules: a client leaves such a tool out, a server checks nothing."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """One argument that a header repeats: `header` in lower case, `path` through the arguments."""

    header: str
    path: tuple[str, ...]
    type: str


def annotations(input_schema: Raw | None) -> tuple[Annotation, ...]:
    """Return what a tool's input schema annotates.

    Only properties that are reached through `properties` alone may be annotated, as string, integer or
    boolean. Raises BadAnnotation.
    """
    if input_schema is None or ANNOTATION.encode() not in bytes(input_schema):
        return ()
    try:
        schema = jsonrpc.decode(input_schema)
    except JsonRpcError as error:
        raise BadAnnotation(f"The input schema cannot be read: {error}") from None
    found: dict[str, Annotation] = {}
    _walk(schema, (), found, MAX_DEPTH)
    return tuple(found.values())


def _walk(schema: Any, path: tuple[str, ...], found: dict[str, Annotation], depth: int) -> None:
    if depth == 0:
        raise BadAnnotation(f"The input schema is nested more than {MAX_DEPTH} times")
    if not isinstance(schema, dict):
        return
    if ANNOTATION in schema:
        _note(schema, path, found)
    for key, value in schema.items():
        if key == "properties" and isinstance(value, dict):
            for name, inner in value.items():
                _walk(inner, (*path, name), found, depth - 1)
        elif key not in _DATA and _is_annotated(value, depth - 1):
            raise BadAnnotation(
                f"{ANNOTATION} stands below {key!r}; only `properties` may lead to it"
            )


_DATA: Final = frozenset({"const", "default", "enum", "examples", ANNOTATION})
"""What these hold is no schema: a member that looks like an annotation is none."""


def _is_annotated(value: Any, depth: int) -> bool:
    """Whether there is an annotation anywhere in a schema, or in schemas by name or in a list."""
    if depth <= 0:
        raise BadAnnotation(f"The input schema is nested more than {MAX_DEPTH} times")
    if isinstance(value, list):
        return any(_is_annotated(inner, depth - 1) for inner in value)
    if not isinstance(value, dict):
        return False
    if isinstance(value.get(ANNOTATION), str):
        return True
    return any(_is_annotated(inner, depth - 1) for key, inner in value.items() if key not in _DATA)


def _note(schema: dict[str, Any], path: tuple[str, ...], found: dict[str, Annotation]) -> None:
    name, kind = schema[ANNOTATION], schema.get("type")
    if not path:
        raise BadAnnotation(f"{ANNOTATION} stands on no property")
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise BadAnnotation(f"{ANNOTATION} of {path[-1]!r} cannot be a part of a header's name")
    if kind not in _TYPES:
        raise BadAnnotation(f"{path[-1]!r} is annotated, and no string, integer or boolean")
    header = PREFIX + name.lower()
    if header in found:
        raise BadAnnotation(f"Two properties are annotated {name!r}")
    found[header] = Annotation(header, path, kind)


class _Tool(msgspec.Struct, frozen=True):
    name: str
    schema: Raw = msgspec.field(name="inputSchema", default=Raw(b"{}"))


class _Tools(msgspec.Struct, frozen=True):
    tools: list[Raw]


_tool = msgspec.json.Decoder(_Tool)
_tools = msgspec.json.Decoder(_Tools)


@dataclass(frozen=True, slots=True)
class Listed:
    """A result of `tools/list` without the tools whose annotations break the rules.

    `annotated` has the tools with annotations, `dropped` the names of those that were taken out.
    """

    result: Raw
    annotated: Mapping[str, tuple[Annotation, ...]]
    dropped: tuple[str, ...] = ()


def read_list(result: Raw) -> Listed:
    """Read a result of `tools/list`; one of which nothing is taken out stays byte for byte.

    A list that cannot be read has no annotations: whoever gets it may judge it.
    """
    if ANNOTATION.encode() not in bytes(result):
        return Listed(result, {})
    found: dict[str, tuple[Annotation, ...]] = {}
    kept, dropped = list[Raw](), list[str]()
    try:
        for encoded in _tools.decode(result).tools:
            tool = _tool.decode(encoded)
            try:
                annotated = annotations(tool.schema)
            except BadAnnotation:
                dropped.append(tool.name)
                continue
            kept.append(encoded)
            if annotated:
                found[tool.name] = annotated
        if dropped:
            result = jsonrpc.raw(jsonrpc.with_member(jsonrpc.members(result), "tools", kept))
    except (msgspec.MsgspecError, RecursionError):
        return Listed(result, {})
    return Listed(result, found, tuple(dropped))


def header_fields(annotated: tuple[Annotation, ...], arguments: Raw | None) -> Headers:
    """Return the header fields that a client sends with these arguments of a tool.

    An argument that is null or not there has none, and neither has one that is not of the annotated
    type: no header can repeat it, and the server will say what is wrong with it. Raises JsonRpcError
    (INVALID_PARAMS) for arguments that cannot be read.
    """
    if not annotated:
        return ()
    fields = []
    values = _decoded(arguments)
    for one in annotated:
        with suppress(JsonRpcError):
            value = _value(values, one)
            if value is not None:
                fields.append((one.header, encode_value(_text(value))))
    return tuple(fields)


def mismatch(
    annotated: tuple[Annotation, ...], headers: Headers, arguments: Raw | None
) -> JsonRpcError | None:
    """Return why the header fields do not agree with the arguments (HEADER_MISMATCH), or None.

    `Mcp-Param-*` that nothing annotates is passed over.
    """
    if not annotated:
        return None
    said: dict[str, str] = {}
    for name, value in headers:
        if name.startswith(PREFIX):
            if name in said:
                return _mismatch(name, "stands more than once")
            said[name] = value
    try:
        values = _decoded(arguments)
        for one in annotated:
            wrong = _disagreement(one, said.get(one.header), _value(values, one))
            if wrong is not None:
                return _mismatch(one.header, wrong)
    except JsonRpcError as error:
        return error
    return None


def _disagreement(one: Annotation, said: str | None, meant: Scalar | None) -> str | None:
    if meant is None:
        return None if said is None else "is there, and the argument is not"
    if said is None:
        return "is missing"
    decoded = decode_value(said)
    if decoded is None:
        return "is no valid base64"
    if one.type == "integer":
        match = _INTEGER.fullmatch(decoded)
        agrees = match is not None and int(match[1]) == meant
    else:
        agrees = decoded == _text(meant)
    return None if agrees else "does not agree with the body"


def _mismatch(name: str, wrong: str) -> JsonRpcError:
    return JsonRpcError(HEADER_MISMATCH, f"The header {name} {wrong}")


def _decoded(arguments: Raw | None) -> Any:
    return None if arguments is None else jsonrpc.decode(arguments)


def _value(arguments: Any, one: Annotation) -> Scalar | None:
    """Return an argument; None if it is null or not there. Raises JsonRpcError (INVALID_PARAMS)."""
    value: Any = arguments
    for name in one.path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    if value is None:
        return None
    if isinstance(value, float) and one.type == "integer" and value.is_integer():
        value = int(value)
    if one.type == "string" and isinstance(value, str):
        return value
    if isinstance(value, bool):
        if one.type == "boolean":
            return value
    elif one.type == "integer" and isinstance(value, int) and abs(value) <= MAX_SAFE_INTEGER:
        return value
    raise JsonRpcError(
        INVALID_PARAMS,
        f"The argument {'.'.join(one.path)} is no {one.type} that a header can repeat",
    )


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
