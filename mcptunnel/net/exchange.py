"""Exchanges: what the floors above do with a stream.

An exchange is one request and its response. The opener passes its receiver to `Tunnel.open`; the
acceptor is given an `Exchange` and sets a receiver on it. Receivers are called in the reactor's
thread and must return soon.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcptunnel.model import Outcome, RequestHead, ResponseHead
from mcptunnel.wire.constants import ErrorCode

if TYPE_CHECKING:
    from mcptunnel.net.tunnel import Tunnel


@dataclass(frozen=True, slots=True)
class ExchangeFailure:
    """Why an exchange ended without its END.

    `code` is what the peer said when it dropped the exchange, or None if the tunnel was lost or the
    peer never looked at it. `text` is for people, and may be empty.
    """

    code: ErrorCode | None
    text: str
    outcome: Outcome


class ExchangeReceiver:
    """Whoever takes what the peer sends on an exchange; override what matters.

    An exception out of any of these is logged and drops the exchange, with `failed`.
    """

    def head_received(self, head: ResponseHead) -> None:
        """Take the response's head: only at the opener, once, before any data."""

    def data_received(self, data: bytes) -> None:
        """Take bytes; call `Exchange.consumed` once they are out of memory."""

    def ended(self) -> None:
        """The peer's body is complete."""

    def failed(self, failure: ExchangeFailure) -> None:
        """The exchange is over; nothing follows and nothing can be sent any more."""

    def drained(self) -> None:
        """What was written has left: the writer may go on."""

    def going_away(self) -> None:
        """One of the two sides is going away: end what could go on for ever; calls run on."""


_NOBODY = ExchangeReceiver()


class Exchange:
    """One end of one stream. Methods on an exchange that is over do nothing.

    An exchange that is over lets go of its receiver, which mostly holds the exchange: what they keep
    is freed at once, and not only when the garbage is looked for.
    """

    __slots__ = ("_peer_ended", "_tunnel", "_we_ended", "receiver", "request", "stream_id")

    def __init__(
        self, tunnel: "Tunnel", stream_id: int, request: RequestHead, receiver: ExchangeReceiver
    ) -> None:
        self._tunnel = tunnel
        self.stream_id = stream_id
        self.request = request
        self.receiver = receiver
        self._we_ended = self._peer_ended = False

    @property
    def unsent_bytes(self) -> int:
        """How many bytes wait to be sent."""
        return self._tunnel.session.unsent_bytes(self.stream_id)

    @property
    def is_held(self) -> bool:
        """Whether all waits for the tunnel's next link."""
        return self._tunnel.is_suspended

    def send_head(self, head: ResponseHead) -> None:
        """Send the response's head; the acceptor does so once, before any data."""
        self._tunnel.session.send_head(self.stream_id, head)
        self._tunnel.flush_soon()

    def write(self, data: bytes) -> int:
        """Queue bytes; return how many wait to be sent, so that a writer can pause itself."""
        session = self._tunnel.session
        session.send_data(self.stream_id, data)
        self._tunnel.flush_soon()
        return session.unsent_bytes(self.stream_id)

    def end(self) -> None:
        """Say that our body is complete."""
        self._tunnel.session.send_end(self.stream_id)
        self._tunnel.flush_soon()
        self._we_ended = True
        if self._peer_ended:
            self._over()

    def consumed(self, count_bytes: int) -> None:
        """Return credit for bytes that were received."""
        self._tunnel.session.consumed(self.stream_id, count_bytes)
        self._tunnel.flush_soon()

    def reset(self, code: ErrorCode, text: str = "") -> None:
        """Drop the exchange; the receiver hears nothing any more."""
        self._over()
        self._tunnel.session.reset(self.stream_id, code, text)
        self._tunnel.flush_soon()

    def peer_ended(self) -> None:
        """Note the peer's END (called by the tunnel)."""
        self._peer_ended = True
        self.receiver.ended()
        if self._we_ended:
            self._over()

    def failed(self, failure: ExchangeFailure) -> None:
        """Note that the exchange is over (called by the tunnel)."""
        receiver, self.receiver = self.receiver, _NOBODY
        receiver.failed(failure)

    def _over(self) -> None:
        self._tunnel.forget(self)
        self.receiver = _NOBODY
