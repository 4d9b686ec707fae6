"""A tunnel: one `wire.Session` over one link after the other, for the programs above.

Without a link it is suspended: exchanges stay open and what is written waits, until a new link takes
the session up or the time for that is over. Everything that is written during a reactor turn leaves
in as few messages as possible at the start of the next one; nothing is written while the transport's
buffer is full. A mistake of a receiver costs its own stream and no other.
"""

from collections import deque
from collections.abc import Callable
from math import inf

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mcptunnel.config.tunnel import TunnelConfig
from mcptunnel.model import Outcome, RequestHead
from mcptunnel.net.exchange import Exchange, ExchangeFailure, ExchangeReceiver
from mcptunnel.net.exchanges import OpenExchanges
from mcptunnel.net.link import CLOSE_NORMAL, LinkLost
from mcptunnel.net.link_end import CLOSE_PROTOCOL_ERROR, DEAF, SILENT, LinkEnd
from mcptunnel.net.owners import TunnelOwner
from mcptunnel.wire import events
from mcptunnel.wire.constants import ErrorCode, Role
from mcptunnel.wire.errors import RemoteProtocolError
from mcptunnel.wire.session import Session
from mcptunnel.wire.settings import Settings

ORDERLY_CLOSES = (None, CLOSE_NORMAL, 1001)
"""Close codes (RFC 6455, section 7.4.1) that tell of no error: none, normal, going away. Proxies use
them when they restart; a peer that has had enough says GOAWAY before."""


def settings_of(config: TunnelConfig) -> Settings:
    """Return the session settings that a configuration asks for."""
    return Settings(
        window_bytes=config.window_bytes,
        grown_window_bytes=config.grown_window_bytes,
        max_streams=config.max_streams,
        ping_after_s=config.ping_after_s,
        dead_after_s=config.dead_after_s,
        replay_bytes=config.replay_bytes,
        resume_window_s=config.resume_window_s,
        closed_link_window_s=config.closed_link_window_s,
    )


