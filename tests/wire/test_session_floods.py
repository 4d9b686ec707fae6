"""Floods and nonsense against a session: each ends with its code, and nothing piles up."""

from collections.abc import Callable, Iterable
from itertools import count, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcptunnel.model import ResponseHead
from mcptunnel.wire import events
from mcptunnel.wire.codec import encode
from mcptunnel.wire.constants import (
    MAX_MESSAGE_FRAMES,
    MAX_WINDOW_BYTES,
    ErrorCode,
    Role,
)
from mcptunnel.wire.errors import RemoteProtocolError, TooManyStreams
from mcptunnel.wire.floods import IDLE_FRAMES, QUESTIONS, VAIN_STREAMS
from mcptunnel.wire.frames import (
    Ack,
    Data,
    End,
    Frame,
    Goaway,
    Head,
    Open,
    Ping,
    Pong,
    Reset,
    Unknown,
    Window,
)
from mcptunnel.wire.lifecycle import SessionState
from mcptunnel.wire.session import Session
from mcptunnel.wire.settings import Settings
from tests.wire.pairs import REQUEST, carry, joined, message, said, stream_between
from tests.wire.strategies import frames as any_frames

CANCEL = ErrorCode.CANCEL
FRAMES_PER_MESSAGE = 500
MOST_CONTROL = 1024 + 8 * 256


def peer_ids(role: Role) -> Iterable[int]:
    """Return the ids of streams that the peer of `role` opens, but for the first."""
    return count(role.peer.first_stream_id + 2, 2)


def _splinters(role: Role) -> Iterable[Frame]:
    stream_id = role.peer.first_stream_id
    yield Open(stream_id, REQUEST)
    while True:
        yield Data(stream_id, b"x")


STORMS: dict[str, tuple[Callable[[Role], Iterable[Frame]], int]] = {
    "ping": (lambda _: map(Ping, count()), QUESTIONS.burst),
    "goaway": (lambda _: (Goaway(2**50, CANCEL) for _ in count()), QUESTIONS.burst),
    "open and reset": (
        lambda role: (f for i in peer_ids(role) for f in (Open(i, REQUEST), Reset(i, CANCEL))),
        2 * VAIN_STREAMS.burst,
    ),
    "open beyond the limit": (
        lambda role: (Open(i, REQUEST) for i in peer_ids(role)),
        256 + MOST_CONTROL + FRAMES_PER_MESSAGE,
    ),
    "reset of what is gone": (lambda role: _gone(role, Reset, CANCEL), IDLE_FRAMES.burst),
    "data for what is gone": (lambda role: _gone(role, Data, b"x"), IDLE_FRAMES.burst),
    "end of what is gone": (lambda role: _gone(role, End), IDLE_FRAMES.burst),
    "head for what is gone": (lambda role: _gone(role, Head, ResponseHead(200)), IDLE_FRAMES.burst),
    "window for what is gone": (lambda role: _gone(role, Window, 5000), IDLE_FRAMES.burst),
    "small windows": (
        lambda role: (Window(role.first_stream_id, 1) for _ in count()),
        IDLE_FRAMES.burst,
    ),
    "windows without need": (
        lambda role: (Window(role.first_stream_id, 2000) for _ in count()),
        IDLE_FRAMES.burst,
    ),
    "splinters of data": (_splinters, IDLE_FRAMES.burst),
    "unknown": (lambda _: (Unknown(100, 5) for _ in count()), IDLE_FRAMES.burst),
    "pong": (lambda _: map(Pong, count()), IDLE_FRAMES.burst),
    "ack": (lambda _: (Ack(1) for _ in count()), IDLE_FRAMES.burst),
}


def _gone(role: Role, frame: Callable[..., Frame], *values: object) -> Iterable[Frame]:
    """Return frames for ever on a stream that the peer opened and dropped."""
    stream_id = role.peer.first_stream_id
    yield Open(stream_id, REQUEST)
    yield Reset(stream_id, CANCEL)
    while True:
        yield frame(stream_id, *values)


