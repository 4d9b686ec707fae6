"""Two joined sessions do whatever they like, over links that are cut, and a plain model says what must
come out."""

from collections import deque
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mcptunnel.model import ResponseHead
from mcptunnel.wire.codec import Decoder
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.errors import TooManyStreams
from mcptunnel.wire.events import (
    DataReceived,
    EndReceived,
    HeadReceived,
    StreamDrained,
    StreamOpened,
    StreamReset,
)
from mcptunnel.wire.frames import Ack, Frame, Goaway, Hello, Ping, Pong, Reset, Welcome
from mcptunnel.wire.settings import Settings
from mcptunnel.wire.streams import HalfState
from tests.wire.pairs import REQUEST, joined

if TYPE_CHECKING:
    from mcptunnel.wire.session import Session

OK = ResponseHead(200)
UNHURRIED: dict[str, Any] = {"ping_after_s": 1e6, "dead_after_s": 2e6, "replay_bytes": 120}
"""Links are lost by cuts alone, and what is kept for a resume is little enough to run full."""


class Way:
    """One direction of a stream, as the model sees it."""

    def __init__(self, *, has_head: bool) -> None:
        self.head_sent = self.head_received = has_head
        self.sent = b""
        self.received = b""
        self.unconsumed = 0
        self.end_sent = False
        self.end_received = False


