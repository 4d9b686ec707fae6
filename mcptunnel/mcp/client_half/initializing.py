"""A legacy client's `initialize`, from its POST to its session."""

from msgspec import Raw

from mcptunnel.mcp.client_half import initialize
from mcptunnel.mcp.client_half.answer import HttpAnswer
from mcptunnel.mcp.client_half.call import Call
from mcptunnel.mcp.client_half.http import OK
from mcptunnel.mcp.client_half.session import McpSession, Sessions
from mcptunnel.mcp.client_half.translate import to_legacy_error
from mcptunnel.mcp.eras import http_status
from mcptunnel.mcp.headers import SESSION_HEADER
from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification, RequestId, Response
from mcptunnel.mcp.versions import Era


class Initializing(Call):
    """Asks the service who it is; the session begins with the answer.

    Its id is in the head of an answer that takes long before that: an error leaves it unknown.
    """

    __slots__ = ("_now_s", "_session", "_sessions")

    era = Era.LEGACY

    def __init__(
        self,
        request_id: RequestId,
        answer: HttpAnswer,
        session: McpSession,
        sessions: Sessions,
        now_s: float,
    ) -> None:
        super().__init__(request_id, answer)
        answer.headers = ((SESSION_HEADER, session.id),)
        self._session = session
        self._sessions = sessions
        self._now_s = now_s

    def result(self, result: Raw) -> None:
        if self._out is None:
            return
        try:
            answered = initialize.answer(self._session, result)
        except JsonRpcError as error:
            self.error(error)
            return
        self._sessions.add(self._session, self._now_s)
        self._respond(OK, Response(self._id, answered))

    def error(self, error: JsonRpcError) -> None:
        if isinstance(self._out, HttpAnswer):
            self._out.headers = ()
        response = error.response(self._id)
        if response.error is not None:
            response = Response(self._id, None, to_legacy_error("initialize", response.error))
        self._respond(http_status(error, Era.LEGACY), response)

    def notification(self, message: Notification) -> None:
        """Nothing comes before the session."""
