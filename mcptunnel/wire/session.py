"""A tunnel session: messages and calls in, messages and events out.

No I/O and no clock. The owner gives `receive` what the link brought and acts on `take_events`; after
any call it sends what `message_to_send` returns, for as long as the transport takes more. Time is an
argument, in seconds of any monotonic clock.
"""

from collections.abc import Callable
from math import inf
from typing import Any

from mcptunnel.model import RequestHead, ResponseHead
from mcptunnel.wire import events
from mcptunnel.wire.acks import Acks
from mcptunnel.wire.codec import encode, shared_decoder
from mcptunnel.wire.constants import ErrorCode, Role
from mcptunnel.wire.errors import GoingAway, LocalProtocolError, RemoteProtocolError
from mcptunnel.wire.exchanges import Exchanges
from mcptunnel.wire.fields import fitted
from mcptunnel.wire.flight import Flight
from mcptunnel.wire.floods import Floods, flood
from mcptunnel.wire.frames import (
    UNNUMBERED,
    Ack,
    Frame,
    Goaway,
    Hello,
    Ping,
    Pong,
    Unknown,
    Welcome,
)
from mcptunnel.wire.heartbeat import Beat, Heartbeat
from mcptunnel.wire.lifecycle import SessionState, SessionStep, after
from mcptunnel.wire.replay import ReplayBuffer
from mcptunnel.wire.scheduler import Scheduler
from mcptunnel.wire.settings import Limits, Settings

_MANY_EVENTS = 16
"""With more from one message, DATA is joined: each event costs far more than its bytes."""


