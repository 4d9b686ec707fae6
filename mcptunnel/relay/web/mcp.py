"""`/mcp`: the hub over Streamable HTTP, for clients of both eras."""

from collections.abc import Callable
from typing import Final

import msgspec

from mcptunnel.mcp import headers as fields
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half import initialize
from mcptunnel.mcp.client_half.translate import to_modern
from mcptunnel.mcp.eras import Initialize, InSession, Modern, Refused, classify_post
from mcptunnel.mcp.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    JsonRpcError,
    Notification,
    Request,
    RequestId,
    Response,
)
from mcptunnel.mcp.versions import STREAMABLE_LEGACY, Era
from mcptunnel.model import Headers, Outcome, header
from mcptunnel.relay.access import Access
from mcptunnel.relay.draining import REFUSAL, Draining
from mcptunnel.relay.hub.hub import INSTRUCTIONS, Hub
from mcptunnel.relay.hub.sessions import LiveSession, McpSessions
from mcptunnel.relay.web.answers import NO_CONTENT, error_body, send_body
from mcptunnel.relay.web.keep_alive import KeepAlive
from mcptunnel.relay.web.reply import ACCEPTED, Reply
from mcptunnel.relay.web.request import RelayRequest

BAD_REQUEST: Final = 400
NOT_FOUND: Final = 404
METHOD_NOT_ALLOWED: Final = 405
NOT_ACCEPTABLE: Final = 406
UNSUPPORTED_MEDIA_TYPE: Final = 415
UNAVAILABLE: Final = 503

SESSION_NOT_FOUND: Final = -32001
"""What clients know as "session not found", with 404 (2025-11-25, "Session Management")."""

_ids: msgspec.json.Decoder[RequestId] = msgspec.json.Decoder(RequestId)


