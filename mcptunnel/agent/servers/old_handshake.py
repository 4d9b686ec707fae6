"""Beginning a conversation with a server that speaks only HTTP+SSE of 2024-11-05."""

from collections.abc import Callable

from msgspec import Raw
from twisted.internet.defer import Deferred

from mcptunnel.agent.servers.http_handshake import Agreed, Unusable
from mcptunnel.agent.servers.old_channel import OldChannel
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import Message, Request, Response
from mcptunnel.mcp.server_half import handshake
from mcptunnel.mcp.server_half.handshake import HandshakeError, Offer

INITIALIZE_ID = 1


async def agree_old(channel: OldChannel, client_info: Raw) -> Agreed:
    """Open a channel and greet the server on it. Raises Unusable."""
    await channel.open()
    offer: Offer | None = Offer.FULL
    while offer is not None:
        request = handshake.initialize_request(INITIALIZE_ID, client_info, offer)
        response = await _answer(channel, request)
        try:
            info = handshake.read_initialize(response)
        except HandshakeError as error:
            offer = handshake.lesser_offer(offer, error)
            if offer is None:
                raise Unusable(f"cannot be used: {error}") from error
        else:
            break
    channel.post(handshake.INITIALIZED, _ignored)
    return Agreed(info, None)


async def _answer(channel: OldChannel, request: Request) -> Response:
    answered: Deferred[Response] = Deferred()

    def settle(settled: Callable[[], None]) -> None:
        if not answered.called:
            settled()

    def message(found: Message) -> None:
        if isinstance(found, Response) and found.id == request.id:
            settle(lambda: answered.callback(found))
        elif isinstance(found, Request) and found.method == "ping":
            channel.post(jsonrpc.encode(Response(found.id, Raw(b"{}"))), _ignored)

    def failed(text: str, _may_have_run: bool = True) -> None:
        settle(lambda: answered.errback(Unusable(text)))

    channel.attend(message, failed)
    channel.post(jsonrpc.encode(request), failed)
    try:
        return await answered
    finally:
        channel.hold()


def _ignored(_text: str, _may_have_run: bool) -> None:
    """The end of the channel will tell."""
