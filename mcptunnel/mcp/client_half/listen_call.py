"""A modern client's `subscriptions/listen` (2026-07-28, basic/patterns/subscriptions)."""

from typing import Final

from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half.answer import Outlet
from mcptunnel.mcp.client_half.call import Call
from mcptunnel.mcp.client_half.http import OK
from mcptunnel.mcp.client_half.streams import Streams
from mcptunnel.mcp.jsonrpc import JsonRpcError, Members, Notification, RequestId, Response
from mcptunnel.mcp.listens import ACKNOWLEDGED
from mcptunnel.mcp.meta import META, SUBSCRIPTION_ID
from mcptunnel.mcp.service import Asker

_NEVER: Final = frozenset({"notifications/progress", "notifications/message"})
"""What belongs to the request that asked for it, and to no subscription."""


class ListenCall(Call):
    """A stream of what the client wants to hear, until one side ends it (`streams.Ending`).

    Everything on it bears the client's own id, of whatever type. Nothing comes before the
    acknowledgement.
    """

    __slots__ = ("_asker", "_is_acknowledged", "_streams")

    def __init__(self, request_id: RequestId, out: Outlet, streams: Streams, asker: Asker) -> None:
        super().__init__(request_id, out)
        self._streams = streams
        self._asker = asker
        self._is_acknowledged = False

    def result(self, result: Raw) -> None:
        try:
            known = jsonrpc.members(result)
            self._respond(OK, Response(self._id, jsonrpc.raw(self._tagged(known))))
        except JsonRpcError:
            self._respond_ended()

    def notification(self, message: Notification) -> None:
        out = self._out
        if message.method == ACKNOWLEDGED:
            self._is_acknowledged = True
        if out is None or not self._is_acknowledged or message.method in _NEVER:
            return
        try:
            params = self._tagged(message.params)
        except JsonRpcError:
            return
        out.event(jsonrpc.encode(Notification(message.method, params)))

    def end(self) -> None:
        """End it in order: the result comes before the end of the stream."""
        running = self._running
        self._respond_ended()
        if running is not None:
            running.cancel("the subscription was ended")

    def access_ended(self, is_revoked: bool) -> None:
        self.end()

    def _respond_ended(self) -> None:
        complete = {"resultType": jsonrpc.raw("complete")}
        self._respond(OK, Response(self._id, jsonrpc.raw(self._tagged(complete))))

    def _tagged(self, members: Members) -> Members:
        about = jsonrpc.members(members.get(META))
        return jsonrpc.with_member(
            members, META, jsonrpc.with_member(about, SUBSCRIPTION_ID, self._id)
        )

    def _settle(self) -> None:
        super()._settle()
        self._streams.remove(self._asker, self)