class McpEndpoint:
    """Answers authenticated requests to the hub."""

    def __init__(
        self,
        hub: Hub,
        sessions: McpSessions,
        now_s: Callable[[], float],
        keep_alive: KeepAlive,
        draining: Draining,
    ) -> None:
        self._hub = hub
        self._draining = draining
        self._sessions = sessions
        self._now_s = now_s
        self._keep_alive = keep_alive
        self._methods: dict[bytes, Callable[[RelayRequest, Access, bytes], object]] = {
            b"POST": self._post,
            b"DELETE": self._delete,
        }

    def answer(self, http: RelayRequest, access: Access, body: bytes) -> None:
        """Answer a request of any method."""
        method = self._methods.get(http.method)
        if method is None:
            _refuse(
                http,
                METHOD_NOT_ALLOWED,
                f"{http.method.decode('ascii', 'replace')} is not offered here; use POST",
                {b"allow": b"POST, DELETE"},
            )
            return
        method(http, access, body)

    def _post(self, http: RelayRequest, access: Access, body: bytes) -> None:
        headers = http.fields()
        if not fields.is_json(header(headers, "content-type")):
            _refuse(http, UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json")
            return
        accepts = fields.accepts(headers)
        if not any(accepts):
            _refuse(
                http,
                NOT_ACCEPTABLE,
                "Accept must allow application/json and text/event-stream",
            )
            return
        try:
            message = jsonrpc.parse(body)
        except JsonRpcError as error:
            _send_error(http, BAD_REQUEST, error)
            return
        if self._draining.is_on and isinstance(message, Request):
            self._put_off(http, message.id)
            return
        match classify_post(headers, message):
            case Modern(message=Request() as request):
                reply = Reply(http, request, Era.MODERN, accepts, self._keep_alive)
                reply.run(self._hub.request(access, request, reply))
            case Modern():
                _accept(http)
            case InSession(session_id=session_id, message=message):
                self._in_session(http, access, headers, session_id, message)
            case Initialize(request=request):
                self._initialize(http, access, request)
            case Refused() as refused:
                _send_error(http, refused.status, refused.error)

    def _put_off(self, http: RelayRequest, request_id: RequestId) -> None:
        """Refuse a request for now; what calls still need, such as a cancellation, is taken."""
        outcome = {"outcome": Outcome.NOT_DELIVERED.value}
        error = JsonRpcError(INTERNAL_ERROR, REFUSAL, outcome, request_id)
        body = jsonrpc.encode(error.response())
        retry_after = b"%d" % self._draining.retry_after
        send_body(http, UNAVAILABLE, body, headers={b"retry-after": retry_after})

    # Legacy clients.

    def _initialize(self, http: RelayRequest, access: Access, request: Request) -> None:
        try:
            version, result = initialize.answer(
                request,
                server_info=self._hub.server_info,
                capabilities=self._hub.capabilities,
                instructions=INSTRUCTIONS,
            )
        except JsonRpcError as error:
            _send_error(http, BAD_REQUEST, error)
            return
        session = initialize.open_session(
            request,
            session_id=self._sessions.new_id(),
            principal=access.principal,
            client=access.client,
            version=version,
        )
        self._sessions.add(session, self._now_s())
        body = jsonrpc.encode(Response(request.id, result))
        send_body(http, 200, body, headers={b"mcp-session-id": session.id.encode()})

    def _in_session(
        self,
        http: RelayRequest,
        access: Access,
        headers: Headers,
        session_id: str,
        message: jsonrpc.Message,
    ) -> None:
        live = self._sessions.get(session_id, access, self._now_s())
        if live is None:
            _send_error(http, NOT_FOUND, _unknown_session(message))
            return
        version = header(headers, fields.VERSION_HEADER)
        if version is not None and version not in STREAMABLE_LEGACY:
            _refuse(http, BAD_REQUEST, f"Unsupported MCP-Protocol-Version {version[:40]!r}")
            return
        match message:
            case Request():
                self._session_request(http, access, live, message, fields.accepts(headers))
            case Notification():
                if message.method == "notifications/cancelled":
                    _cancel(live, message)
                _accept(http)
            case Response():
                _accept(http)

    def _session_request(
        self,
        http: RelayRequest,
        access: Access,
        live: LiveSession,
        request: Request,
        accepts: tuple[bool, bool],
    ) -> None:
        if request.id in live.calls:
            _send_error(
                http,
                BAD_REQUEST,
                JsonRpcError(
                    INVALID_REQUEST, "A request with this id is in flight", None, request.id
                ),
            )
            return

        request_id = request.id

        def done() -> None:
            live.calls.pop(request_id, None)

        reply = Reply(http, request, Era.LEGACY, accepts, self._keep_alive, done=done)
        if request.method == "ping":
            reply.result(jsonrpc.raw({}))
            return
        live.calls[request_id] = reply.cancel
        reply.run(self._hub.request(access, to_modern(request, live.session), reply))

    def _delete(self, http: RelayRequest, access: Access, _body: bytes) -> None:
        session_id = header(http.fields(), fields.SESSION_HEADER)
        if session_id is None:
            _refuse(http, BAD_REQUEST, "Mcp-Session-Id is missing")
            return
        if self._sessions.get(session_id, access, self._now_s()) is None:
            _send_error(http, NOT_FOUND, _unknown_session(None))
            return
        self._sessions.end(session_id)
        send_body(http, NO_CONTENT, b"")


def _unknown_session(message: jsonrpc.Message | None) -> JsonRpcError:
    request_id = message.id if isinstance(message, Request) else None
    return JsonRpcError(
        SESSION_NOT_FOUND, "Session not found: send initialize again", None, request_id
    )


def _cancel(live: LiveSession, message: Notification) -> None:
    """Cancel a call of this session; one that is over, or was never made, is passed over."""
    try:
        request_id = _ids.decode(message.params.get("requestId", b""))
    except msgspec.MsgspecError:
        return
    cancel = live.calls.get(request_id)
    if cancel is not None:
        cancel(jsonrpc.text(message.params.get("reason")) or "cancelled by the client")


def _accept(http: RelayRequest) -> None:
    http.setResponseCode(ACCEPTED)
    http.setHeader(b"content-length", b"0")
    http.finish()


def _send_error(http: RelayRequest, status: int, error: JsonRpcError) -> None:
    send_body(http, status, jsonrpc.encode(error.response()))


def _refuse(
    http: RelayRequest, status: int, message: str, headers: dict[bytes, bytes] | None = None
) -> None:
    send_body(http, status, error_body(INVALID_REQUEST, message), headers=headers)
