"""JSON-RPC 2.0 messages as MCP uses them (specification, basic/index).

Only the envelope is read. Everything inside `params` and `result` stays the text it was, as
`msgspec.Raw`, until somebody asks for one member: what we do not understand passes unchanged, and a
large result costs no objects. `encode` always gives one line.

Messages are `msgspec.Struct`: to make one costs a seventh of what a frozen dataclass does, and every call
makes a dozen.

Duplicate members: the last one wins, and only that one is passed on, so that nobody further on can
read another.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar

import msgspec
from msgspec import Raw, Struct

from mcptunnel.errors import McpTunnelError

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

# MCP's own (2026-07-28, basic/index, "Error Codes").
HEADER_MISMATCH = -32020
MISSING_CLIENT_CAPABILITY = -32021
UNSUPPORTED_PROTOCOL_VERSION = -32022
SPECIFICATIONS = range(-32099, -32019)
"""Codes that mean what MCP says, or nothing yet; before 2026-07-28 servers could use them as they liked."""

_T = TypeVar("_T")

RequestId: TypeAlias = str | int
"""MCP forbids null and fractions (2026-07-28, basic/index, "Requests")."""

Members: TypeAlias = dict[str, Raw]
"""The members of a JSON object, each still encoded."""

_members = msgspec.json.Decoder(dict[str, Raw])
_raw = msgspec.json.Decoder(Raw)
_array = msgspec.json.Decoder(list[Raw])
_id: msgspec.json.Decoder[RequestId] = msgspec.json.Decoder(str | int)
_text = msgspec.json.Decoder(str)
_error = msgspec.json.Decoder(dict[str, Raw])
_any = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
_NULL = b"null"
_VERSION = "jsonrpc"  # the member that every message begins with

MAX_REPAIRED_BYTES = 256 * 1024
"""Larger messages are not searched for lone surrogates: it would take too long (40 ns per byte)."""

# A string cut in the middle of an emoji: JavaScript writes it, UTF-8 cannot hold it.
_LONE_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)(?:"
    rb"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


class JsonRpcError(McpTunnelError):
    """A JSON-RPC error: a message that breaks the rules, or an answer that says so.

    `code` is the JSON-RPC code, `data` any JSON value (encoded, as Raw, if it came from elsewhere) or
    None, `request_id` the request it answers,
    when that is known. `status` is the HTTP status it has to travel with, None for that of the code.
    """

    def __init__(
        self,
        code: int,
        message: str,
        data: object = None,
        request_id: RequestId | None = None,
        *,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
        self.request_id = request_id
        self.status = status

    def response(self, request_id: RequestId | None = None) -> "Response":
        """Return the response that carries this error, to `request_id` or to its own."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.data is not None:
            error["data"] = self.data
        answered = self.request_id if request_id is None else request_id
        return Response(id=answered, error=raw(error))


class Request(Struct, frozen=True, tag_field=_VERSION, tag="2.0", omit_defaults=True):
    """A request: answered by exactly one `Response` with the same id."""

    id: RequestId
    method: str
    params: Members = msgspec.field(default_factory=dict)


class Notification(Struct, frozen=True, tag_field=_VERSION, tag="2.0", omit_defaults=True):
    """A message that is never answered."""

    method: str
    params: Members = msgspec.field(default_factory=dict)


class Response(Struct, frozen=True, tag_field=_VERSION, tag="2.0", omit_defaults=True):
    """An answer: either `result` or `error` is set. The id is None only if it could not be read."""

    id: RequestId | None
    result: Raw | None = None
    error: Raw | None = None


class Batch(Struct, frozen=True):
    """An array of messages, still encoded; only 2025-03-26 has them."""

    items: tuple[Raw, ...]


Message: TypeAlias = Request | Notification | Response


def raw(value: object) -> Raw:
    """Encode any JSON value."""
    return Raw(_encoder.encode(value))


def decode(value: Raw | bytes) -> Any:
    """Decode a member completely.

    Raises JsonRpcError (INVALID_PARAMS) if the text cannot be represented, as with nesting beyond
    Python's limit.
    """
    try:
        return _any.decode(value)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise JsonRpcError(INVALID_PARAMS, f"Invalid value: {error}") from None


def members(value: Raw | bytes | None) -> Members:
    """Return the members of an encoded object; {} for None.

    Raises JsonRpcError (INVALID_PARAMS) if it is anything but an object.
    """
    if value is None:
        return {}
    try:
        return _members.decode(value)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise JsonRpcError(INVALID_PARAMS, f"Expected an object: {error}") from None