class Session:
    """One side of a tunnel session, from the end of the first greeting on.

    `state` is where it stands, `going_away` the last GOAWAY of the peer, if any. The limits of the first
    greeting hold for the whole session.
    """

    def __init__(self, role: Role, settings: Settings, peer_limits: Limits, now_s: float) -> None:
        self.state = SessionState.OPEN
        self.going_away: Goaway | None = None
        self.role = role
        self.settings = settings
        self._floods = Floods(now_s)
        self._peer_received_count = 0
        self._events: list[events.Event] = []
        self._decoder = shared_decoder(settings.max_message_bytes)
        self._scheduler = Scheduler(settings)
        self._heartbeat = Heartbeat(role, settings, now_s)
        self._acks = Acks()
        self._replay = ReplayBuffer(settings.replay_bytes)
        self._flight = Flight(settings.replay_bytes)
        self._exchanges = Exchanges(
            role, settings, peer_limits, self._scheduler, self._floods, self._emit
        )
        self._steps: dict[type[Any], Callable[[Any], None]] = {
            **self._exchanges.steps,
            Hello: self._on_late_greeting,
            Welcome: self._on_late_greeting,
            Ping: self._on_ping,
            Pong: self._on_pong,
            Ack: self._on_ack,
            Goaway: self._on_goaway,
            Unknown: self._on_unknown,
        }

    # The session itself.

    def suspend(self) -> None:
        """Note that the link is gone: all stays open and waits for `resume`. No-op without a link."""
        if self._advance(SessionStep.SUSPEND):
            self._scheduler.clear_link()

    def resume(self, peer_received_count: int, now_s: float) -> None:
        """Go on over a new link. The greeting told how many of our numbered frames the peer has.

        Raises RemoteProtocolError as `receive` does if that number cannot be true, LocalProtocolError
        unless the session is suspended.
        """
        if not self._advance(SessionStep.RESUME):
            raise LocalProtocolError(f"{self.state.value} sessions cannot be resumed")
        self._floods.now_s = now_s
        self._heartbeat.renew(now_s)
        self._acks.resumed()
        self._flight.renew()
        try:
            self._replay.resume_after(peer_received_count)
        except RemoteProtocolError as error:
            self._break_off(error)
            raise

    @property
    def received_count(self) -> int:
        """How many numbered frames of the peer came; the greeting of a resume tells it."""
        return self._acks.received_count

    def goaway(self, code: ErrorCode, text: str = "", retry_after_s: float = 0.0) -> None:
        """Take no new streams from now on, of either side; those that are open run on.

        May be called again, with another code. No-op on a closed session.
        """
        if self.state is not SessionState.CLOSED:
            self._exchanges.refusing = True
            self._put_goaway(code, text, retry_after_s)

    def goodbye(self, code: ErrorCode, text: str = "", retry_after_s: float = 0.0) -> None:
        """Queue the last GOAWAY; there will be no resume. `lost` follows when it was sent.

        Nothing waits for an ACK any more, and the GOAWAY does not wait for what was to be sent again, nor
        for a queue that does not fit into its message: there may be no other.
        """
        if (
            self._replay.is_replaying
            or 2 * self._scheduler.control_bytes > self.settings.message_bytes
        ):
            self._scheduler.clear()
        self.goaway(code, text, retry_after_s)
        self._replay.clear()
        self._flight.renew()

    def lost(self) -> None:
        """Close the session: its link is gone for good. Every open stream is lost. Idempotent."""
        self._scheduler.clear()
        self._close()

    def tick(self, now_s: float) -> None:
        """Do what `next_tick_s` was waiting for: queue PING or ACK, or report `PeerSilent`."""
        if self.state is not SessionState.OPEN:
            return
        self._floods.now_s = now_s
        self._acks.tick(now_s)
        beat = self._heartbeat.tick(now_s)
        if beat in {Beat.SILENT, Beat.DEAF}:
            self._emit(events.PeerSilent(deaf=beat is Beat.DEAF))
        elif beat is Beat.PING:
            self._scheduler.put_link(encode(Ping(self._heartbeat.token)))

    @property
    def next_tick_s(self) -> float:
        """When `tick` is due, if nothing is received before; inf for never."""
        if self.state is not SessionState.OPEN:
            return inf
        return min(self._heartbeat.next_tick_s, self._acks.due_s)

    @property
    def ack_due_s(self) -> float:
        """When `tick` is due for an ACK. Of the things that it waits for only this can come nearer."""
        return self._acks.due_s

    @property
    def round_trip_s(self) -> float | None:
        """The time from the last PING that was answered to its PONG, as told by the clock of `now_s`.

        Known from about one round trip after the beginning of the first link.
        """
        return self._heartbeat.round_trip_s

    @property
    def taken_s(self) -> float:
        """When the peer last acknowledged something new; -inf if it never did."""
        return self._heartbeat.taken_s

    # Streams.

    def open(self, head: RequestHead) -> int:
        """Open a stream and return its id.

        Raises GoingAway if the session takes no new streams, TooManyStreams if the peer accepts no
        more for now, LocalProtocolError if the head cannot be sent.
        """
        if not self.takes_streams:
            raise GoingAway("the session takes no new streams")
        return self._exchanges.open(head)

    def send_head(self, stream_id: int, head: ResponseHead) -> None:
        """Answer a stream of the peer. Like all `send_…`: no-op on a stream that is gone.

        Raises LocalProtocolError out of order, for an id never opened, for a head that cannot be sent.
        """
        self._exchanges.send_head(stream_id, head)

    def send_data(self, stream_id: int, data: bytes) -> None:
        """Queue bytes of a body, any number; see `unsent_bytes` and `StreamDrained`.

        Raises LocalProtocolError out of order and for an id never opened.
        """
        self._exchanges.send_data(stream_id, data)

    def send_end(self, stream_id: int) -> None:
        """Complete our body. Raises LocalProtocolError out of order and for an id never opened."""
        self._exchanges.send_end(stream_id)

    def reset(self, stream_id: int, code: ErrorCode, text: str = "") -> None:
        """Drop a stream, unsent bytes included. No event follows. No-op on one that is gone."""
        self._exchanges.reset(stream_id, code, text)

    def consumed(self, stream_id: int, count_bytes: int) -> None:
        """Tell that a consumer took bytes of `DataReceived`. No-op on a stream that is gone.

        Raises LocalProtocolError for more bytes than were received.
        """
        self._exchanges.consumed(stream_id, count_bytes)

    def unsent_bytes(self, stream_id: int) -> int:
        """Return how many bytes of `send_data` were not handed out yet; 0 if the stream is gone."""
        return self._exchanges.unsent_bytes(stream_id)

    @property
    def takes_streams(self) -> bool:
        """Whether new streams can be opened: neither side is going away."""
        return (
            self.state is not SessionState.CLOSED
            and self.going_away is None
            and not self._exchanges.refusing
        )

    @property
    def stream_count(self) -> int:
        return len(self._exchanges.table)

    @property
    def is_settled(self) -> bool:
        """Whether no stream is open, and the peer has said that it received all we sent."""
        return not self.stream_count and self._replay.is_empty

    # In and out.

    def receive(self, message: bytes, now_s: float) -> None:
        """Take one WebSocket message. Ignored unless the session is open.

        Raises RemoteProtocolError if the peer broke the protocol. The session is then closed, its
        streams are lost, and a GOAWAY with the code is to be sent.
        """
        if self.state is not SessionState.OPEN:
            return
        self._floods.now_s = now_s
        self._heartbeat.heard(now_s)
        self._exchanges.short_data.clear()
        steps = self._steps
        numbered_count = 0
        try:
            for frame in self._decoder.decode(message):
                frame_class = type(frame)
                steps[frame_class](frame)
                if frame_class not in UNNUMBERED:
                    numbered_count += 1
            if self._scheduler.is_overfull:
                raise flood("too many frames have to be answered and none is taken")
        except RemoteProtocolError as error:
            self._break_off(error)
            raise
        if len(self._events) > _MANY_EVENTS:
            self._events = events.with_data_joined(self._events)
        if numbered_count:
            self._acks.received(numbered_count, len(message), now_s)

    def message_to_send(self, now_s: float | None = None) -> bytes | None:
        """Return the next WebSocket message, or None if there is nothing that may be sent now.

        Without `now_s` it is still as late as it was at the last `receive`.
        """
        if self.state is SessionState.SUSPENDED:
            return None
        if now_s is None:
            now_s = self._floods.now_s
        scheduler, replay = self._scheduler, self._replay
        if self._acks.is_due:
            scheduler.put_link(encode(self._acks.take()))
        if replay.blocks:
            return scheduler.link_message() or replay.next_again()
        made = scheduler.next_message(with_bulk=not self._flight.is_full)
        if made is None:
            return None
        message, link_bytes, outboxes = made
        if len(message) > link_bytes:
            numbered = message[link_bytes:] if link_bytes else message
            replay.append(numbered, scheduler.numbered_count)
            self._flight.sent(scheduler.numbered_count, len(numbered), now_s)
        if outboxes:
            self._exchanges.handed_out(outboxes)
        return message

    def take_events(self) -> list[events.Event]:
        """Return what happened since the last call, in order."""
        taken, self._events = self._events, []
        return taken

    # Frames about the session.

    def _on_goaway(self, frame: Goaway) -> None:
        self._floods.question()
        self.going_away = frame
        self._emit(
            events.PeerGoingAway(frame.last_stream_id, frame.code, frame.text, frame.retry_after_s)
        )
        self._exchanges.lose_above(frame.last_stream_id)

    def _on_ping(self, frame: Ping) -> None:
        self._floods.question()
        self._scheduler.put_link(encode(Pong(frame.token)))
        if self._heartbeat.asked(self._floods.now_s):
            self._scheduler.put_link(encode(Ping(self._heartbeat.token)))

    def _on_pong(self, frame: Pong) -> None:
        self._floods.idle()
        self._heartbeat.pong(frame.token, self._floods.now_s)

    def _on_ack(self, frame: Ack) -> None:
        self._floods.idle()
        self._replay.acked(frame.received_count)
        if frame.received_count > self._peer_received_count:
            self._peer_received_count = frame.received_count
            self._heartbeat.taking(self._floods.now_s)
        self._flight.acked(frame.received_count, self._floods.now_s)

    def _on_late_greeting(self, frame: Frame) -> None:
        name = type(frame).__name__.upper()
        raise RemoteProtocolError(ErrorCode.PROTOCOL_ERROR, f"{name} out of order")

    def _on_unknown(self, frame: Unknown) -> None:
        """Pass over an optional frame of a type that we do not know."""
        self._floods.idle()

    def _put_goaway(self, code: ErrorCode, text: str, retry_after_s: float) -> None:
        last_stream_id = self._exchanges.table.highest_peer_id
        frame = Goaway(last_stream_id, code, fitted(text), retry_after_s)
        self._scheduler.put_control(encode(frame))

    def _advance(self, step: SessionStep) -> bool:
        """Take a step in the life of the session; return whether it is allowed."""
        state = after(self.state, step)
        if state is None:
            return False
        self.state = state
        return True

    def _break_off(self, error: RemoteProtocolError) -> None:
        self._scheduler.clear()
        self._acks.resumed()  # nothing but the GOAWAY is said
        self._put_goaway(error.code, error.text, 0.0)
        self._close()

    def _close(self) -> None:
        self._advance(SessionStep.CLOSE)
        self._exchanges.lose_all(self._replay.handed_count)
        self._replay.clear()

    def _emit(self, event: events.Event) -> None:
        self._events.append(event)