def under_attack(role: Role) -> Session:
    """Return a session with one stream of its own that the peer knows."""
    relay, agent = joined()
    session, other = (relay, agent) if role is Role.RELAY else (agent, relay)
    session.open(REQUEST)
    carry(session, other)
    return session


def check_bounds(session: Session) -> None:
    """Nothing that waits is more than what the limits say."""
    scheduler = session._scheduler
    assert len(scheduler._link) <= 3
    assert len(scheduler._control) <= MOST_CONTROL + FRAMES_PER_MESSAGE
    assert session.stream_count <= 257
    assert session._replay._kept_bytes <= 2 * session.settings.replay_bytes


def attack(session: Session, frames: Iterable[Frame], most: int) -> tuple[ErrorCode, int]:
    """Send frames until the session ends, and read nothing; return the code and how many came."""
    came, code = 0, None
    iterator = iter(frames)
    while code is None:
        assert came <= most + FRAMES_PER_MESSAGE, "no end"
        code = refusal(session, message(*islice(iterator, FRAMES_PER_MESSAGE)))
        session.take_events()
        if code is None:
            came += FRAMES_PER_MESSAGE
            check_bounds(session)
    return code, came


def refusal(session: Session, sent: bytes, now_s: float = 0.0) -> ErrorCode | None:
    """Let a message arrive; return the code with which the session ends, and has said so, or None."""
    error = None
    try:
        session.receive(sent, now_s)
    except RemoteProtocolError as raised:
        error = raised
    if error is None:
        return None
    (last,) = said(session)
    assert isinstance(last, Goaway)
    assert last.code is error.code
    assert (session.state, session.stream_count) == (SessionState.CLOSED, 0)
    return error.code


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", STORMS)
def test_a_storm_ends_the_session(name: str, role: Role) -> None:
    """Each kind, from a peer that never reads; the queues stay small and the code says why."""
    frames, most = STORMS[name]
    code, came = attack(under_attack(role), frames(role), most)
    assert code is ErrorCode.FLOOD
    assert came > most - 2 * FRAMES_PER_MESSAGE - 256, "no sooner than the limits say"


