"""Exchanges that are no calls: event streams that last until somebody ends them.

A GET of Streamable HTTP (2025-11-25, "Listening for Messages from the Server"), and
`subscriptions/listen` (2026-07-28, "Subscriptions"), which its header names.
"""

from typing import Final

from mcptunnel.mcp import jsonrpc, sse
from mcptunnel.mcp.headers import EVENT_STREAM, METHOD_HEADER, media_type
from mcptunnel.mcp.jsonrpc import RequestId, Response
from mcptunnel.mcp.meta import META, SUBSCRIPTION_ID
from mcptunnel.model import RequestHead, ResponseHead, header

LISTEN: Final = "subscriptions/listen"
ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"

_BLANK_LINES: Final = (b"\n\n", b"\r\r", b"\n\r\n")
_LONGEST: Final = max(map(len, _BLANK_LINES))


def is_listen(request: RequestHead) -> bool:
    return header(request.headers, METHOD_HEADER) == LISTEN


def is_lasting(request: RequestHead) -> bool:
    """Whether a request asks for a stream that has no end of its own."""
    return request.method == "GET" or is_listen(request)


class LastingStream:
    """The event stream that answers such a request, while its bytes pass."""

    __slots__ = ("_end", "_is_listen")

    def __init__(self, request: RequestHead, head: ResponseHead) -> None:
        self._end = b"\n\n"
        self._is_listen = is_listen(request) and not header(head.headers, "content-encoding")

    def passed(self, data: bytes) -> None:
        """Note what was passed on."""
        self._end = (self._end + data[-_LONGEST:])[-_LONGEST:]

    def last_word(self, request_id: RequestId | None) -> bytes:
        """Return what ends the stream in order, if anything can be said.

        A listen ends with a result, which tells the client that this was meant; it can only be said
        between two events.
        """
        if not self._is_listen or request_id is None or not self._end.endswith(_BLANK_LINES):
            return b""
        result = {"resultType": "complete", META: {SUBSCRIPTION_ID: request_id}}
        return sse.encode(jsonrpc.encode(Response(request_id, jsonrpc.raw(result))))


def lasting(request: RequestHead, head: ResponseHead) -> LastingStream | None:
    """Return the stream with which a request is answered, if it is one without an end."""
    is_stream = media_type(header(head.headers, "content-type")) == EVENT_STREAM
    has_length = header(head.headers, "content-length") is not None
    if not is_lasting(request) or not is_stream or has_length:
        return None
    return LastingStream(request, head)
