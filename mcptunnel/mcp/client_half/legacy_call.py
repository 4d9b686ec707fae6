"""A legacy client's request that the service is answering, in the modern dialect."""

from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half import input_required
from mcptunnel.mcp.client_half.answer import Outlet
from mcptunnel.mcp.client_half.call import Call
from mcptunnel.mcp.client_half.dialogue import Dialogue
from mcptunnel.mcp.client_half.http import OK
from mcptunnel.mcp.client_half.kept import SMALL_BYTES
from mcptunnel.mcp.client_half.live import Live
from mcptunnel.mcp.client_half.translate import to_legacy_error, to_legacy_result
from mcptunnel.mcp.eras import http_status
from mcptunnel.mcp.input_required import METHODS
from mcptunnel.mcp.jsonrpc import (
    INTERNAL_ERROR,
    JsonRpcError,
    Message,
    Notification,
    Request,
    Response,
)
from mcptunnel.mcp.meta import LOG_LEVELS
from mcptunnel.mcp.service import Service
from mcptunnel.mcp.versions import Era

_LOG_MESSAGE = "notifications/message"
_NO_CAPABILITIES = b"{}"


class LegacyCall(Call):
    """One request of a session, from the client's POST to its answer (`live.InFlight`).

    If the service asks for input, the client is asked and the request repeated. Only for that is the
    request kept, and not a large one of a client that cannot be asked anything.
    """

    __slots__ = ("_dialogue", "_kept_bytes", "_live", "_method", "_request", "_service")

    era = Era.LEGACY

    def __init__(self, live: Live, request: Request, out: Outlet) -> None:
        super().__init__(request.id, out)
        self._live = live
        self._method = request.method
        self._request: Request | None = None
        self._kept_bytes = 0
        self._service: Service | None = None
        self._dialogue: Dialogue | None = None
        live.calls[request.id] = self

    def start(self, service: Service, request: Request, size_bytes: int) -> None:
        """Ask the service; `request` is the modern one, `size_bytes` what it holds in memory."""
        if request.method in METHODS and self._may_keep(size_bytes):
            self._request, self._service = request, service
        self.run(service.request(request, self))

    def _may_keep(self, size_bytes: int) -> bool:
        if size_bytes <= SMALL_BYTES:
            return True
        session = self._live.session
        if bytes(session.capabilities) == _NO_CAPABILITIES:
            return False
        if not self._live.shared.kept.take(session.asker.principal, size_bytes):
            return False
        self._kept_bytes = size_bytes
        return True

    # What the service says.

    def result(self, result: Raw) -> None:
        if self._out is None:
            self._settle()
            return
        try:
            legacy = to_legacy_result(self._method, result, self._live.session.version)
            if legacy is None:
                self._ask(result)
                return
        except JsonRpcError as error:
            self.error(error)
            return
        if self._dialogue is not None:
            self._dialogue.finish()
        self._respond(OK, Response(self._id, legacy))

    def error(self, error: JsonRpcError) -> None:
        if self._dialogue is not None:
            self._dialogue.withdraw()
        response = error.response(self._id)
        if response.error is not None:
            response = Response(self._id, None, to_legacy_error(self._method, response.error))
        self._respond(http_status(error, Era.LEGACY), response)

    def notification(self, message: Notification) -> None:
        if message.method != _LOG_MESSAGE or self._wants(message):
            super().notification(message)

    def _wants(self, message: Notification) -> bool:
        least, level = self._live.session.log_level, jsonrpc.text(message.params.get("level"))
        if least is None or level not in LOG_LEVELS:
            return False
        return LOG_LEVELS.index(level) >= LOG_LEVELS.index(least)

    # What is asked of the client (`dialogue.Asked`).

    def _ask(self, result: Raw) -> None:
        self._running = None
        asked = input_required.read(self._method, result)
        if self._request is None:
            raise JsonRpcError(
                INTERNAL_ERROR,
                "The server asks for input, but the request was too large to be kept",
            )
        if self._dialogue is None:
            self._dialogue = Dialogue(self, self._live, self._request)
        out = self._out
        self._dialogue.ask(asked, can_be_asked=out is not None and out.takes_events)

    def send(self, message: Message) -> None:
        if self._out is not None and self._out.takes_events:
            self._out.event(jsonrpc.encode(message))

    def retry(self, request: Request) -> None:
        if self._service is not None:
            self.run(self._service.request(request, self))

    # What the client says.

    def cancel(self, reason: str) -> None:
        out, running = self._out, self._running
        self._settle()
        if running is not None:
            running.cancel(reason)
        if out is not None:
            out.drop()

    def client_gone(self) -> None:
        """Go on: a legacy client that leaves does not cancel. But it cannot be asked any more."""
        if self._dialogue is not None and self._dialogue.is_waiting:
            self._settle()
            return
        self._out = None
        if self._running is not None:
            self._running.client_gone()

    def stop(self) -> None:
        if self._dialogue is not None and self._dialogue.is_waiting:
            text = "This program is stopping, so the call cannot wait for input"
            self.error(JsonRpcError(INTERNAL_ERROR, text))

    def _settle(self) -> None:
        if self._is_over:
            return
        super()._settle()
        live = self._live
        if live.calls.get(self._id) is self:
            del live.calls[self._id]
        live.shared.kept.give_back(live.session.asker.principal, self._kept_bytes)
        self._kept_bytes = 0
        dialogue, self._dialogue = self._dialogue, None
        self._request = self._service = None
        if dialogue is not None:
            dialogue.close()