@pytest.mark.parametrize("name", [name for name in STORMS if "beyond" not in name])
def test_what_comes_slowly_is_no_storm(name: str) -> None:
    """The same frames at half the rate that is allowed, for as long as you like."""
    session = under_attack(Role.RELAY)
    frames = iter(STORMS[name][0](Role.RELAY))
    rate = {"ping": 64, "goaway": 64, "open and reset": 8000}.get(name, 20_000) // 2
    if name == "goaway":
        rate = 30
    for tenth in range(80):
        session.receive(message(*islice(frames, rate // 10)), tenth / 10)
        while session.message_to_send() is not None:
            pass
        session.take_events()
    assert session.state is SessionState.OPEN


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([Data(1, b"x")], ErrorCode.PROTOCOL_ERROR),  # before HEAD
        ([Head(1, ResponseHead(200)), Data(1, bytes(11))], ErrorCode.FLOW_CONTROL_ERROR),
        ([Open(2, REQUEST), Data(2, bytes(10)), Data(2, b"x")], ErrorCode.FLOW_CONTROL_ERROR),
        ([Window(1, MAX_WINDOW_BYTES)], ErrorCode.FLOW_CONTROL_ERROR),
        ([Window(1, MAX_WINDOW_BYTES // 2), Window(1, 2**30)], ErrorCode.FLOW_CONTROL_ERROR),
        ([Open(1, REQUEST)], ErrorCode.PROTOCOL_ERROR),
        ([Open(4, REQUEST), Open(2, REQUEST)], ErrorCode.PROTOCOL_ERROR),
        ([Open(4, REQUEST), Open(4, REQUEST)], ErrorCode.PROTOCOL_ERROR),
        ([Data(8, b"x")], ErrorCode.PROTOCOL_ERROR),
        ([Window(3, 1)], ErrorCode.PROTOCOL_ERROR),
        ([Ack(10**6)], ErrorCode.PROTOCOL_ERROR),
    ],
    ids=lambda value: value.name if isinstance(value, ErrorCode) else ", ".join(map(str, value)),
)
def test_nonsense_ends_the_session_and_no_other(frames: list[Frame], code: ErrorCode) -> None:
    """One frame is enough. The streams of this session are lost; another session does not notice."""
    relay, agent = joined(Settings(window_bytes=10))
    other_relay, other_agent = joined()
    stream_between(relay, agent)
    stream_id = stream_between(other_relay, other_agent)
    with pytest.raises(RemoteProtocolError) as caught:
        relay.receive(message(*frames), 0.0)
    assert caught.value.code is code
    assert relay.stream_count == 0
    other_agent.send_head(stream_id, ResponseHead(200))
    assert [type(event) for event in carry(other_agent, other_relay)] == [events.HeadReceived]


def test_a_message_of_too_many_frames() -> None:
    """The decoder stops counting objects at the limit, which no full message of ours can reach."""
    relay, _ = joined()
    end = encode(End(1))
    assert Settings().message_bytes // len(end) < MAX_MESSAGE_FRAMES
    with pytest.raises(RemoteProtocolError) as caught:
        relay.receive(end * (MAX_MESSAGE_FRAMES + 1), 0.0)
    assert caught.value.code is ErrorCode.LIMIT_EXCEEDED


def test_as_many_frames_as_are_allowed_are_taken() -> None:
    relay, _ = joined()
    relay.receive(encode(Unknown(64, 0)) * MAX_MESSAGE_FRAMES, 0.0)
    assert relay.received_count == MAX_MESSAGE_FRAMES


# A peer that never reads.


def test_answers_to_a_peer_that_never_reads_are_bounded() -> None:
    """It takes streams to their answers again and again: what it does not fetch is not made for ever."""
    _, agent = joined()
    for now_s in range(20):
        first = 1 + 512 * now_s
        opened = [f for i in range(first, first + 512, 2) for f in (Open(i, REQUEST), End(i))]
        code = refusal(agent, message(*opened), float(now_s))
        if code is not None:
            break
        for event in agent.take_events():
            if isinstance(event, events.StreamOpened):
                agent.send_head(event.stream_id, ResponseHead(200, (("x", "y" * 5000),)))
                agent.send_data(event.stream_id, b"answer")
                agent.send_end(event.stream_id)
        assert agent.stream_count <= 256
        assert sum(map(len, agent._scheduler._control)) < 4 * 1024 * 1024
    assert code is ErrorCode.FLOOD


def test_credit_that_is_needed_is_not_counted() -> None:
    """A WINDOW for what was sent before is what every body needs."""
    session = under_attack(Role.RELAY)
    before = session._floods._idle._spent
    for _ in range(10):
        session.send_data(1, bytes(2000))
        assert [type(frame) for frame in said(session)] == [Data]
        session.receive(message(Window(1, 2000)), 0.0)
    assert session._floods._idle._spent == before


def test_heads_of_streams_that_were_dropped_are_not_kept() -> None:
    """OPEN, a long HEAD, RESET, again and again: in the queue nothing stays."""
    _, agent = joined()
    for stream_id in range(1, 4001, 2):
        agent.receive(message(Open(stream_id, REQUEST)), 0.0)
        agent.send_head(stream_id, ResponseHead(200, (("x", "y" * 5000),)))
        agent.receive(message(Reset(stream_id, CANCEL)), 0.0)
        agent.take_events()
        assert not agent._scheduler._control


def test_a_suspended_session_does_not_fill_with_cancelled_calls() -> None:
    """Clients come and go while there is no link: a call that was never sent leaves nothing."""
    relay, agent = joined()
    known = [stream_between(relay, agent) for _ in range(100)]
    relay.suspend()
    for stream_id in known:
        relay.reset(stream_id, CANCEL)
    for _ in range(20_000):
        stream_id = relay.open(REQUEST)
        relay.send_data(stream_id, bytes(100))
        relay.send_end(stream_id)
        relay.reset(stream_id, CANCEL)
    kept = [relay.open(REQUEST) for _ in range(256)]
    assert len(relay._scheduler._control) == len(known) + len(kept)
    assert not relay._scheduler._light
    assert not relay._scheduler._bulk
    agent.suspend()
    relay.resume(agent.received_count, 1.0)
    agent.resume(relay.received_count, 1.0)
    found = carry(relay, agent, 1.0)
    assert [e.stream_id for e in found if isinstance(e, events.StreamReset)] == known
    assert [e.stream_id for e in found if isinstance(e, events.StreamOpened)] == kept


@pytest.mark.parametrize("role", Role)
def test_a_full_honest_session_without_a_link_is_never_overfull(role: Role) -> None:
    """All streams of both sides with heads, credit and cancellations: far from the bound."""
    relay, agent = joined()
    session, other = (relay, agent) if role is Role.RELAY else (agent, relay)
    theirs = [other.open(REQUEST) for _ in range(256)]
    ours = [session.open(REQUEST) for _ in range(256)]
    carry(other, session)
    carry(session, other)
    for stream_id in theirs:
        other.send_data(stream_id, bytes(256 * 1024))
    for stream_id in ours:
        other.send_head(stream_id, ResponseHead(200))
        other.send_data(stream_id, bytes(256 * 1024))
    while (sent := other.message_to_send()) is not None:
        session.receive(sent, 0.0)
        session.tick(1.0)
        for frame in said(session):
            other.receive(message(frame), 0.0)
    session.suspend()
    for stream_id in theirs:
        session.send_head(stream_id, ResponseHead(200))
    for stream_id in (*theirs, *ours):
        session.consumed(stream_id, 128 * 1024)
        session.consumed(stream_id, 128 * 1024)
    assert not session._scheduler.is_overfull
    for stream_id in (*theirs, *ours):
        session.reset(stream_id, CANCEL)
    for _ in range(256):
        session.open(REQUEST)
    assert not session._scheduler.is_overfull


def test_a_peer_that_sends_and_takes_nothing_is_reported() -> None:
    """It answers no PING and acknowledges nothing, though it is heard all the time."""
    relay, agent = joined()
    stream_id = stream_between(relay, agent)
    relay.send_data(stream_id, bytes(10**6))
    found: list[events.Event] = []
    for now_s in range(1, 200):
        relay.receive(message(Unknown(64, 0)), float(now_s))
        relay.tick(float(now_s))
        said(relay)
        found += relay.take_events()
        if found:
            break
    assert found == [events.PeerSilent(deaf=True)]
    assert now_s == 60 + 45
    assert relay.state is SessionState.OPEN


def test_a_peer_that_reads_slowly_is_not() -> None:
    """Each ACK tells of more than the one before: it lives."""
    relay, agent = joined()
    stream_id = stream_between(relay, agent)
    relay.send_data(stream_id, bytes(500_000))
    for now_s in (40.0, 80.0, 120.0, 160.0):
        relay.tick(now_s - 1)
        sent = relay.message_to_send()
        assert sent is not None
        agent.receive(sent, 0.0)
        relay.receive(message(Ack(agent.received_count)), now_s)
        assert relay.take_events() == []
        assert relay.taken_s == now_s


# What we do to the peer.


def test_our_own_clients_cannot_make_us_a_flood() -> None:
    """Calls that are cancelled at once, without end: we refuse to open more, and the session stays."""
    relay, agent = joined()
    refused = 0
    for _ in range(VAIN_STREAMS.burst + 1):
        try:
            stream_id = relay.open(REQUEST)
        except TooManyStreams:
            refused += 1
            continue
        carry(relay, agent)
        relay.reset(stream_id, CANCEL)
        carry(relay, agent)
    assert refused > VAIN_STREAMS.burst / 3
    assert agent.state is SessionState.OPEN
    relay.tick(10.0)
    assert relay.open(REQUEST)


def test_calls_that_were_answered_are_never_in_vain() -> None:
    """Any number of them at once, each dropped after its HEAD: nobody minds."""
    relay, agent = joined()
    head = ResponseHead(200)
    for _ in range(VAIN_STREAMS.burst + 1):
        stream_id = relay.open(REQUEST)
        carry(relay, agent)
        agent.send_head(stream_id, head)
        carry(agent, relay)
        relay.reset(stream_id, CANCEL)
        carry(relay, agent)
    assert (relay.state, agent.state) == (SessionState.OPEN, SessionState.OPEN)


def test_small_bytes_with_credit_are_welcome() -> None:
    """Progress in frames of a byte each, 4,000 a second for a minute, is no flood."""
    relay, agent = joined()
    stream_id = stream_between(relay, agent)
    agent.send_head(stream_id, ResponseHead(200))
    carry(agent, relay)
    for second in range(60):
        relay.receive(encode(Data(stream_id, b"x")) * 4000, float(second))
        relay.take_events()
        relay.consumed(stream_id, 4000)
        said(relay)
    assert relay.state is SessionState.OPEN


def test_a_short_frame_of_each_stream_in_a_message_is_never_counted() -> None:
    """Nor is DATA of 64 bytes: what a sender does that joins what waits."""
    session = under_attack(Role.AGENT)
    session.receive(message(Open(1, REQUEST), Open(3, REQUEST)), 0.0)
    before = session._floods._idle._spent
    for _ in range(3):
        session.receive(message(*(Data(i, b"x" * 64) for i in (1, 3, 1))), 0.0)
        session.receive(message(Data(1, b"x"), Data(3, b"x" * 63), Data(1, b"x" * 64)), 0.0)
    assert session._floods._idle._spent == before
    session.receive(message(Data(1, b"x"), Data(1, b"x" * 63)), 0.0)
    assert session._floods._idle._spent == before + 1


# Anything at all.

CODES = {
    ErrorCode.PROTOCOL_ERROR,
    ErrorCode.FLOW_CONTROL_ERROR,
    ErrorCode.LIMIT_EXCEEDED,
    ErrorCode.FLOOD,
}

near = st.integers(1, 9)
codes = st.sampled_from(ErrorCode)
heads = st.sampled_from([ResponseHead(200), ResponseHead(404, (("a", "b"),))])
near_frames: st.SearchStrategy[Frame] = st.one_of(
    st.builds(Open, near, st.just(REQUEST)),
    st.builds(Head, near, heads),
    st.builds(Data, near, st.binary(min_size=1, max_size=9)),
    st.builds(End, near),
    st.builds(Reset, near, codes),
    st.builds(Window, near, st.sampled_from([1, 2000, MAX_WINDOW_BYTES // 2])),
    st.builds(Ack, st.integers(0, 2)),
    st.builds(Ping, near),
    st.builds(Pong, near),
    any_frames,
)
"""Mostly about streams that there are."""


def reaction(session: Session, event: events.Event) -> None:
    """Do what a program might do, as it likes."""
    match event:
        case events.StreamOpened(stream_id=stream_id) if stream_id % 3 == 0:
            session.reset(stream_id, ErrorCode.REFUSED_STREAM, "no")
        case events.StreamOpened(stream_id=stream_id):
            session.send_head(stream_id, ResponseHead(200))
            session.send_data(stream_id, b"answer")
        case events.DataReceived(stream_id=stream_id, data=data):
            session.consumed(stream_id, len(data))
        case events.EndReceived(stream_id=stream_id) if stream_id % 2 == 0:
            session.send_end(stream_id)
        case _:
            pass


@settings(max_examples=100)
@given(
    st.sampled_from(Role),
    st.lists(
        st.tuples(
            st.lists(near_frames, min_size=1, max_size=4), st.integers(1, 60), st.floats(0, 1)
        ),
        max_size=15,
    ),
    st.booleans(),
)
def test_a_hostile_peer_can_send_what_it_likes(
    role: Role, steps: list[tuple[list[Frame], int, float]], reads: bool
) -> None:
    """Valid frames of every kind, repeated: the session goes on or ends with a code of its own."""
    session = under_attack(role)
    now_s = 0.0
    for frames, times, wait_s in steps:
        now_s += wait_s
        code = refusal(session, message(*frames) * times, now_s)
        if code is not None:
            assert code in CODES
            return
        for event in session.take_events():
            reaction(session, event)
        session.tick(now_s)
        if reads:
            said(session)
        check_bounds(session)
