"""A tunnel session: messages and calls in, messages and events out.

No I/O and no clock. The owner gives `receive` what the link brought and acts on `take_events`; after
any call it sends what `message_to_send` returns, for as long as the transport takes more. Time is an
argument, in seconds of any monotonic clock.
"""

from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any

from mcptunnel.model import RequestHead, ResponseHead
from mcptunnel.wire import events
from mcptunnel.wire.codec import Decoder, encode
from mcptunnel.wire.constants import PROTOCOL_VERSION, ErrorCode, Role
from mcptunnel.wire.errors import GoingAway, LocalProtocolError, RemoteProtocolError
from mcptunnel.wire.exchanges import Exchanges
from mcptunnel.wire.fields import fitted
from mcptunnel.wire.frames import (
    FRAME_CLASSES,
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
from mcptunnel.wire.scheduler import Scheduler
from mcptunnel.wire.settings import Limits, Settings


class Session:
    """One side of a tunnel session.

    `state` is where it stands, `going_away` the last GOAWAY of the peer, if any.
    """

    def __init__(self, role: Role, settings: Settings, now_s: float) -> None:
        self.state = SessionState.OPENING
        self.going_away: Goaway | None = None
        self._role = role
        self._settings = settings
        self._now_s = now_s
        self._events: list[events.Event] = []
        self._decoder = Decoder(settings.max_message_bytes)
        self._scheduler = Scheduler(settings)
        self._heartbeat = Heartbeat(settings, now_s)
        self._exchanges = Exchanges(role, settings, self._scheduler, self._emit)
        self._steps = self._greeting_steps()

    def _greeting_steps(self) -> dict[type[Any], Callable[[Any], None]]:
        return {
            **dict.fromkeys(FRAME_CLASSES, self._on_frame_too_early),
            Hello: self._on_hello,
            Welcome: self._on_welcome,
            Goaway: self._on_goaway,
        }

    def _open_steps(self) -> dict[type[Any], Callable[[Any], None]]:
        return {
            **self._greeting_steps(),
            **self._exchanges.steps,
            Ping: self._on_ping,
            Pong: self._on_pong,
            Ack: self._on_frame_of_no_effect,
            Unknown: self._on_frame_of_no_effect,
        }

    # The session itself.

    def hello(self, hello: Hello) -> None:
        """Introduce ourselves; the first call on an agent. Versions and limits are filled in.

        Raises LocalProtocolError on a relay, and the second time.
        """
        if self._role is not Role.AGENT:
            raise LocalProtocolError("HELLO is for the agent to send")
        own = replace(hello, versions=(PROTOCOL_VERSION,), limits=self._settings.limits)
        self._send_greeting(own, SessionStep.HELLO)

    def welcome(self, welcome: Welcome) -> None:
        """Answer `PeerHello`; the session is then open. Version and limits are filled in.

        Raises LocalProtocolError on an agent, before `PeerHello`, and the second time.
        """
        if self._role is not Role.RELAY:
            raise LocalProtocolError("WELCOME is for the relay to send")
        own = replace(welcome, version=PROTOCOL_VERSION, limits=self._settings.limits)
        self._send_greeting(own, SessionStep.WELCOME)

    def _send_greeting(self, frame: Hello | Welcome, step: SessionStep) -> None:
        encoded = encode(frame)
        if not self._advance(step):
            raise LocalProtocolError(f"{step.value} cannot be sent: {self.state.value}")
        self._scheduler.put_link(encoded)

    def goaway(self, code: ErrorCode, text: str = "", retry_after_s: float = 0.0) -> None:
        """Take no new streams from now on, of either side; those that are open run on.

        May be called again, with another code. No-op on a closed session.
        """
        if self.state is not SessionState.CLOSED:
            self._exchanges.refusing = True
            self._put_goaway(code, text, retry_after_s)

    def lost(self) -> None:
        """Close the session: its link is gone for good. Every open stream is lost. Idempotent."""
        self._scheduler.clear()
        self._close()

    def tick(self, now_s: float) -> None:
        """Do what `next_tick_s` was waiting for: queue a PING, or report `PeerSilent`."""
        if self.state is SessionState.CLOSED:
            return
        beat = self._heartbeat.tick(now_s)
        if beat is Beat.SILENT:
            self._emit(events.PeerSilent())
        elif beat is Beat.PING and self.state is SessionState.OPEN:
            self._scheduler.put_link(encode(Ping(self._heartbeat.token)))

    @property
    def next_tick_s(self) -> float:
        """When `tick` is due, if nothing is received before; inf for never."""
        return inf if self.state is SessionState.CLOSED else self._heartbeat.next_tick_s

    @property
    def round_trip_s(self) -> float | None:
        """The round-trip time of the last PING that was answered."""
        return self._heartbeat.round_trip_s

    # Streams.

    def open(self, head: RequestHead) -> int:
        """Open a stream and return its id.

        Raises GoingAway if the session takes no new streams, TooManyStreams if the peer accepts no
        more for now, LocalProtocolError before the session is open or if the head cannot be sent.
        """
        if (
            self.state is SessionState.CLOSED
            or self.going_away is not None
            or self._exchanges.refusing
        ):
            raise GoingAway("the session takes no new streams")
        if self.state is not SessionState.OPEN:
            raise LocalProtocolError(f"OPEN cannot be sent: {self.state.value}")
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
    def stream_count(self) -> int:
        return len(self._exchanges.table)

    # In and out.

    def receive(self, message: bytes, now_s: float) -> None:
        """Take one WebSocket message. Ignored once the session is closed.

        Raises RemoteProtocolError if the peer broke the protocol. The session is then closed, its
        streams are lost, and a GOAWAY with the code is to be sent.
        """
        if self.state is SessionState.CLOSED:
            return
        self._now_s = now_s
        self._heartbeat.heard(now_s)
        try:
            for frame in self._decoder.decode(message):
                self._steps[type(frame)](frame)
        except RemoteProtocolError as error:
            self._scheduler.clear()
            self._put_goaway(error.code, error.text, 0.0)
            self._close()
            raise

    def message_to_send(self) -> bytes | None:
        """Return the next WebSocket message, or None if there is nothing that may be sent now."""
        made = self._scheduler.next_message()
        if made is None:
            return None
        message, outboxes = made
        if outboxes:
            self._exchanges.handed_out(outboxes)
        return message

    def take_events(self) -> list[events.Event]:
        """Return what happened since the last call, in order."""
        taken, self._events = self._events, []
        return taken

    # Frames about the session.

    def _on_hello(self, frame: Hello) -> None:
        self._be_greeted(Role.RELAY, SessionStep.HELLO, frame.limits, frame.versions)
        self._emit(events.PeerHello(frame))

    def _on_welcome(self, frame: Welcome) -> None:
        self._be_greeted(Role.AGENT, SessionStep.WELCOME, frame.limits, (frame.version,))
        self._emit(events.PeerWelcome(frame))

    def _be_greeted(
        self, receiver: Role, step: SessionStep, limits: Limits, versions: tuple[int, ...]
    ) -> None:
        if self._role is not receiver or not self._advance(step):
            raise RemoteProtocolError(ErrorCode.PROTOCOL_ERROR, f"{step.value} out of order")
        if PROTOCOL_VERSION not in versions:
            raise RemoteProtocolError(
                ErrorCode.UNSUPPORTED_VERSION, f"only version {PROTOCOL_VERSION} is spoken here"
            )
        self._exchanges.peer_limits = limits

    def _on_goaway(self, frame: Goaway) -> None:
        self.going_away = frame
        self._emit(
            events.PeerGoingAway(frame.last_stream_id, frame.code, frame.text, frame.retry_after_s)
        )
        self._exchanges.lose_above(frame.last_stream_id)

    def _on_ping(self, frame: Ping) -> None:
        self._scheduler.put_link(encode(Pong(frame.token)))

    def _on_pong(self, frame: Pong) -> None:
        self._heartbeat.pong(frame.token, self._now_s)

    def _on_frame_too_early(self, frame: Frame) -> None:
        raise RemoteProtocolError(
            ErrorCode.PROTOCOL_ERROR, f"{type(frame).__name__.upper()} before HELLO and WELCOME"
        )

    def _on_frame_of_no_effect(self, frame: Frame) -> None:
        """Pass over ACK, which has a meaning only with resume, and optional frames of unknown type."""

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
        if state is SessionState.OPEN:
            self._steps = self._open_steps()
        return True

    def _close(self) -> None:
        self._advance(SessionStep.CLOSE)
        self._exchanges.lose_all()

    def _emit(self, event: events.Event) -> None:
        self._events.append(event)
