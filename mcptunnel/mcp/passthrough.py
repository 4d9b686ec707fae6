"""Which header fields pass through a tunnel whose bytes are not read.

Requests: everything but what belongs to a connection (RFC 9110, section 7.6.1), to a browser, to the
relay or to the networks on the way; unknown `Mcp-Param-*` must pass (2026-07-28, "Request Headers").
No other name with `_` passes: many servers take that for `-` (RFC 3875, section 4.1.18), and so would
take such a field for one that was checked, or for the agent's own.
Responses: only what is known to be harmless, for a local server must be able neither to set cookies
on the relay's origin, nor to redirect, nor to ask for a credential in the relay's name.

Names are lower case. Both sides apply both rules: neither needs to trust the other.
"""

import re
from http import HTTPStatus
from typing import Final

from mcptunnel.mcp.headers import EVENT_STREAM, JSON, media_type
from mcptunnel.model import Headers

_WORDS_OF_A_CONNECTION = """
connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer
transfer-encoding upgrade http2-settings expect content-length
"""
_WORDS_OF_THE_WAY = """
authorization cookie cookie2 host origin referer forwarded via from x-real-ip true-client-ip
accept-encoding
"""
_NEVER_ASKED: Final = frozenset((_WORDS_OF_A_CONNECTION + _WORDS_OF_THE_WAY).split())
_OWN_PREFIX: Final = "mcptunnel-"
"""Of the fields that relay and agent say something to each other with."""
_NEVER_ASKED_PREFIXES: Final = (
    "x-forwarded-",
    "sec-",
    "access-control-",
    "cf-",
    "proxy-",
    _OWN_PREFIX,
)
_PARAM_PREFIX: Final = "mcp-param-"

_ANSWERED: Final = frozenset(
    {
        "allow",
        "cache-control",
        "content-encoding",
        "content-language",
        "content-type",
        "retry-after",
        "traceresponse",
        "x-accel-buffering",
    }
)
_ANSWERED_PREFIX: Final = "mcp-"

_SHOWN_AS_IT_IS: Final = frozenset({JSON, EVENT_STREAM, "text/plain"})
_BYTES: Final = "application/octet-stream"

_REFUSED: Final[dict[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "asks for a credential; set one in its `headers` on the agent",
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: "asks for a credential as a proxy does",
}

_LENGTH = re.compile(r"[0-9]{1,18}")


def request_headers(headers: Headers) -> Headers:
    """Return the fields of a request that reach the local server; framing is `body_length`'s."""
    named = _named_in_connection(headers)
    return tuple(
        (name, value)
        for name, value in headers
        if name not in _NEVER_ASKED
        and name not in named
        and not name.startswith(_NEVER_ASKED_PREFIXES)
        and ("_" not in name or name.startswith(_PARAM_PREFIX))
    )


def response_headers(headers: Headers) -> Headers:
    """Return the fields of a response that reach the client; framing is `body_length`'s.

    A content type that a browser could take for a page is told as bytes.
    """
    named = _named_in_connection(headers)
    return tuple(
        (name, _harmless(value) if name == "content-type" else value)
        for name, value in headers
        if (name in _ANSWERED or name.startswith(_ANSWERED_PREFIX)) and name not in named
    )


def body_length(headers: Headers) -> int | None:
    """Return the length of a body that its head states; None if it states none.

    Raises ValueError for one that is malformed, or stated in more than one way.
    """
    stated = {
        part.strip()
        for name, value in headers
        if name == "content-length"
        for part in value.split(",")
    }
    if not stated:
        return None
    length = stated.pop()
    if stated or not _LENGTH.fullmatch(length):
        raise ValueError("the content length is malformed")
    return int(length)


def with_length(headers: Headers, length_bytes: int | None) -> Headers:
    """Return the fields with one Content-Length behind them, or with none."""
    if length_bytes is None:
        return headers
    return (*headers, ("content-length", str(length_bytes)))


def refusal(status: int) -> str | None:
    """Return why a status of a local server is not passed on, in words that follow its name."""
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"redirects (HTTP {status}), which is not followed; set the final `url`"
    why = _REFUSED.get(status)
    return None if why is None else f"{why} (HTTP {status})"


def _harmless(content_type: str) -> str:
    return content_type if media_type(content_type) in _SHOWN_AS_IT_IS else _BYTES


def _named_in_connection(headers: Headers) -> frozenset[str]:
    """Return the names of the fields that Connection says are for the next hop alone."""
    return frozenset(
        part.strip().lower()
        for name, value in headers
        if name == "connection"
        for part in value.split(",")
    )
