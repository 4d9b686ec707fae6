"""HTTP answers that refuse a request."""

from typing import Final, Protocol

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half.http import TOO_MANY_REQUESTS, UNAVAILABLE, Http
from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, INVALID_REQUEST, JsonRpcError, RequestId
from mcptunnel.model import Headers, Outcome

SESSION_NOT_FOUND: Final = -32001
"""What clients know as "session not found", with 404 (2025-11-25, "Session Management")."""

STREAM_RETRY_S: Final = 10
"""Streams last: one that had no room may find some after so long."""


class Draining(Protocol):
    """Whether whoever owns the endpoint is stopping, and what is said to those who come."""

    @property
    def is_on(self) -> bool: ...

    @property
    def retry_after(self) -> int:
        """The value of Retry-After (RFC 9110, section 10.2.3), in seconds."""

    @property
    def refusal(self) -> str: ...


def put_off(client: Http, draining: Draining, request_id: RequestId | None = None) -> None:
    """Refuse a request for now: nothing was done, and the client may try again."""
    outcome = {"outcome": Outcome.NOT_DELIVERED.value}
    error = JsonRpcError(INTERNAL_ERROR, draining.refusal, outcome, request_id)
    headers = (("retry-after", str(draining.retry_after)),)
    client.answer(UNAVAILABLE, jsonrpc.encode(error.response()), headers)


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


def refuse_stream(client: Http, request_id: RequestId | None = None) -> None:
    """Answer a request for a stream that there is no room for."""
    text = "Too many event streams of yours are open; close some first"
    body = jsonrpc.encode(JsonRpcError(INTERNAL_ERROR, text, None, request_id).response())
    client.answer(TOO_MANY_REQUESTS, body, (("retry-after", str(STREAM_RETRY_S)),))
