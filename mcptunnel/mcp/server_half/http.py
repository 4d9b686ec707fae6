"""The rules for a local server that speaks Streamable HTTP, without I/O.

Bodies given here are one JSON-RPC message: whoever read an event stream has taken it out.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeAlias

from msgspec import Raw

from mcptunnel.mcp import headers, jsonrpc
from mcptunnel.mcp.jsonrpc import JsonRpcError, Request, Response
from mcptunnel.mcp.server_half import handshake
from mcptunnel.mcp.server_half.handshake import HandshakeError, Offer, ServerInfo
from mcptunnel.mcp.versions import LATEST_MODERN, LEGACY_VERSIONS
from mcptunnel.model import Headers, header

PROBE_ID: Final = 1
INITIALIZE_ID: Final = 1

INITIALIZED_BODY: Final = handshake.INITIALIZED
"""What to POST, with `legacy_headers`, before the first call of a legacy session."""

_BASE_HEADERS: Final[Headers] = (
    ("content-type", headers.JSON),
    ("accept", f"{headers.JSON}, {headers.EVENT_STREAM}"),
)
_SESSION_ID: Final = re.compile(r"[\x21-\x7e]+")
_VERSION_HEADER_SINCE: Final = "2025-06-18"

# A server that answers so is a modern one, whatever it finds wrong: HeaderMismatch, a missing client
# capability (2026-07-28, basic/transports/streamable-http, "Backward Compatibility").
_MODERN_CODES: Final = frozenset({jsonrpc.HEADER_MISMATCH, jsonrpc.MISSING_CLIENT_CAPABILITY})

# What servers with two endpoints answer to a POST at the first one (2025-11-25, basic/transports,
# "Backwards Compatibility").
_NO_POST: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
)

# Answers of the way to the server, or of its bad moments, which say nothing of its era.
_NO_EVIDENCE: Final[dict[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "asks for credentials",
    HTTPStatus.FORBIDDEN: "forbids the request",
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: "is behind a proxy that asks for credentials",
    HTTPStatus.REQUEST_TIMEOUT: "timed out",
    HTTPStatus.MISDIRECTED_REQUEST: "does not accept the host name",
    HTTPStatus.TOO_MANY_REQUESTS: "is asked too often",
}


@dataclass(frozen=True, slots=True)
class Modern:
    """The server takes modern requests."""

    info: ServerInfo


@dataclass(frozen=True, slots=True)
class Legacy:
    """The server is not modern: send `initialize`."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Nothing can be said about the server now; `reason` is a sentence."""

    reason: str


HttpVerdict: TypeAlias = Modern | Legacy | Unusable


@dataclass(frozen=True, slots=True)
class LegacyHttpSession:
    """A legacy server's session; `session_id` is None if the server keeps none."""

    version: str
    session_id: str | None
    info: ServerInfo


def probe_request(client_info: Raw) -> tuple[Headers, bytes]:
    """Return header fields and body of the POST that finds out a server's era."""
    request = handshake.discover_request(PROBE_ID, client_info)
    return headers.modern_headers(request, LATEST_MODERN), jsonrpc.encode(request)


def verdict(status: int, content_type: str | None, body: bytes) -> HttpVerdict:
    """Judge the answer to the probe.

    An answer that is no JSON-RPC is a legacy server's, or nobody's: `initialize` will tell.
    """
    unusable = _no_evidence(status)
    if unusable is not None:
        return Unusable(unusable)
    response = _response(content_type, body)
    if response is None:
        return Legacy()
    info = handshake.read_discover(response)
    if info is not None:
        return Modern(info)
    error = jsonrpc.error_of(response)
    if error is None:
        return Legacy()
    if error.code in _MODERN_CODES:
        return Modern(handshake.assumed(LATEST_MODERN))
    return _named_versions(error)


def _named_versions(error: JsonRpcError) -> HttpVerdict:
    """Judge an error that shows no modern server of ours: -32022 may rule out the legacy ones too."""
    named = handshake.versions_in(error)
    if error.code != jsonrpc.UNSUPPORTED_PROTOCOL_VERSION or not named:
        return Legacy()
    if any(version in LEGACY_VERSIONS for version in named):
        return Legacy()
    listed = handshake.shown(", ".join(named))
    return Unusable(f"The server speaks only MCP versions that are not known here: {listed}")


def initialize_request(client_info: Raw, offer: Offer = Offer.FULL) -> tuple[Headers, bytes]:
    """Return header fields and body of the POST that begins a legacy session."""
    request = handshake.initialize_request(INITIALIZE_ID, client_info, offer)
    return _BASE_HEADERS, jsonrpc.encode(request)


def read_initialize(
    status: int, fields: Headers, content_type: str | None, body: bytes
) -> LegacyHttpSession:
    """Read the answer to `initialize`; `fields` are the response's header fields.

    Raises HandshakeError if the server did not agree, or its session id breaks the rules
    (2025-11-25, basic/transports, "Session Management").
    """
    unusable = _no_evidence(status)
    if unusable is not None:
        raise HandshakeError(unusable)
    response = _response(content_type, body)
    if response is None:
        # Some servers say no more of what they cannot read.
        code = jsonrpc.INVALID_REQUEST if status == HTTPStatus.BAD_REQUEST else None
        said = f"The server did not answer initialize as MCP (HTTP status {status})"
        raise HandshakeError(said, code)
    info = handshake.read_initialize(response)
    session_id = header(fields, headers.SESSION_HEADER)
    if session_id is not None and _SESSION_ID.fullmatch(session_id) is None:
        raise HandshakeError("The server's session id is not visible ASCII")
    return LegacyHttpSession(info.version, session_id, info)


def session_headers(session: LegacyHttpSession) -> Headers:
    """Return the header fields of every request in a legacy session."""
    named: Headers = ()
    if session.version >= _VERSION_HEADER_SINCE:  # the versions are dates
        named = ((headers.VERSION_HEADER, session.version),)
    if session.session_id is not None:
        named = (*named, (headers.SESSION_HEADER, session.session_id))
    return named


def may_be_old(status: int) -> bool:
    """Say whether who answers a POST of `initialize` so may speak HTTP+SSE of 2024-11-05."""
    return status in _NO_POST


def legacy_headers(session: LegacyHttpSession) -> Headers:
    """Return the header fields of a POST in a legacy session."""
    return (*_BASE_HEADERS, *session_headers(session))


def modern_headers(request: Request, info: ServerInfo) -> Headers:
    """Return the header fields of a POST to a modern server.

    Raises JsonRpcError (INVALID_REQUEST) for a method that no header can hold.
    """
    return headers.modern_headers(request, info.version)


def _no_evidence(status: int) -> str | None:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"The server has a problem of its own (HTTP status {status})"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"The server redirects to another address (HTTP status {status})"
    said = _NO_EVIDENCE.get(status)
    return None if said is None else f"The server {said} (HTTP status {status})"


def _response(content_type: str | None, body: bytes) -> Response | None:
    if headers.media_type(content_type) not in {headers.JSON, headers.EVENT_STREAM}:
        return None
    try:
        message = jsonrpc.parse(body)
    except JsonRpcError:
        return None
    return message if isinstance(message, Response) else None
