"""Finding out how to talk to a local HTTP server, and beginning a session if it wants one."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from msgspec import Raw
from twisted.internet.defer import Deferred

from mcptunnel.agent.servers.http_response import MessageResponse
from mcptunnel.errors import McpTunnelError
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import Message, Response
from mcptunnel.mcp.server_half import http as rules
from mcptunnel.mcp.server_half.handshake import (
    HandshakeError,
    Offer,
    ServerInfo,
    lesser_offer,
)
from mcptunnel.model import Headers, ResponseHead, header
from mcptunnel.net.http1 import Client, RequestError, RequestFailed

GOODBYE_S: Final = 1.0


class Unusable(McpTunnelError):
    """The server cannot be used now; `str()` is the end of a sentence that begins with its name.

    `status` is the HTTP status of its answer to `initialize`, 0 if it is about something else.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Agreed:
    """How calls are made: `session` is that with a legacy server over Streamable HTTP."""

    info: ServerInfo
    session: rules.LegacyHttpSession | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response: its head and the one JSON-RPC message in it, encoded."""

    head: ResponseHead
    body: bytes

    @property
    def content_type(self) -> str | None:
        return header(self.head.headers, "content-type")


async def agree(client: Client, headers: Headers, client_info: Raw) -> Agreed:
    """Probe the server's era; begin a session with a legacy one. Raises Unusable."""
    fields, body = rules.probe_request(client_info)
    answer = await post(client, (*headers, *fields), body)
    match rules.verdict(answer.head.status, answer.content_type, answer.body):
        case rules.Modern(info=info):
            return Agreed(info, None)
        case rules.Unusable(reason=reason):
            raise Unusable(f"cannot be used: {reason}")
    return await begin_session(client, headers, client_info)


async def begin_session(client: Client, headers: Headers, client_info: Raw) -> Agreed:
    """Begin a session with a server, as a legacy client does. Raises Unusable."""
    offer: Offer | None = Offer.FULL
    while offer is not None:
        fields, body = rules.initialize_request(client_info, offer)
        answer = await post(client, (*headers, *fields), body)
        try:
            session = rules.read_initialize(
                answer.head.status, answer.head.headers, answer.content_type, answer.body
            )
        except HandshakeError as error:
            offer = lesser_offer(offer, error)
            if offer is None:
                raise Unusable(f"cannot be used: {error}", answer.head.status) from error
        else:
            break
    await post(client, (*headers, *rules.legacy_headers(session)), rules.INITIALIZED_BODY)
    return Agreed(session.info, session)


async def began_session(client: Client, headers: Headers, client_info: Raw) -> Agreed | None:
    """Return the session that a modern server begins with legacy clients; None if it begins none.

    It has to be ended (`say_goodbye`). Raises Unusable if nothing can be said about it now.
    """
    fields, body = rules.initialize_request(client_info, Offer.NONE)
    answer = await post(client, (*headers, *fields), body)
    if answer.head.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Unusable(f"has a problem of its own (HTTP status {answer.head.status})")
    try:
        session = rules.read_initialize(
            answer.head.status, answer.head.headers, answer.content_type, answer.body
        )
    except HandshakeError:
        return None
    return Agreed(session.info, session)


async def say_goodbye(reactor: Any, client: Client, headers: Headers, agreed: Agreed) -> None:
    """End a legacy session, if the server takes that within a second."""
    session = agreed.session
    if session is None or session.session_id is None:
        return
    over: Deferred[None] = Deferred()
    receiver = MessageResponse(
        lambda _message: None,
        lambda _head, _rest, _failure: None if over.called else over.callback(None),
    )
    fields = (*headers, *rules.session_headers(session))
    try:
        call = receiver.call = client.request("DELETE", "", fields, b"", receiver)
    except RequestError:
        return
    timer = reactor.callLater(GOODBYE_S, over.callback, None)
    await over
    if timer.active():
        timer.cancel()
    call.abort()


async def post(client: Client, headers: Headers, body: bytes) -> Answer:
    """POST one message and wait for the answer to it. Raises Unusable."""
    answered: Deferred[Answer] = Deferred(lambda _deferred: call.abort())

    def message(found: Message) -> None:
        # At once: some servers never end the event stream.
        if isinstance(found, Response) and not answered.called and receiver.head is not None:
            answered.callback(Answer(receiver.head, jsonrpc.encode(found)))

    def over(head: ResponseHead | None, rest: bytes, failure: RequestFailed | None) -> None:
        if answered.called:
            return
        if failure is not None:
            answered.errback(Unusable(f"cannot be reached: {failure.text}"))
        elif head is not None:
            answered.callback(Answer(head, rest))

    receiver = MessageResponse(message, over)
    try:
        call = client.request("POST", "", headers, body, receiver)
    except RequestError as error:
        raise Unusable(f"cannot be asked: {error}") from error
    receiver.call = call
    return await answered
