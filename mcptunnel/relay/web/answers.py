"""Short answers: JSON for programs, errors included."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from twisted.web.http import Request
from twisted.web.server import NOT_DONE_YET

NO_CONTENT: Final = 204

_encoder = msgspec.json.Encoder()


def error_body(code: int, message: str, data: Any = None) -> bytes:
    """Return a JSON-RPC error without an id: the request was not read, or is nobody's."""
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return _encoder.encode({"jsonrpc": "2.0", "id": None, "error": error})


def send_body(
    request: Request,
    status: int,
    body: bytes,
    *,
    content_type: bytes = b"application/json",
    headers: Mapping[bytes, bytes] | None = None,
) -> int:
    """Answer with a body and finish. Returns what `render` must return."""
    request.setResponseCode(status)
    if status != NO_CONTENT:  # which has neither (RFC 9110, section 8.6)
        request.setHeader(b"content-type", content_type)
        request.setHeader(b"content-length", b"%d" % len(body))
    request.setHeader(b"x-content-type-options", b"nosniff")
    if headers:
        for name, value in headers.items():
            request.setHeader(name, value)
    if request.method != b"HEAD":
        request.write(body)
    request.finish()
    return NOT_DONE_YET


def send_json(
    request: Request, status: int, value: Any, *, headers: Mapping[bytes, bytes] | None = None
) -> int:
    """Answer with JSON and finish."""
    return send_body(request, status, _encoder.encode(value), headers=headers)
