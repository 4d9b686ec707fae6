"""HTTP answers that refuse a request."""

from typing import Final

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half.http import Http
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, INVALID_REQUEST, JsonRpcError, RequestId
from mcptunnel.model import Headers

SESSION_NOT_FOUND: Final = -32001
"""What clients know as "session not found", with 404 (2025-11-25, "Session Management")."""


def send_error(
    client: Http, status: int, error: JsonRpcError, request_id: RequestId | None = None
) -> None:
    """Answer with an error, of the request that it names or of `request_id`."""
    client.answer(status, jsonrpc.encode(error.response(request_id)))


def refuse(client: Http, status: int, message: str, headers: Headers = ()) -> None:
    """Answer with an error that belongs to no request: it was not read."""
    body = jsonrpc.encode(JsonRpcError(INVALID_REQUEST, message).response())
    client.answer(status, body, headers)


def unknown_session(request_id: RequestId | None) -> JsonRpcError:
    """Return the error for an id that is no session's, or another's."""
    text = "Session not found: send initialize again"
    return JsonRpcError(SESSION_NOT_FOUND, text, None, request_id)


def too_many_streams(request_id: RequestId | None) -> JsonRpcError:
    """Return the error for a stream that there is no room for."""
    text = "Too many event streams of yours are open; close some first"
    return JsonRpcError(INTERNAL_ERROR, text, None, request_id)
