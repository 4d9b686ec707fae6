"""The part of an endpoint that has sessions: for legacy clients (2025-11-25, basic/transports)."""

from collections.abc import Callable

from mcptunnel.mcp import headers as fields
from mcptunnel.mcp.client_half import batch, http, initialize, legacy
from mcptunnel.mcp.client_half.answer import HttpAnswer
from mcptunnel.mcp.client_half.get_stream import GetStream
from mcptunnel.mcp.client_half.http import Http
from mcptunnel.mcp.client_half.initializing import Initializing
from mcptunnel.mcp.client_half.live import Live, Shared
from mcptunnel.mcp.client_half.refusals import (
    refuse,
    refuse_stream,
    send_error,
    unknown_session,
)
from mcptunnel.mcp.eras import InSession
from mcptunnel.mcp.jsonrpc import Batch, JsonRpcError, Request, RequestId
from mcptunnel.mcp.service import Asker, Service
from mcptunnel.mcp.versions import STREAMABLE_LEGACY
from mcptunnel.model import header


class Visit:
    """One HTTP request that was let in: whose it is, and who does what it wants."""

    __slots__ = ("asker", "client", "now_s", "service")

    def __init__(self, client: Http, asker: Asker, service: Service, now_s: float) -> None:
        self.client = client
        self.asker = asker
        self.service = service
        self.now_s = now_s


class SessionEndpoint:
    """Answers what legacy clients send."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._live: dict[str, Live] = {}
        shared.sessions.when_ended = self._session_ended
        shared.sessions.is_open = self._is_open

    def initialize(self, visit: Visit, request: Request, answer: HttpAnswer) -> None:
        """Begin a session."""
        sessions = self._shared.sessions
        try:
            session = initialize.open_session(
                request, session_id=sessions.new_id(), asker=visit.asker
            )
        except JsonRpcError as error:
            send_error(visit.client, http.BAD_REQUEST, error)
            return
        call = Initializing(request.id, answer, session, sessions, visit.now_s)
        call.run(visit.service.request(initialize.discover(request, session), call))

    def take(self, visit: Visit, said: InSession, answer: HttpAnswer, size_bytes: int) -> None:
        """Take a POSTed message; `size_bytes` is what it holds in memory."""
        message = said.message
        request_id = message.id if isinstance(message, Request) else None
        live = self._find(visit, said.session_id, request_id)
        if live is None:
            return
        if isinstance(message, Request):
            legacy.request(live, message, answer, size_bytes)
        elif isinstance(message, Batch):
            try:
                batch.take(live, message, answer, size_bytes)
            except JsonRpcError as error:
                send_error(visit.client, http.BAD_REQUEST, error)
        else:
            legacy.take(live, message)
            visit.client.answer(http.ACCEPTED)

    def open_stream(self, visit: Visit, session_id: str) -> None:
        """Answer a GET with the session's event stream; it takes the place of an older one."""
        if not fields.accepts(visit.client.headers)[1]:
            refuse(visit.client, http.NOT_ACCEPTABLE, "Accept must allow text/event-stream")
            return
        live = self._find(visit, session_id, None)
        if live is None:
            return
        stream = GetStream(visit.client, visit.asker, live.listening, self._shared)
        if self._shared.streams.add(visit.asker, stream):
            stream.open()
        else:
            refuse_stream(visit.client)

    def delete(self, visit: Visit) -> None:
        """End a session on its client's word."""
        session_id = header(visit.client.headers, fields.SESSION_HEADER)
        if session_id is None:
            refuse(visit.client, http.BAD_REQUEST, "Mcp-Session-Id is missing")
        elif self._shared.sessions.get(session_id, visit.asker, visit.now_s) is None:
            send_error(visit.client, http.NOT_FOUND, unknown_session(None))
        else:
            self._shared.sessions.end(session_id)
            visit.client.answer(http.NO_CONTENT)

    def end_those(self, whose: Callable[[Asker], bool]) -> None:
        """End the sessions of some askers."""
        self._shared.sessions.end_those(whose)

    def stop(self) -> None:
        """Do nothing more of our own accord."""
        for live in tuple(self._live.values()):
            live.stop()

    def _find(self, visit: Visit, session_id: str, request_id: RequestId | None) -> Live | None:
        """Return the session that is meant; None if the client was told why there is none."""
        session = self._shared.sessions.get(session_id, visit.asker, visit.now_s)
        if session is None:
            send_error(visit.client, http.NOT_FOUND, unknown_session(request_id))
            return None
        version = header(visit.client.headers, fields.VERSION_HEADER)
        if version is not None and version not in STREAMABLE_LEGACY:
            text = f"Unsupported MCP-Protocol-Version {version[:40]!r}"
            refuse(visit.client, http.BAD_REQUEST, text)
            return None
        live = self._live.get(session_id)
        if live is None:
            live = self._live[session_id] = Live(session, visit.service, self._shared)
            live.resume()
        else:
            live.session = session  # it may have another asker, of the same client
            live.serve(visit.service)
        return live

    def _is_open(self, session_id: str) -> bool:
        live = self._live.get(session_id)
        return live is not None and live.has_stream

    def _session_ended(self, session_id: str) -> None:
        live = self._live.pop(session_id, None)
        if live is not None:
            live.end("the session was ended")
