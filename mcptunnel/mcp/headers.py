"""MCP's header fields over HTTP (2026-07-28, basic/transports/streamable-http, "Request Headers").

A modern request says in headers what its body says, so that those who do not read bodies can route
it. We read bodies: what does not agree is refused, and what we send on is written anew.

Header values arrive without surrounding white space, as the HTTP reader leaves them.
"""

import base64
import binascii
import re
from functools import lru_cache
from typing import Final

from msgspec import Struct

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import (
    HEADER_MISMATCH,
    INVALID_REQUEST,
    JsonRpcError,
    Notification,
    Request,
)
from mcptunnel.mcp.meta import RequestMeta
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Headers

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"

VERSION_HEADER: Final = "mcp-protocol-version"
METHOD_HEADER: Final = "mcp-method"
NAME_HEADER: Final = "mcp-name"
SESSION_HEADER: Final = "mcp-session-id"
LAST_EVENT_ID_HEADER: Final = "last-event-id"

LEGACY_CLIENT: Final = ("mcptunnel-client-era", Era.LEGACY.value)
"""The field of an exchange of the hub that a legacy client's call has; a modern one's has none."""

_NAMED: Final = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
"""The methods with `Mcp-Name`, and the member of `params` that it repeats; tasks by SEP-2663."""

_ENCODED = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)
_PLAIN = re.compile(r"[!-~](?:[ -~]*[!-~])?|")
_MEDIA_RANGES_CACHED: Final = 128


def encode_value(text: str) -> str:
    """Return the value for `Mcp-Name` or `Mcp-Param-*` that says `text`.

    What a header cannot hold, or what looks encoded already, becomes `=?base64?…?=`.
    """
    if _PLAIN.fullmatch(text) and not _ENCODED.fullmatch(text):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def decode_value(value: str) -> str | None:
    """Return what a value of `Mcp-Name` or `Mcp-Param-*` says; None if its base64 is malformed."""
    match = _ENCODED.fullmatch(value)
    if match is None:
        return value
    try:
        decoded = base64.b64decode(match[1], validate=True)
        # One text has one encoding: others would be a way past those who compare bytes.
        return decoded.decode() if base64.b64encode(decoded).decode() == match[1] else None
    except (binascii.Error, ValueError):
        return None


class Routing(Struct, frozen=True):
    """The header fields that decide where a message goes; None is a field that is not there."""

    version: str | None
    method: str | None
    name: str | None
    session: str | None


_ROUTING = (VERSION_HEADER, METHOD_HEADER, NAME_HEADER, SESSION_HEADER)


def routing(headers: Headers) -> Routing:
    """Read the routing fields.

    Raises JsonRpcError (HEADER_MISMATCH) if one of them stands twice: two readers could take
    different ones.
    """
    found: dict[str, str] = {}
    for name, value in headers:
        if name in _ROUTING:
            if name in found:
                raise JsonRpcError(HEADER_MISMATCH, f"The header {name} stands more than once")
            found[name] = value
    return Routing(*map(found.get, _ROUTING))


def check(headers: Headers, request: Request, meta: RequestMeta) -> JsonRpcError | None:
    """Return why the headers of a modern request do not agree with its body (HEADER_MISMATCH).

    None if they agree. A body without the member that `Mcp-Name` repeats agrees only with no such
    header; that it is needed is said elsewhere.
    """
    try:
        fields = routing(headers)
    except JsonRpcError as error:
        return JsonRpcError(error.code, error.message, None, request.id)
    if fields.version != meta.protocol_version:
        return _mismatch(VERSION_HEADER, fields.version, request)
    if fields.method != request.method:
        return _mismatch(METHOD_HEADER, fields.method, request)
    member = _NAMED.get(request.method)
    if member and not _same_name(fields.name, jsonrpc.text(request.params.get(member))):
        return _mismatch(NAME_HEADER, fields.name, request)
    return None


def _same_name(said: str | None, meant: str | None) -> bool:
    if said is None or meant is None:
        return said is meant
    return decode_value(said) == meant


def _mismatch(name: str, value: str | None, request: Request) -> JsonRpcError:
    what = "is missing" if value is None else "does not agree with the body"
    return JsonRpcError(HEADER_MISMATCH, f"The header {name} {what}", None, request.id)


def modern_headers(message: Request | Notification, version: str) -> Headers:
    """Return the header fields of the POST that carries a modern message.

    Raises JsonRpcError (INVALID_REQUEST) for a method that no header can hold; only names may be
    encoded.
    """
    if not _PLAIN.fullmatch(message.method):
        request_id = message.id if isinstance(message, Request) else None
        raise JsonRpcError(INVALID_REQUEST, "The method cannot be sent on", None, request_id)
    fields = (
        ("content-type", JSON),
        ("accept", f"{JSON}, {EVENT_STREAM}"),
        (VERSION_HEADER, version),
        (METHOD_HEADER, message.method),
    )
    member = _NAMED.get(message.method)
    named = None if member is None else jsonrpc.text(message.params.get(member))
    return fields if named is None else (*fields, (NAME_HEADER, encode_value(named)))


def accepts(headers: Headers) -> tuple[bool, bool]:
    """Return whether the client takes JSON, and whether it takes event streams.

    No Accept header at all means that it takes anything (RFC 9110, section 12.5.1).
    """
    ranges = ",".join([value for name, value in headers if name == "accept"])
    return _accepted(ranges) if ranges else (True, True)


@lru_cache(_MEDIA_RANGES_CACHED)
def _accepted(ranges: str) -> tuple[bool, bool]:
    wanted: dict[str, bool] = {}
    for media_range in ranges.split(","):
        name, *parameters = (part.strip().lower() for part in media_range.split(";"))
        wanted[name] = not any(map(_is_zero_weight, parameters))
    anything = wanted.get("*/*", False)
    return (
        wanted.get(JSON, wanted.get("application/*", anything)),
        wanted.get(EVENT_STREAM, wanted.get("text/*", anything)),
    )


def _is_zero_weight(parameter: str) -> bool:
    name, _, weight = parameter.partition("=")
    return name.strip() == "q" and not weight.strip().strip("0.")


def media_type(content_type: str | None) -> str:
    """Return the media type of a Content-Type value in lower case, without parameters."""
    return "" if content_type is None else content_type.partition(";")[0].strip().lower()


def is_json(content_type: str | None) -> bool:
    """Say whether a body is JSON by its Content-Type."""
    return content_type == JSON or media_type(content_type) == JSON
