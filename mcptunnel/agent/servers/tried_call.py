"""A legacy client's call before it is known which conversation with its server it belongs to."""

from mcptunnel.agent.servers.interfaces import LocalCall, LocalServer
from mcptunnel.mcp.calls import CallFailure, CallReceiver
from mcptunnel.mcp.jsonrpc import Notification, Request, Response
from mcptunnel.mcp.service import Asker
from mcptunnel.model import Outcome


class TriedCall:
    """A call that waits for its place; `first` makes it if another server, where it begins, does not.

    (`CallReceiver`, `LocalCall`.)
    """

    __slots__ = ("_asker", "_call", "_first", "_is_paused", "_receiver", "_request")

    def __init__(
        self, first: LocalServer, request: Request, receiver: CallReceiver, asker: Asker
    ) -> None:
        self._first: LocalServer | None = first
        self._request: Request | None = request  # None: it began for good, or is over
        self._receiver = receiver
        self._asker = asker
        self._call: LocalCall | None = None
        self._is_paused = False

    def begin(self, server: LocalServer) -> None:
        """Make the call on a server that may not take it."""
        if self._request is not None:
            self._made(server.call(self._request, self, self._asker))

    def fall_back(self) -> None:
        """Make the call on the first."""
        first, request = self._first, self._request
        self._forget()
        if first is not None and request is not None:
            self._took(first.call(request, self._receiver, self._asker))

    def _made(self, call: LocalCall) -> None:
        if self._call is None:  # else it fell back at once
            self._took(call)

    def _took(self, call: LocalCall) -> None:
        self._call = call
        if self._is_paused:
            call.pause()

    # What the server says.

    def notification(self, message: Notification) -> None:
        self._forget()
        self._receiver.notification(message)

    def response(self, message: Response) -> None:
        self._forget()
        self._receiver.response(message)

    def call_failed(self, failure: CallFailure) -> None:
        if self._request is not None and failure.outcome is Outcome.NOT_DELIVERED:
            self.fall_back()
        else:
            self._forget()
            self._receiver.call_failed(failure)

    # What the caller says.

    def cancel(self, reason: str) -> None:
        self._forget()
        if self._call is not None:
            self._call.cancel(reason)

    def pause(self) -> None:
        self._is_paused = True
        if self._call is not None:
            self._call.pause()

    def resume(self) -> None:
        self._is_paused = False
        if self._call is not None:
            self._call.resume()

    def _forget(self) -> None:
        self._first = self._request = None
