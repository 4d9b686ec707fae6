"""A listen that hears both conversations with a server: what a call changes in either, all are told."""

from collections.abc import Callable
from typing import Final

from mcptunnel.agent.servers.interfaces import LocalCall, LocalServer
from mcptunnel.mcp.calls import CallFailure, CallReceiver
from mcptunnel.mcp.jsonrpc import Notification, Request, Response
from mcptunnel.mcp.listens import ACKNOWLEDGED
from mcptunnel.mcp.service import NOBODY, Asker

_OVER: Final = "the listen is over"


class WideListen:
    """A listen on the first conversation, and on the second while there is one.

    The first acknowledges and ends it; of the second only the news count. `left` is called at its end.
    (`CallReceiver`, `LocalCall`.)
    """

    __slots__ = ("_call", "_left", "_more", "_receiver", "_request")

    def __init__(
        self, request: Request, receiver: CallReceiver, left: Callable[["WideListen"], None]
    ) -> None:
        self._request = request
        self._receiver: CallReceiver | None = receiver  # None: it is over
        self._left = left
        self._call: LocalCall | None = None
        self._more: LocalCall | None = None

    def begin(self, first: LocalServer, asker: Asker) -> None:
        """Listen to the first."""
        self._call = first.call(self._request, self, asker)

    def hear(self, second: LocalServer) -> None:
        """Listen to the second as well; it is nobody's listen there, and keeps nothing running."""
        if self._receiver is not None:
            self._more = second.call(self._request, _News(self), NOBODY)

    # What the first says.

    def notification(self, message: Notification) -> None:
        if self._receiver is not None:
            self._receiver.notification(message)

    def response(self, message: Response) -> None:
        receiver = self._end()
        if receiver is not None:
            receiver.response(message)

    def call_failed(self, failure: CallFailure) -> None:
        receiver = self._end()
        if receiver is not None:
            receiver.call_failed(failure)

    # What the listener says.

    def cancel(self, reason: str) -> None:
        call = self._call
        if self._end() is not None and call is not None:
            call.cancel(reason)

    def pause(self) -> None:
        for call in (self._call, self._more):
            if call is not None:
                call.pause()

    def resume(self) -> None:
        for call in (self._call, self._more):
            if call is not None:
                call.resume()

    def _end(self) -> CallReceiver | None:
        receiver, self._receiver = self._receiver, None
        more, self._call, self._more = self._more, None, None
        if more is not None:
            more.cancel(_OVER)
        if receiver is not None:
            self._left(self)
        return receiver


class _News:
    """What the second says of a listen (`CallReceiver`)."""

    __slots__ = ("_listen",)

    def __init__(self, listen: WideListen) -> None:
        self._listen = listen

    def notification(self, message: Notification) -> None:
        if message.method != ACKNOWLEDGED:
            self._listen.notification(message)

    def response(self, message: Response) -> None:
        """The second is over, the first is not."""

    def call_failed(self, failure: CallFailure) -> None:
        """As above."""
