"""A client's call of a tool: to the right device, and back with an honest outcome."""

from datetime import UTC, datetime

import msgspec

from mcptunnel.mcp import jsonrpc, meta
from mcptunnel.mcp.calls import MEANING, CallFailure
from mcptunnel.mcp.jsonrpc import (
    INTERNAL_ERROR,
    JsonRpcError,
    Notification,
    Request,
    Response,
)
from mcptunnel.mcp.meta import OUTCOME, ProgressToken
from mcptunnel.mcp.service import Caller
from mcptunnel.model import Outcome
from mcptunnel.relay.access import Access
from mcptunnel.relay.devices import Device
from mcptunnel.relay.draining import REFUSAL
from mcptunnel.relay.hub.meta_tools import text_result
from mcptunnel.relay.hub.open_calls import OpenCalls
from mcptunnel.relay.hub.server_call import ServerCall

_tokens: msgspec.json.Decoder[ProgressToken | None] = msgspec.json.Decoder(ProgressToken | None)


class ToolCall:
    """One call under way (`mcp.calls.CallReceiver`, `running.Running`).

    It keeps nothing of the request: a call may last for an hour.
    """

    __slots__ = ("_call", "_caller", "_log_level", "_progress_token")

    def __init__(
        self, server: str, caller: Caller, calls: OpenCalls, max_result_bytes: int
    ) -> None:
        self._caller = caller
        self._log_level: str | None = None
        self._progress_token: ProgressToken | None = None
        self._call = ServerCall(server, self, calls, max_result_bytes)

    def start(self, device: Device | None, request: Request, access: Access) -> None:
        """Send the call; a device that is away is said to be so at once."""
        if device is None or not device.is_connected:
            self.call_failed(CallFailure(_away(device), Outcome.NOT_DELIVERED))
            return
        asked = meta.read(request.params)
        self._log_level, self._progress_token = asked.log_level, asked.progress_token
        self._call.send(device, request, principal=str(access.principal), client=access.client)

    def cancel(self, reason: str) -> None:
        self._call.cancel(reason)

    def hold(self, holding: bool) -> None:
        self._call.hold(holding)

    def client_gone(self) -> None:
        self._call.client_gone()

    def notification(self, message: Notification) -> None:
        """Pass on what this call asked for, and nothing else that a server may say."""
        if message.method == "notifications/progress":
            wanted = self._progress_token
            if wanted is not None and _token(message) == wanted:
                self._caller.notification(message)
        elif message.method == "notifications/message" and self._log_level is not None:
            self._caller.notification(message)

    def response(self, message: Response) -> None:
        if message.result is not None:
            self._caller.result(message.result)
        else:
            error = jsonrpc.error_of(message)
            self._caller.error(error or JsonRpcError(INTERNAL_ERROR, "The answer is empty"))

    def call_failed(self, failure: CallFailure) -> None:
        self._caller.result(
            text_result(
                f"{failure.text} {MEANING[failure.outcome]}",
                is_error=True,
                meta={OUTCOME: failure.outcome.value},
            )
        )


def _token(progress: Notification) -> ProgressToken | None:
    try:
        return _tokens.decode(progress.params.get("progressToken", b"null"))
    except msgspec.MsgspecError:
        return None


def _away(device: Device | None) -> str:
    if device is None:
        return "The device of this tool is no longer known."
    if device.is_stopping:
        return f"The device {device.name!r} is going away: its agent is stopping."
    if device.tunnel is not None:
        return REFUSAL
    seen = datetime.fromtimestamp(device.last_seen_s, UTC).isoformat(timespec="seconds")
    return f"The device {device.name!r} is offline; it was last seen at {seen}."
