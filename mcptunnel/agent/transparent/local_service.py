"""A local server as a service of the modern dialect, for the front that speaks for it."""

from typing import Final

from msgspec import Raw

from mcptunnel.agent.held_news import HeldNews
from mcptunnel.agent.servers.interfaces import LocalCall, LocalServer
from mcptunnel.agent.transparent.tool_headers import ToolHeaders
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.calls import MEANING, CallFailure
from mcptunnel.mcp.client_half.http import BAD_GATEWAY, UNAVAILABLE
from mcptunnel.mcp.jsonrpc import (
    INTERNAL_ERROR,
    JsonRpcError,
    Notification,
    Request,
    Response,
)
from mcptunnel.mcp.listens import LISTEN
from mcptunnel.mcp.service import Asker, Caller, Running, client_of_session
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Headers, Outcome

_EMPTY: Final = Raw(b"{}")
_STATUS: Final = {
    Outcome.NOT_DELIVERED: UNAVAILABLE,
    Outcome.UNKNOWN: BAD_GATEWAY,
}


class LocalService:
    """One server, as one asker's HTTP request sees it (`mcp.service.Service`).

    `checked` are the header fields that calls of tools have to agree with; None if this client has
    none to send.
    """

    __slots__ = ("_asker", "_checked", "_server", "_tools")

    def __init__(
        self, server: LocalServer, tools: ToolHeaders, asker: Asker, checked: Headers | None
    ) -> None:
        self._server = server
        self._tools = tools
        self._asker = asker
        self._checked = checked

    def request(self, request: Request, caller: Caller) -> Running | None:
        call = ServiceCall(caller, is_listen=request.method == LISTEN)
        if self._checked is None or request.method != "tools/call":
            call.begin(self._server, request, self._asker)
        else:

            def checked(wrong: JsonRpcError | None) -> None:
                if wrong is None:
                    call.begin(self._server, request, self._asker)
                else:
                    call.refuse(wrong)

            self._tools.check(self._checked, request, checked)
        return None if call.is_over else call

    def of_session(self, session: str) -> "LocalService":
        asker = self._asker
        client = client_of_session(asker.client, session)
        return LocalService(
            self._server, self._tools, Asker(asker.principal, client, Era.LEGACY), None
        )


class ServiceCall:
    """A request of the front that the server is answering (`mcp.calls.CallReceiver`, `Running`).

    While the front holds, a call's progress is left out; of a listen each change is told once, later.
    """

    __slots__ = ("_call", "_caller", "_held", "_is_held")

    def __init__(self, caller: Caller, *, is_listen: bool) -> None:
        self._caller: Caller | None = caller  # None when it is over
        self._call: LocalCall | None = None
        self._is_held = False
        self._held: HeldNews | None = HeldNews() if is_listen else None

    @property
    def is_over(self) -> bool:
        return self._caller is None

    def begin(self, server: LocalServer, request: Request, asker: Asker) -> None:
        """Make the call, unless nobody wants it any more."""
        if self._caller is None:
            return
        call = server.call(request, self, asker)
        if not self.is_over:
            self._call = call
            if self._is_held:
                call.pause()

    def refuse(self, error: JsonRpcError) -> None:
        """Answer without asking the server."""
        caller = self._over()
        if caller is not None:
            caller.error(error)

    # What the server says.

    def notification(self, message: Notification) -> None:
        if self._caller is None:
            return
        if not self._is_held:
            self._caller.notification(message)
        elif self._held is not None:
            self._held.add(message)

    def response(self, message: Response) -> None:
        caller = self._over()
        if caller is None:
            return
        error = jsonrpc.error_of(message)
        if error is None:
            caller.result(_EMPTY if message.result is None else message.result)
        else:
            caller.error(error)

    def call_failed(self, failure: CallFailure) -> None:
        self.refuse(
            JsonRpcError(
                INTERNAL_ERROR,
                f"{failure.text} {MEANING[failure.outcome]}",
                {"outcome": failure.outcome.value},
                status=_STATUS[failure.outcome],
            )
        )

    # What the front says.

    def cancel(self, reason: str) -> None:
        call = self._call
        self._over()
        if call is not None:
            call.cancel(reason)

    def hold(self, holding: bool) -> None:
        self._is_held = holding
        if holding:
            if self._call is not None:
                self._call.pause()
            return
        for encoded in () if self._held is None else self._held.take():
            message = jsonrpc.parse(encoded)
            if isinstance(message, Notification):
                self.notification(message)
        if self._call is not None and not self._is_held:
            self._call.resume()

    def client_gone(self) -> None:
        """Go on, at the server's own pace: no client waits, but the call may do something."""
        self.hold(False)

    def _over(self) -> Caller | None:
        caller, self._caller = self._caller, None
        self._call = None
        self._held = None
        return caller
