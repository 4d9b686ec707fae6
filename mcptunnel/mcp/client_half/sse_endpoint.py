"""The endpoint's two paths for clients of 2024-11-05: a stream, and where to post to."""

from collections.abc import Callable
from typing import Final

from mcptunnel.mcp import headers as fields
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half import http
from mcptunnel.mcp.client_half.live import Shared
from mcptunnel.mcp.client_half.refusals import (
    Draining,
    put_off,
    refuse,
    refuse_stream,
    send_error,
    unknown_session,
)
from mcptunnel.mcp.client_half.session_endpoint import Visit
from mcptunnel.mcp.client_half.sse_session import SseSession
from mcptunnel.mcp.jsonrpc import Batch, JsonRpcError, Request
from mcptunnel.mcp.service import Asker
from mcptunnel.model import header

QUERY: Final = "session_id"
"""The parameter of the path to post to."""


class SseEndpoint:
    """Has the sessions of such clients, which end with their streams."""

    def __init__(self, shared: Shared, draining: Draining) -> None:
        self._shared = shared
        self._draining = draining
        self._sessions: dict[str, SseSession] = {}

    def open(self, visit: Visit, post_path: str) -> None:
        """Answer a request for a stream; its client is to post to `post_path`, with a query of ours."""
        client, shared = visit.client, self._shared
        if client.method != "GET":
            _refuse_method(client, "GET")
        elif not fields.accepts(client.headers)[1]:
            refuse(client, http.NOT_ACCEPTABLE, "Accept must allow text/event-stream")
        elif self._draining.is_on:
            put_off(client, self._draining)
        else:
            session_id = shared.sessions.new_id()
            session = SseSession(
                client, visit.asker, session_id, shared, lambda: self._left(session_id)
            )
            if not shared.streams.add(visit.asker, session):
                refuse_stream(client)
                return
            self._sessions[session_id] = session
            session.open(f"{post_path}?{QUERY}={session_id}")

    def post(self, visit: Visit, session_id: str | None, body: bytes) -> None:
        """Take a message for a session; what answers it comes on the stream."""
        client = visit.client
        if client.method != "POST":
            _refuse_method(client, "POST")
            return
        if session_id is None:
            refuse(client, http.BAD_REQUEST, f"The query has no {QUERY}; open /sse first")
            return
        if not fields.is_json(header(client.headers, "content-type")):
            text = "Content-Type must be application/json"
            refuse(client, http.UNSUPPORTED_MEDIA_TYPE, text)
            return
        session = self._sessions.get(session_id)
        if session is None or session.asker != visit.asker:
            send_error(client, http.NOT_FOUND, unknown_session(None))
            return
        try:
            message = jsonrpc.parse(body)
        except JsonRpcError as error:
            send_error(client, http.BAD_REQUEST, error)
            return
        if isinstance(message, Batch):
            refuse(client, http.BAD_REQUEST, "2024-11-05 has no batches")
        elif self._draining.is_on and isinstance(message, Request):
            put_off(client, self._draining, message.id)
        else:
            client.answer(http.ACCEPTED)
            session.take(message, visit.service, len(body))

    def close(self, whose: Callable[[Asker], bool]) -> None:
        """End the sessions of some askers, with all that is under way."""
        for session in tuple(self._sessions.values()):
            if whose(session.asker):
                session.close()

    def _left(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)


def _refuse_method(client: http.Http, allowed: str) -> None:
    text = f"{client.method[:40]} is not offered here; use {allowed}"
    refuse(client, http.METHOD_NOT_ALLOWED, text, (("allow", allowed),))