class Tunnel:
    """Runs a session over links."""

    _log = Logger()

    def __init__(self, reactor: IReactorTime, session: Session, owner: TunnelOwner) -> None:
        self._reactor = reactor
        self.session = session
        self._owner = owner
        self._end: LinkEnd | None = None
        self.peer = ""
        self._over = False
        self._flush_call: IDelayedCall | None = None
        self._tick_call: IDelayedCall | None = None
        self._tick_at_s = inf
        self._window_call: IDelayedCall | None = None
        self._exchanges = OpenExchanges(self._reason_text)
        self._events: deque[events.Event] = deque()
        self._reason: LinkLost | None = None
        self._dispatch: dict[type, Callable[..., None]] = {
            **self._exchanges.dispatch,
            events.StreamOpened: self._stream_opened,
            events.PeerGoingAway: self._peer_going_away,
            events.PeerSilent: self._peer_silent,
        }

    @property
    def is_open(self) -> bool:
        """Whether exchanges can be opened now; without a link they wait for the next one."""
        return not self._over and self.session.takes_streams

    @property
    def is_suspended(self) -> bool:
        """Whether there is no link now."""
        return self._end is None and not self._over

    # What the programs do.

    def join(self, end: LinkEnd) -> None:
        """Begin, over the link on which both sides have just greeted each other."""
        end.join(self)
        self._end = end
        self.peer = end.peer
        self._arm_tick()

    def resume(self, end: LinkEnd, peer_received_count: int) -> bool:
        """Go on over another link; the peer told in the greeting how many of our frames it has.

        The link before, if it is still there, is dropped. Returns False if the number cannot be true:
        the peer has been told, and the tunnel is lost.
        """
        self._drop_link()
        self._stop_calls()
        self.session.suspend()
        end.join(self)
        self._end = end
        self.peer = end.peer
        try:
            self.session.resume(peer_received_count, self._reactor.seconds())
        except RemoteProtocolError as error:
            self._broken(error)
            return False
        self._arm_tick()
        self.flush_soon()
        return True

    def lose(self, reason: LinkLost) -> None:
        """Give up a tunnel that nobody will resume; open exchanges fail."""
        self._drop_link()
        self._finish(reason, None)

    def open(self, head: RequestHead, receiver: ExchangeReceiver) -> Exchange:
        """Open an exchange. Raises `wire.errors.GoingAway` and `wire.errors.TooManyStreams`."""
        exchange = Exchange(self, self.session.open(head), head, receiver)
        self._exchanges.add(exchange)
        self.flush_soon()
        return exchange

    def go_away(self, code: ErrorCode, text: str = "", retry_after_s: float = 0.0) -> None:
        """Take no new exchanges and tell the peer; open ones run on."""
        self.session.goaway(code, text, retry_after_s)
        self._tell_exchanges()
        self.flush_soon()

    def close(self, code: ErrorCode, text: str = "", retry_after_s: float = 0.0) -> None:
        """Tell the peer why and close the link, if there is one; open exchanges fail."""
        if self._over:
            return
        self.session.goodbye(code, text, retry_after_s)
        self._finish(LinkLost(clean=True, code=CLOSE_NORMAL, text=text), CLOSE_NORMAL)

    def flush_soon(self) -> None:
        """Send what waits, at the start of the next reactor turn."""
        if self._flush_call is None and self._end is not None:
            self._flush_call = self._reactor.callLater(0, self._flush_turn)

    def forget(self, exchange: Exchange) -> None:
        """Hear nothing more of an exchange."""
        self._exchanges.forget(exchange)

    @property
    def exchange_count(self) -> int:
        """How many exchanges are open."""
        return len(self._exchanges)

    # What the link tells us.

    def message_received(self, message: bytes) -> None:
        if self._over:
            return
        try:
            self.session.receive(message, self._reactor.seconds())
        except RemoteProtocolError as error:
            self._broken(error)
            return
        self._perform()
        if self.session.ack_due_s < self._tick_at_s:
            self._arm_tick()
        self.flush_soon()

    def link_resumed(self) -> None:
        self._flush()

    def link_lost(self, reason: LinkLost) -> None:
        self._end = None
        settings, role = self.session.settings, self.session.role
        if self._is_finished or reason.code not in ORDERLY_CLOSES:
            self._finish(reason, None)
        elif role is Role.RELAY:
            # An agent that still runs is back within a second or two.
            window_s = min(settings.closed_link_window_s, settings.resume_window_s)
            self._suspend(reason, window_s)
        else:
            self._suspend(reason, settings.resume_window_s)

    @property
    def _is_finished(self) -> bool:
        """Whether the peer said goodbye: for good, or until its open exchanges are over, as they are."""
        notice = self.session.going_away
        if notice is None:
            return False
        return notice.code is not ErrorCode.NO_ERROR or self.session.is_settled

    def link_dead(self, why: str) -> None:
        """Give up the link, though nobody closed it."""
        self._drop_link()
        reason = LinkLost(clean=False, code=None, text=why)
        self._suspend(reason, self.session.settings.resume_window_s)

    # The machinery.

    def _flush_turn(self) -> None:
        self._flush_call = None
        self._flush()

    def _flush(self) -> None:
        self._send()
        self._perform()

    def _send(self) -> None:
        end, now_s = self._end, self._reactor.seconds()
        while end is not None and end.link is not None and not end.is_paused:
            message = self.session.message_to_send(now_s)
            if message is None:
                break
            end.link.send_message(message)
            end = self._end

    def _close_link(self, end: LinkEnd, code: int, text: str) -> None:
        """Send what can be sent; the first message, with the GOAWAY, even into a full buffer."""
        message = self.session.message_to_send()
        if message is not None and end.link is not None:
            end.link.send_message(message)
        self._send()
        end.close(code, text)

    def _drop_link(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            end.part()

    def _broken(self, error: RemoteProtocolError) -> None:
        self._log.warn(
            "tunnel with {peer}: the peer broke the protocol: {error}",
            peer=self.peer,
            error=str(error),
        )
        reason = LinkLost(clean=False, code=CLOSE_PROTOCOL_ERROR, text=str(error))
        self._finish(reason, CLOSE_PROTOCOL_ERROR)

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
            self._exchanges.fail(stream_id, failure)
        except Exception:  # noqa: BLE001 - the same
            self._log.failure("tunnel with {peer}: internal error", peer=self.peer)

    def _arm_tick(self) -> None:
        self._tick_at_s = self.session.next_tick_s
        delay_s = max(0.0, self._tick_at_s - self._reactor.seconds())
        if self._tick_call is None:
            self._tick_call = self._reactor.callLater(delay_s, self._tick)
        else:
            self._tick_call.reset(delay_s)

    def _tick(self) -> None:
        self._tick_call = None
        self.session.tick(self._reactor.seconds())
        self._flush()
        if self._end is not None:
            self._arm_tick()

    def _stop_calls(self) -> None:
        for call in (self._flush_call, self._tick_call, self._window_call):
            if call is not None:
                call.cancel()
        self._flush_call = self._tick_call = self._window_call = None

    def _suspend(self, reason: LinkLost, window_s: float) -> None:
        """Wait for another link."""
        if self._over:
            return
        self._stop_calls()
        self.session.suspend()
        if not window_s:
            self._finish(reason, None)
            return
        self._window_call = self._reactor.callLater(window_s, self._window_ended, reason)
        self._tell_owner(lambda: self._owner.tunnel_suspended(self, reason))

    def _window_ended(self, reason: LinkLost) -> None:
        self._window_call = None
        self._finish(reason, None)

    def _finish(self, reason: LinkLost, close_code: int | None) -> None:
        if self._over:
            return
        self._over = True
        self._stop_calls()
        self._reason = reason
        if close_code is not None and self._end is not None:
            self._close_link(self._end, close_code, reason.text)
            self._end = None
        self.session.lost()
        self._perform()
        self._tell_owner(lambda: self._owner.tunnel_lost(self, reason))

    def _reason_text(self) -> str:
        why = self._reason or self.session.going_away
        return "" if why is None else why.text

    def _tell_owner(self, event: Callable[[], None]) -> None:
        try:
            event()
        except Exception:  # noqa: BLE001 - whoever closed the tunnel has other things to do
            self._log.failure("tunnel with {peer}: internal error", peer=self.peer)

    def _tell_exchanges(self) -> None:
        for exchange in self._exchanges.everyone():
            self._tell_owner(exchange.receiver.going_away)

    # Events of the session.

    def _peer_going_away(self, event: events.PeerGoingAway) -> None:
        self._owner.peer_going_away(self, event)
        self._tell_exchanges()

    def _stream_opened(self, event: events.StreamOpened) -> None:
        exchange = Exchange(self, event.stream_id, event.head, ExchangeReceiver())
        self._exchanges.add(exchange)
        self._owner.exchange_opened(exchange)

    def _peer_silent(self, event: events.PeerSilent) -> None:
        self.link_dead(DEAF if event.deaf else SILENT)
