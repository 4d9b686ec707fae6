"""Which era a POST belongs to, on an endpoint that serves both (2026-07-28, basic/versioning).

The body decides: a request whose `_meta` claims a version is modern, `initialize` without a claim
opens a legacy session. Only for the rest do the headers speak. Whoever calls has already checked
Host, Origin and token, so that a refusal of those is never taken for a sign of an era.
"""

from enum import Enum, auto
from typing import Final, TypeAlias

from msgspec import Struct

from mcptunnel.mcp import headers as fields
from mcptunnel.mcp import meta as request_meta
from mcptunnel.mcp.headers import Routing
from mcptunnel.mcp.jsonrpc import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    MISSING_CLIENT_CAPABILITY,
    PARSE_ERROR,
    UNSUPPORTED_PROTOCOL_VERSION,
    Batch,
    JsonRpcError,
    Message,
    Notification,
    Request,
    Response,
)
from mcptunnel.mcp.meta import RequestMeta
from mcptunnel.mcp.versions import MODERN_VERSIONS, Era, era_of
from mcptunnel.model import Headers

OK: Final = 200
BAD_REQUEST: Final = 400
NOT_FOUND: Final = 404


class Modern(Struct, frozen=True):
    """A message complete in itself; `meta` of a request has version and client capabilities.

    A notification here belongs to no session, whatever version its header names: the core protocol
    defines none over HTTP, the answer is 202 and nothing else happens.
    """

    message: Request | Notification
    meta: RequestMeta


class Initialize(Struct, frozen=True):
    """The first request of a legacy client: it opens a new session."""

    request: Request


class InSession(Struct, frozen=True):
    """A message of a legacy session; whether there is such a session, and whose, is yet to see.

    Whether it may send batches depends on the version that it agreed on.
    """

    session_id: str
    message: Message | Batch


class Refused(Struct, frozen=True):
    """The answer is this HTTP status with this error."""

    status: int
    error: JsonRpcError


Classified: TypeAlias = Modern | Initialize | InSession | Refused


class _Stated(Enum):
    """What `MCP-Protocol-Version` says."""

    NOTHING = auto()
    LEGACY = auto()
    MODERN = auto()
    UNKNOWN = auto()


_STATED: Final = {Era.LEGACY: _Stated.LEGACY, Era.MODERN: _Stated.MODERN, None: _Stated.UNKNOWN}


def classify_post(headers: Headers, message: Message | Batch) -> Classified:
    """Decide what a POSTed message is; `headers` are those of its HTTP request."""
    meta = RequestMeta()
    if not isinstance(message, Response | Batch):
        try:
            meta = request_meta.read(message.params)
        except JsonRpcError as error:
            return _refused(error.code, error.message, message)
        if meta.protocol_version is not None:
            return _claimed(headers, message, meta, meta.protocol_version)
        if isinstance(message, Request) and message.method == "initialize":
            return Initialize(message)
    try:
        routing = fields.routing(headers)
    except JsonRpcError as error:
        return _refused(error.code, error.message, message)
    return _unclaimed(routing, message, meta)


_REMOVED: Final = frozenset(
    {
        "initialize",
        "logging/setLevel",
        "ping",
        "resources/subscribe",
        "resources/unsubscribe",
    }
)
"""What modern clients cannot ask for any more (2026-07-28, changelog); whatever the server may think."""


def _claimed(
    headers: Headers, message: Request | Notification, meta: RequestMeta, version: str
) -> Modern | Refused:
    """A body that claims a version: `Mcp-Session-Id` is ignored."""
    if isinstance(message, Request):
        mismatch = fields.check(headers, message, meta)
        if mismatch is not None:
            return Refused(BAD_REQUEST, mismatch)
    if version not in MODERN_VERSIONS:
        return _unsupported(version, message)
    if isinstance(message, Request) and meta.client_capabilities is None:
        return _incomplete(message, request_meta.CLIENT_CAPABILITIES)
    if isinstance(message, Request) and message.method in _REMOVED:
        error = JsonRpcError(
            METHOD_NOT_FOUND, f"Method not found: {message.method}", None, message.id
        )
        return Refused(NOT_FOUND, error)
    return Modern(message, meta)


def _unclaimed(routing: Routing, message: Message | Batch, meta: RequestMeta) -> Classified:
    """A body that claims nothing: version header, session header and kind of message decide."""
    version = routing.version
    stated = _Stated.NOTHING if version is None else _STATED[era_of(version)]
    session = None if stated is _Stated.MODERN else routing.session
    if stated is _Stated.UNKNOWN:
        return _unsupported(version, message)
    if session is not None:
        return InSession(session, message)
    if isinstance(message, Batch):
        return _refused(INVALID_REQUEST, "Batches are not supported", message)
    if isinstance(message, Notification):
        return Modern(message, meta)
    if stated is _Stated.MODERN and isinstance(message, Request):
        return _incomplete(message, request_meta.PROTOCOL_VERSION)
    return _refused(INVALID_REQUEST, _SESSIONLESS[type(message)], message)


_SESSIONLESS: Final[dict[type, str]] = {
    Response: "A response belongs to a session",
    Request: "No session: send initialize first",
}


def _unsupported(requested: str | None, message: Message | Batch) -> Refused:
    data = {"supported": list(MODERN_VERSIONS), "requested": requested}
    return _refused(UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", message, data)


def _incomplete(request: Request, key: str) -> Refused:
    return _refused(INVALID_PARAMS, f"params._meta has no {key}", request)


def _refused(code: int, text: str, message: Message | Batch, data: object = None) -> Refused:
    # A response's id is ours, not the client's: an error to it would answer nothing.
    request_id = message.id if isinstance(message, Request) else None
    return Refused(BAD_REQUEST, JsonRpcError(code, text, data, request_id))


_MODERN_STATUS: Final = {
    PARSE_ERROR: BAD_REQUEST,
    INVALID_REQUEST: BAD_REQUEST,
    INVALID_PARAMS: BAD_REQUEST,
    HEADER_MISMATCH: BAD_REQUEST,
    MISSING_CLIENT_CAPABILITY: BAD_REQUEST,
    UNSUPPORTED_PROTOCOL_VERSION: BAD_REQUEST,
    METHOD_NOT_FOUND: NOT_FOUND,
}
_LEGACY_STATUS: Final = {PARSE_ERROR: BAD_REQUEST, INVALID_REQUEST: BAD_REQUEST}


def http_status(error: JsonRpcError, era: Era) -> int:
    """Return the HTTP status of a response that carries an error (2026-07-28, "Error Codes").

    Errors that belong to the call, not to the message, travel with 200.
    """
    if error.status is not None:
        return error.status
    table = _MODERN_STATUS if era is Era.MODERN else _LEGACY_STATUS
    return table.get(error.code, OK)
