"""Pages of other origins that call us (the Fetch standard, "CORS protocol").

Endpoints for programs answer every origin, without cookies; the MCP endpoints name the one that called,
if it is allowed. What a page may send and read is the same everywhere.
"""

import re
from typing import Final

from twisted.web.http import Request

from mcptunnel.relay.web.answers import NO_CONTENT, send_body

EVERYONE: Final = b"*"

_METHODS: Final = b"GET, POST, DELETE, OPTIONS"
_HEADERS: Final = (
    b"Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Session-Id, Mcp-Method, "
    b"Mcp-Name, Last-Event-ID"
)
_EXPOSED: Final = b"WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version, Retry-After"
_MAX_AGE: Final = b"7200"
_PARAMETER: Final = re.compile(rb"mcp-param-[a-z0-9_-]{1,64}")
_MAX_PARAMETERS: Final = 32


def let_read(request: Request, origin: bytes) -> None:
    """Let pages of an origin read the answer, whatever it will be."""
    headers = request.responseHeaders
    headers.setRawHeaders(b"access-control-allow-origin", [origin])
    headers.setRawHeaders(b"access-control-expose-headers", [_EXPOSED])
    if origin != EVERYONE:
        headers.addRawHeader(b"vary", b"origin")


def is_preflight(request: Request) -> bool:
    """Tell whether a browser asks whether a page may send what it wants to."""
    return request.method == b"OPTIONS" and request.requestHeaders.hasHeader(
        b"access-control-request-method"
    )


def answer_preflight(request: Request) -> int:
    """Say what a page may send. Returns what `render` must return."""
    return send_body(
        request,
        NO_CONTENT,
        b"",
        headers={
            b"access-control-allow-methods": _METHODS,
            b"access-control-allow-headers": b", ".join([_HEADERS, *_parameters(request)]),
            b"access-control-max-age": _MAX_AGE,
        },
    )


def _parameters(request: Request) -> list[bytes]:
    """Return the headers for parameters of a call that are asked for: no list has them all."""
    asked = request.getHeader(b"access-control-request-headers") or b""
    names = (name.strip().lower() for name in asked.split(b","))
    found = dict.fromkeys(name for name in names if _PARAMETER.fullmatch(name))
    return list(found)[:_MAX_PARAMETERS]
