"""A tunnel: one `wire.Session` on one link, with the reactor's time, for the programs above.

Everything that is written during a reactor turn leaves in as few messages as possible at the start
of the next one; nothing is written while the transport's buffer is full. A mistake of a receiver
costs its own stream and no other.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mcptunnel.config.tunnel import TunnelConfig
from mcptunnel.model import Outcome, RequestHead
from mcptunnel.net.exchange import Exchange, ExchangeFailure, ExchangeReceiver
from mcptunnel.net.link import Link, LinkLost
from mcptunnel.wire import events
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.errors import RemoteProtocolError
from mcptunnel.wire.frames import Hello, Welcome
from mcptunnel.wire.lifecycle import SessionState
from mcptunnel.wire.session import Session
from mcptunnel.wire.settings import Settings

CLOSE_NORMAL = 1000
CLOSE_PROTOCOL_ERROR = 1002


def settings_of(config: TunnelConfig) -> Settings:
    """Return the session settings that a configuration asks for."""
    return Settings(
        window_bytes=config.window_bytes,
        max_streams=config.max_streams,
        ping_after_s=config.ping_after_s,
        dead_after_s=config.dead_after_s,
    )


class TunnelOwner(Protocol):
    """The program at one end of a tunnel.

    An exception out of `exchange_opened` is logged and drops that exchange; out of any other it is
    logged and ends the tunnel.
    """

    def link_made(self, tunnel: "Tunnel") -> None:
        """The link is up; the agent says HELLO now."""

    def peer_hello(self, tunnel: "Tunnel", hello: Hello) -> None:
        """An agent introduced itself; the relay answers with `Tunnel.welcome` or `Tunnel.close`."""

    def peer_welcome(self, tunnel: "Tunnel", welcome: Welcome) -> None:
        """The relay took us in."""

    def exchange_opened(self, exchange: Exchange) -> None:
        """The peer opened an exchange; set its receiver."""

    def peer_going_away(self, tunnel: "Tunnel", notice: events.PeerGoingAway) -> None:
        """The peer takes no new exchanges."""

    def tunnel_lost(self, tunnel: "Tunnel", reason: LinkLost) -> None:
        """The tunnel is over; every exchange has failed already. Comes once."""


class Tunnel:
    """Runs a session over a link. It is the link's receiver (`net.link.LinkReceiver`)."""

    _log = Logger()

    def __init__(self, reactor: IReactorTime, session: Session, owner: TunnelOwner) -> None:
        self._reactor = reactor
        self.session = session
        self._owner = owner
        self._link: Link | None = None
        self._paused = False
        self._over = False
        self._flush_call: IDelayedCall | None = None
        self._tick_call: IDelayedCall | None = None
        self._exchanges: dict[int, Exchange] = {}
        self._events: deque[events.Event] = deque()
        self._reason: LinkLost | None = None
        self._dispatch: dict[type, Callable[..., None]] = {
            events.DataReceived: self._data_received,
            events.EndReceived: self._end_received,
            events.HeadReceived: self._head_received,
            events.StreamOpened: self._stream_opened,
            events.StreamReset: self._stream_reset,
            events.StreamLost: self._stream_lost,
            events.StreamDrained: self._stream_drained,
            events.PeerHello: self._peer_hello,
            events.PeerWelcome: self._peer_welcome,
            events.PeerGoingAway: lambda event: self._owner.peer_going_away(self, event),
            events.PeerSilent: self._peer_silent,
        }

    @property
    def peer(self) -> str:
        """The peer's address, for logs."""
        return "" if self._link is None else self._link.peer

    @property
    def is_open(self) -> bool:
        """Whether exchanges can be opened now."""
        return (
            not self._over
            and self.session.state is SessionState.OPEN
            and self.session.going_away is None
        )

    # What the programs do.

    def hello(self, hello: Hello) -> None:
        """Introduce ourselves (agent)."""
        self.session.hello(hello)
        self.flush_soon()

    def welcome(self, welcome: Welcome) -> None:
        """Take the agent in (relay)."""
        self.session.welcome(welcome)
        self.flush_soon()

    def open(self, head: RequestHead, receiver: ExchangeReceiver) -> Exchange:
        """Open an exchange. Raises `wire.errors.GoingAway` and `wire.errors.TooManyStreams`."""
        exchange = Exchange(self, self.session.open(head), head, receiver)
        self._exchanges[exchange.stream_id] = exchange
        self.flush_soon()
        return exchange

    def go_away(self, code: ErrorCode, text: str = "", retry_after_s: float = 0.0) -> None:
        """Take no new exchanges and tell the peer; open ones run on."""
        self.session.goaway(code, text, retry_after_s)
        self.flush_soon()

    def close(self, code: ErrorCode, text: str = "", retry_after_s: float = 0.0) -> None:
        """Tell the peer why and close the link; open exchanges fail."""
        if self._over:
            return
        self.session.goaway(code, text, retry_after_s)
        self._finish(LinkLost(clean=True, code=CLOSE_NORMAL, text=text), CLOSE_NORMAL)

    def flush_soon(self) -> None:
        """Send what waits, at the start of the next reactor turn."""
        if self._flush_call is None and not self._over:
            self._flush_call = self._reactor.callLater(0, self._flush_turn)

    def forget(self, exchange: Exchange) -> None:
        """Hear nothing more of an exchange."""
        self._exchanges.pop(exchange.stream_id, None)

    @property
    def exchange_count(self) -> int:
        """How many exchanges are open."""
        return len(self._exchanges)

    # What the link tells us.

    def link_made(self, link: Link) -> None:
        self._link = link
        self._arm_tick()
        self._owner.link_made(self)

    def message_received(self, message: bytes) -> None:
        if self._over:
            return
        try:
            self.session.receive(message, self._reactor.seconds())
        except RemoteProtocolError as error:
            self._log.warn(
                "tunnel with {peer}: the peer broke the protocol: {error}",
                peer=self.peer,
                error=str(error),
            )
            self._finish(
                LinkLost(clean=False, code=CLOSE_PROTOCOL_ERROR, text=str(error)),
                CLOSE_PROTOCOL_ERROR,
            )
            return
        self._perform()
        self.flush_soon()

    def link_paused(self) -> None:
        self._paused = True

    def link_resumed(self) -> None:
        self._paused = False
        self._flush()

    def link_lost(self, reason: LinkLost) -> None:
        self._link = None
        self._finish(reason, None)

    # The machinery.

    def _flush_turn(self) -> None:
        self._flush_call = None
        self._flush()

    def _flush(self) -> None:
        self._send()
        self._perform()

    def _send(self) -> None:
        link = self._link
        while link is not None and not self._paused:
            message = self.session.message_to_send()
            if message is None:
                break
            link.send_message(message)
            link = self._link

    def _close_link(self, link: Link, code: int, text: str) -> None:
        """Send what can be sent; the first message, with the GOAWAY, even into a full buffer."""
        message = self.session.message_to_send()
        if message is not None:
            link.send_message(message)
        self._send()
        link.close(code, text[:100])

    def _perform(self) -> None:
        # One queue, because whoever is told may call us: what came first is told first even then.
        pending = self._events
        pending.extend(self.session.take_events())
        while pending:
            event = pending.popleft()
            try:
                self._dispatch[type(event)](event)
            except Exception:  # noqa: BLE001 - the other streams must not suffer from it
                self._log.failure("tunnel with {peer}: internal error", peer=self.peer)
                self._drop_after_mistake(event)

    def _drop_after_mistake(self, event: events.Event) -> None:
        """Drop the stream of an event that somebody could not take; without one, the tunnel."""
        stream_id: int | None = getattr(event, "stream_id", None)
        if stream_id is None:
            self.close(ErrorCode.INTERNAL_ERROR, "internal error")
            return
        self.session.reset(stream_id, ErrorCode.INTERNAL_ERROR, "internal error")
        self.flush_soon()
        failure = ExchangeFailure(ErrorCode.INTERNAL_ERROR, "internal error", Outcome.UNKNOWN)
        try:
            self._fail(stream_id, failure)
        except Exception:  # noqa: BLE001 - the same
            self._log.failure("tunnel with {peer}: internal error", peer=self.peer)

    def _arm_tick(self) -> None:
        delay_s = max(0.0, self.session.next_tick_s - self._reactor.seconds())
        self._tick_call = self._reactor.callLater(delay_s, self._tick)

    def _tick(self) -> None:
        self._tick_call = None
        self.session.tick(self._reactor.seconds())
        self._flush()
        if not self._over:
            self._arm_tick()

    def _finish(self, reason: LinkLost, close_code: int | None) -> None:
        if self._over:
            return
        self._over = True
        for call in (self._flush_call, self._tick_call):
            if call is not None:
                call.cancel()
        self._flush_call = self._tick_call = None
        self._reason = reason
        if self._link is not None and close_code is not None:
            self._close_link(self._link, close_code, reason.text)
        self._link = None
        self.session.lost()
        self._perform()
        try:
            self._owner.tunnel_lost(self, reason)
        except Exception:  # noqa: BLE001 - whoever closed the tunnel has other things to do
            self._log.failure("tunnel with {peer}: internal error", peer=self.peer)

    # Events of the session. Greetings before a protocol error in the same message count for nothing.

    def _peer_hello(self, event: events.PeerHello) -> None:
        if not self._over:
            self._owner.peer_hello(self, event.hello)

    def _peer_welcome(self, event: events.PeerWelcome) -> None:
        if not self._over:
            self._owner.peer_welcome(self, event.welcome)

    def _data_received(self, event: events.DataReceived) -> None:
        exchange = self._exchanges.get(event.stream_id)
        if exchange is not None:
            exchange.receiver.data_received(event.data)

    def _end_received(self, event: events.EndReceived) -> None:
        exchange = self._exchanges.get(event.stream_id)
        if exchange is not None:
            exchange.peer_ended()

    def _head_received(self, event: events.HeadReceived) -> None:
        exchange = self._exchanges.get(event.stream_id)
        if exchange is not None:
            exchange.receiver.head_received(event.head)

    def _stream_opened(self, event: events.StreamOpened) -> None:
        exchange = Exchange(self, event.stream_id, event.head, ExchangeReceiver())
        self._exchanges[event.stream_id] = exchange
        self._owner.exchange_opened(exchange)

    def _stream_reset(self, event: events.StreamReset) -> None:
        outcome = (
            Outcome.NOT_DELIVERED if event.code is ErrorCode.REFUSED_STREAM else Outcome.UNKNOWN
        )
        self._fail(event.stream_id, ExchangeFailure(event.code, event.text, outcome))

    def _stream_lost(self, event: events.StreamLost) -> None:
        why = self._reason or self.session.going_away
        text = "" if why is None else why.text
        self._fail(event.stream_id, ExchangeFailure(None, text, event.outcome))

    def _stream_drained(self, event: events.StreamDrained) -> None:
        exchange = self._exchanges.get(event.stream_id)
        if exchange is not None:
            exchange.receiver.drained()

    def _peer_silent(self, _event: events.PeerSilent) -> None:
        link = self._link
        self._finish(LinkLost(clean=False, code=None, text="the peer fell silent"), None)
        if link is not None:
            link.abort()

    def _fail(self, stream_id: int, failure: ExchangeFailure) -> None:
        exchange = self._exchanges.pop(stream_id, None)
        if exchange is not None:
            exchange.failed(failure)
