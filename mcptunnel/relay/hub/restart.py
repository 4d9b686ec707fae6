"""The order to restart servers: an exchange with the agent on its reserved target."""

from collections.abc import Callable
from typing import Final

import msgspec

from mcptunnel.model import ExchangeKind, RequestHead, ResponseHead
from mcptunnel.net.errors import printable
from mcptunnel.net.exchange import Exchange, ExchangeFailure, ExchangeReceiver
from mcptunnel.relay.devices import Device
from mcptunnel.relay.hub.open_calls import OpenCalls
from mcptunnel.relay.hub.server_call import MAX_TOLD_CHARS
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.errors import GoingAway, TooManyStreams

AGENT_TARGET: Final = "@agent"
RESTART_PATH: Final = "/restart"
MAX_ANSWER_BYTES: Final = 64 * 1024
TIMEOUT_S: Final = 30.0
"""Agents answer at once, before the servers are up again."""

_HEADERS = (("content-type", "application/json"),)


class _Answer(msgspec.Struct):
    message: str = ""


class RestartOrder(ExchangeReceiver):
    """Sends the order; `done(ok, text)` is called once with what the agent said.

    After `cancel` nobody is told; the agent may carry the order out all the same.
    """

    patience_s = TIMEOUT_S

    def __init__(self, calls: OpenCalls, done: Callable[[bool, str], None]) -> None:
        self._calls = calls
        self._done = done
        self.was_heard = True
        self.quiet_since_s = 0.0
        self._status = 0
        self._body = b""
        self._exchange: Exchange | None = None

    def send(self, device: Device, server: str | None, principal: str) -> None:
        """Order a restart of one server, or of all (None)."""
        head = RequestHead(
            AGENT_TARGET,
            "POST",
            RESTART_PATH,
            _HEADERS,
            principal=principal,
            kind=ExchangeKind.CONTROL,
        )
        tunnel = device.tunnel
        try:
            if tunnel is None:
                raise GoingAway("it is not connected")
            self._exchange = exchange = tunnel.open(head, self)
        except (GoingAway, TooManyStreams) as error:
            self._done(False, f"The device {device.name!r} cannot be asked: {error}")
            return
        self._calls.watch(self)
        exchange.write(msgspec.json.encode({"server": server}))
        exchange.end()

    def cancel(self, reason: str) -> None:
        """Give up waiting for the answer."""
        exchange, self._exchange = self._exchange, None
        self._calls.over(self)
        if exchange is not None:
            exchange.reset(ErrorCode.CANCEL, reason)

    def timed_out(self) -> None:
        """Give up waiting, and tell (`open_calls.OpenCall`)."""
        self.cancel("no answer")
        self._done(False, f"The agent has not answered for {self.patience_s:g} s.")

    def client_gone(self) -> None:
        """Nothing to do: the answer comes soon or never."""

    def hold(self, holding: bool) -> None:
        """Nothing to do: the answer comes in one piece."""

    def head_received(self, head: ResponseHead) -> None:
        self._status = head.status

    def data_received(self, data: bytes) -> None:
        if self._exchange is not None:
            self._exchange.consumed(len(data))
        self._body = (self._body + data)[:MAX_ANSWER_BYTES]

    def ended(self) -> None:
        self._exchange = None
        self._calls.over(self)
        try:
            message = msgspec.json.decode(self._body, type=_Answer).message
            text = printable(message, MAX_TOLD_CHARS)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            text = ""
        self._done(self._status == 200, text or f"The agent answered {self._status}.")  # noqa: PLR2004

    def failed(self, failure: ExchangeFailure) -> None:
        self._exchange = None
        self._calls.over(self)
        self._done(
            False, f"The agent gave no answer. {printable(failure.text, MAX_TOLD_CHARS)}".rstrip()
        )
