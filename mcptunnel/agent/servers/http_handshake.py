"""Finding out how to talk to a local HTTP server, and beginning a session if it wants one."""

from dataclasses import dataclass

from msgspec import Raw
from twisted.internet.defer import Deferred

from mcptunnel.agent.servers.http_response import MessageResponse
from mcptunnel.errors import McpTunnelError
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import Message, Response
from mcptunnel.mcp.server_half import http as rules
from mcptunnel.mcp.server_half.handshake import HandshakeError, ServerInfo
from mcptunnel.model import Headers, ResponseHead, header
from mcptunnel.net.http1 import Client, RequestError, RequestFailed


class Unusable(McpTunnelError):
    """The server cannot be used now; `str()` is the end of a sentence that begins with its name."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """How calls are made: `session` is None with a modern server."""

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
    return await _begin_session(client, headers, client_info)


async def _begin_session(client: Client, headers: Headers, client_info: Raw) -> Agreed:
    fields, body = rules.initialize_request(client_info)
    answer = await post(client, (*headers, *fields), body)
    try:
        session = rules.read_initialize(
            answer.head.status, answer.head.headers, answer.content_type, answer.body
        )
    except HandshakeError as error:
        raise Unusable(f"cannot be used: {error}") from error
    await post(client, (*headers, *rules.legacy_headers(session)), rules.INITIALIZED_BODY)
    return Agreed(session.info, session)


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