def text(value: Raw | None) -> str | None:
    """Return an encoded string; None for None and for anything that is no string."""
    if value is None:
        return None
    try:
        return _text.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def parse(body: bytes) -> Message | Batch:
    """Read one message, or a batch of them, from UTF-8 JSON; `params` that is null counts as absent.

    Raises JsonRpcError: PARSE_ERROR if it is no JSON, INVALID_REQUEST if it is no JSON-RPC; then
    `request_id` is set if the message had a usable one.
    """
    try:
        body.decode()  # members are passed on unread, and nobody after us checks them
    except UnicodeDecodeError:
        raise JsonRpcError(PARSE_ERROR, "Parse error: the text is not UTF-8") from None
    try:
        return _message(_members.decode(body))
    except msgspec.ValidationError:
        return _batch(body)
    except (msgspec.DecodeError, RecursionError) as error:
        if len(body) > MAX_REPAIRED_BYTES:
            raise JsonRpcError(PARSE_ERROR, f"Parse error: {error}") from None
        repaired = _LONE_SURROGATE.sub(lambda m: m[1] + (m[2] or rb"\ufffd"), body)
        if repaired == body:
            raise JsonRpcError(PARSE_ERROR, f"Parse error: {error}") from None
        return parse(repaired)


def parse_item(item: Raw) -> Message:
    """Read one message of a batch. Raises JsonRpcError (INVALID_REQUEST) as `parse` does."""
    try:
        return _message(_members.decode(item))
    except (msgspec.MsgspecError, RecursionError):
        raise JsonRpcError(INVALID_REQUEST, "Expected a JSON-RPC message object") from None


def _batch(body: bytes) -> Batch:
    try:
        return Batch(tuple(_array.decode(body)))
    except msgspec.ValidationError:
        pass  # said of the first byte: the rest may still be no JSON
    except (msgspec.DecodeError, RecursionError) as error:
        raise JsonRpcError(PARSE_ERROR, f"Parse error: {error}") from None
    try:
        _raw.decode(body)
    except msgspec.DecodeError as error:
        raise JsonRpcError(PARSE_ERROR, f"Parse error: {error}") from None
    raise JsonRpcError(INVALID_REQUEST, "Expected a JSON-RPC message object")


def _message(envelope: Members) -> Message:
    request_id = _read_id(envelope.get("id"))
    method = envelope.get("method")
    if method is not None:
        name = text(method)
        if name is None:
            raise JsonRpcError(INVALID_REQUEST, "method must be a string", None, request_id)
        inner = _read_params(envelope.get("params"), request_id)
        if "id" not in envelope:
            return Notification(name, inner)
        if request_id is None:
            raise JsonRpcError(INVALID_REQUEST, "id must be a string or an integer")
        return Request(request_id, name, inner)
    result, error = envelope.get("result"), envelope.get("error")
    if error is not None:  # JSON-RPC 1.0 wrote both, one of them null; some servers still do
        if bytes(error) == _NULL:
            error = None
        elif result is not None and bytes(result) == _NULL:
            result = None
    if (result is None) == (error is None):
        raise JsonRpcError(
            INVALID_REQUEST, "Expected a method, or one of result and error", None, request_id
        )
    return Response(request_id, result, error)


def _read_params(value: Raw | None, request_id: RequestId | None) -> Members:
    if value is None:
        return {}
    try:
        return _members.decode(value)
    except (msgspec.MsgspecError, RecursionError):
        if bytes(value) == _NULL:
            return {}
        raise JsonRpcError(INVALID_REQUEST, "params must be an object", None, request_id) from None


def _read_id(value: Raw | None) -> RequestId | None:
    if value is None:
        return None
    try:
        return _id.decode(value)
    except msgspec.MsgspecError:
        return None


def encode(message: Message) -> bytes:
    """Write a message as one line of UTF-8 JSON, without a line end."""
    if isinstance(message, Response) and (message.result is None) == (message.error is None):
        # Members that are None are left out, but an answer has exactly one of these two.
        result = Raw(_NULL) if message.error is None else None
        message = Response(message.id, result, message.error)
    return one_line(_encoder.encode(message))


def one_line(encoded: bytes) -> bytes:
    """Take line breaks out of JSON; they can only stand between tokens (RFC 8259, section 7)."""
    if b"\n" in encoded or b"\r" in encoded:
        return encoded.replace(b"\r", b" ").replace(b"\n", b" ")
    return encoded


def with_member(values: Mapping[str, Raw], name: str, value: object) -> Members:
    """Return a copy of `values` with one member set; None takes the member away."""
    changed = dict(values)
    if value is None:
        changed.pop(name, None)
    else:
        changed[name] = value if isinstance(value, Raw) else raw(value)
    return changed


def error_of(response: Response) -> JsonRpcError | None:
    """Return the error that a response carries, or None.

    A malformed error object still gives an error, of code INTERNAL_ERROR. Its data stays encoded
    (`data_as` reads it): it may be large, and mostly only passes.
    """
    if response.error is None:
        return None
    try:
        fields = _error.decode(response.error)
        code = msgspec.json.decode(fields.get("code", b"null"), type=int)
    except (msgspec.MsgspecError, RecursionError):
        return JsonRpcError(INTERNAL_ERROR, "The server sent a malformed error", None, response.id)
    message = text(fields.get("message")) or "The server gave no message"
    data = fields.get("data")
    if data is not None and bytes(memoryview(data)[: len(_NULL)]) == _NULL:
        data = None
    return JsonRpcError(code, message, data, response.id)


def data_as(error: JsonRpcError, kind: type[_T]) -> _T | None:
    """Return the data of an error as this type; None if it is something else."""
    try:
        if isinstance(error.data, Raw):
            return msgspec.json.decode(error.data, type=kind)
        return msgspec.convert(error.data, kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