class TwoSessions(RuleBasedStateMachine):
    """Side 0 is the relay, side 1 the agent; `ways[side, id]` is what that side sends."""

    def __init__(self) -> None:
        super().__init__()
        self.sides: tuple[Session, Session] = joined(
            Settings(
                window_bytes=7, max_streams=3, max_data_bytes=5, message_bytes=40, **UNHURRIED
            ),
            Settings(
                window_bytes=20, max_streams=2, max_data_bytes=9, message_bytes=25, **UNHURRIED
            ),
        )
        self.now_s = 0.0
        self.suspended = False
        # What each side handed out, where it stands on this link, and how much of it arrived.
        self.numbered: tuple[list[Frame], list[Frame]] = ([], [])
        self.handed = [0, 0]
        self.arrived = [0, 0]
        self.links: tuple[deque[bytes], deque[bytes]] = (deque(), deque())
        self.ways: dict[tuple[int, int], Way] = {}
        self.dropped: set[tuple[int, int]] = set()
        self.reset_sent: set[tuple[int, int]] = set()

    def knows(self, side: int, stream_id: int) -> bool:
        opener = 1 - stream_id % 2
        return side == opener or self.ways[opener, stream_id].head_received

    @initialize()
    def begin(self) -> None:
        for side in (0, 1):
            self.open(side)
            self.carry(side, 9, 9)

    @rule(side=st.integers(0, 1))
    def open(self, side: int) -> None:
        try:
            stream_id = self.sides[side].open(REQUEST)
        except TooManyStreams:
            live = self.sides[side]._exchanges.table.live()
            assert sum(stream.ours for stream in live) == 2  # the smaller of both limits
            return
        self.ways[side, stream_id] = Way(has_head=True)
        self.ways[side, stream_id].head_received = False
        self.ways[1 - side, stream_id] = Way(has_head=False)

    @precondition(lambda self: self.ways)
    @rule(data=st.data(), body=st.binary(max_size=90), ending=st.sampled_from([False, False, True]))
    def send(self, data: st.DataObject, body: bytes, ending: bool) -> None:
        usable = [key for key, way in self.ways.items() if self.knows(*key) and not way.end_sent]
        if not usable:
            return
        side, stream_id = data.draw(st.sampled_from(usable))
        way, session = self.ways[side, stream_id], self.sides[side]
        if not way.head_sent:
            session.send_head(stream_id, OK)
            way.head_sent = True
        session.send_data(stream_id, body)
        way.sent += body
        if ending:
            session.send_end(stream_id)
            way.end_sent = True

    @precondition(lambda self: self.ways)
    @rule(data=st.data(), rarely=st.integers(0, 7))
    def reset(self, data: st.DataObject, rarely: int) -> None:
        usable = [key for key in sorted(self.ways) if self.knows(*key)]
        side, stream_id = data.draw(st.sampled_from(usable))
        if rarely == 7:
            self.sides[side].reset(stream_id, ErrorCode.CANCEL)
            self.dropped.add((side, stream_id))

    @precondition(lambda self: self.ways)
    @rule(data=st.data())
    def consume(self, data: st.DataObject) -> None:
        waiting = [key for key, way in self.ways.items() if way.unconsumed]
        if not waiting:
            return
        sender, stream_id = data.draw(st.sampled_from(waiting))
        side, way = 1 - sender, self.ways[sender, stream_id]
        count = data.draw(st.integers(1, way.unconsumed))
        self.sides[side].consumed(stream_id, count)
        way.unconsumed -= count

    @rule(side=st.integers(0, 1), sent=st.integers(0, 9), delivered=st.integers(0, 9))
    def carry(self, side: int, sent: int, delivered: int) -> None:
        self.transmit(side, sent)
        self.deliver(side, delivered)

    @rule(side=st.integers(0, 1))
    def wait(self, side: int) -> None:
        """Let so much time pass that an ACK is due."""
        self.now_s += 1.0
        self.sides[side].tick(self.now_s)

    @precondition(lambda self: not self.suspended)
    @rule(arriving=st.integers(0, 3), other_arriving=st.integers(0, 3))
    def cut(self, arriving: int, other_arriving: int) -> None:
        """Break the link: the first few messages under way still arrive."""
        self.deliver(0, arriving)
        self.deliver(1, other_arriving)
        self.part(0)
        self.part(1)
        self.suspended = True

    def part(self, side: int) -> None:
        self.sides[side].suspend()
        self.links[side].clear()

    @precondition(lambda self: self.suspended)
    @rule(lost_welcomes=st.integers(0, 2), sent=st.integers(0, 3))
    def rejoin(self, lost_welcomes: int = 0, sent: int = 0) -> None:
        """Resume. A WELCOME may be lost, and with it what the relay already said behind it."""
        for _ in range(lost_welcomes):
            self.take_up(0)
            self.transmit(0, sent)
            self.part(0)
        self.take_up(0)
        self.take_up(1)
        self.suspended = False

    def take_up(self, side: int) -> None:
        self.sides[side].resume(self.sides[1 - side].received_count, self.now_s)
        self.handed[side] = self.arrived[side]

    def transmit(self, side: int, count: int) -> None:
        for _ in range(count):
            message = self.sides[side].message_to_send()
            if message is not None:
                for frame in Decoder().decode(message):
                    if not isinstance(frame, Ping | Pong | Ack):
                        self.check_order(side, frame)
                self.links[side].append(message)

    def check_order(self, side: int, frame: Frame) -> None:
        """A numbered frame is the next one, or the same that had its number before."""
        sent, number = self.numbered[side], self.handed[side]
        self.handed[side] += 1
        if number == len(sent):
            self.check_resets(side, frame)
            sent.append(frame)
        assert sent[number] == frame

    def deliver(self, side: int, count: int) -> None:
        for _ in range(min(count, len(self.links[side]))):
            message = self.links[side].popleft()
            frames = [f for f in Decoder().decode(message) if not isinstance(f, Ping | Pong | Ack)]
            first = self.arrived[side]
            self.arrived[side] += len(frames)
            assert self.numbered[side][first : self.arrived[side]] == frames
            self.sides[1 - side].receive(message, self.now_s)
            assert self.sides[1 - side].received_count == self.arrived[side]
        self.observe(0)
        self.observe(1)

    def check_resets(self, side: int, frame: Frame) -> None:
        """After its RESET a side sends nothing more on a stream."""
        assert not isinstance(frame, Hello | Welcome | Ping | Pong | Ack | Goaway)
        key = (side, frame.stream_id)
        assert key not in self.reset_sent
        if isinstance(frame, Reset):
            self.reset_sent.add(key)

    def observe(self, side: int) -> None:
        """Compare what a side is told with what the other did."""
        for event in self.sides[side].take_events():
            assert isinstance(
                event,
                StreamOpened
                | HeadReceived
                | DataReceived
                | EndReceived
                | StreamReset
                | StreamDrained,
            )
            key = (side, event.stream_id)
            assert key not in self.dropped, "no event after a RESET, in either direction"
            way = self.ways[1 - side, event.stream_id]
            match event:
                case StreamOpened() | HeadReceived():
                    assert not way.head_received
                    way.head_received = True
                case DataReceived(data=data):
                    assert way.head_received
                    assert not way.end_received
                    way.received += data
                    way.unconsumed += len(data)
                    assert way.sent.startswith(way.received)
                case EndReceived():
                    assert not way.end_received, "END arrives once"
                    assert way.end_sent
                    assert way.received == way.sent
                    way.end_received = True
                case StreamReset():
                    self.dropped.add(key)
                    assert (1 - side, event.stream_id) in self.dropped

    @invariant()
    def memory_is_bounded(self) -> None:
        """A side holds at most one window of unconsumed bytes per stream."""
        for (side, _), way in self.ways.items():
            assert way.unconsumed <= (20, 7)[side]

    @invariant()
    def credit_is_conserved(self) -> None:
        """When nothing is under way, the sender's credit is what the receiver still allows."""
        lengths = [len(frames) for frames in self.numbered]
        if lengths != self.arrived or any(s._scheduler._control for s in self.sides):
            return
        for (side, stream_id), way in self.ways.items():
            sender = self.sides[side]._exchanges.table.get(stream_id)
            receiver = self.sides[1 - side]._exchanges.table.get(stream_id)
            if sender and receiver and receiver.receiving is not HalfState.ENDED:
                assert sender.outbox.window.credit_bytes == receiver.window.credit_bytes
                assert way.unconsumed == receiver.window.unconsumed_bytes

    def wind_up(self) -> None:
        """Complete every body, and consume all that came."""
        for (side, stream_id), way in self.ways.items():
            if not self.knows(side, stream_id):
                continue
            if not way.head_sent:
                self.sides[side].send_head(stream_id, OK)
                way.head_sent = True
            if not way.end_sent:
                self.sides[side].send_end(stream_id)
                way.end_sent = True
            self.sides[1 - side].consumed(stream_id, way.unconsumed)
            way.unconsumed = 0

    def teardown(self) -> None:
        """Let everything end: all bytes arrive, and nobody remembers a stream."""
        if self.suspended:
            self.rejoin()
        for _ in range(150):
            for side in (0, 1):
                self.carry(side, 4, 4)
                self.wait(side)
            self.wind_up()
        assert [session.stream_count for session in self.sides] == [0, 0]
        for (side, stream_id), way in self.ways.items():
            if not {(0, stream_id), (1, stream_id)} & self.dropped:
                assert way.end_received
                assert way.received == way.sent
            assert self.sides[side].unsent_bytes(stream_id) == 0


TwoSessions.TestCase.settings = settings(max_examples=80, stateful_step_count=50)
TestTwoSessions = TwoSessions.TestCase
