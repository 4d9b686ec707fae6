"""The session itself: liveness, going away, errors, the end; resume is in test_session_resume."""

from math import inf

import pytest

from mcptunnel.model import Outcome, ResponseHead
from mcptunnel.wire.codec import Decoder
from mcptunnel.wire.constants import KIB, ErrorCode, Role
from mcptunnel.wire.errors import GoingAway, RemoteProtocolError
from mcptunnel.wire.events import (
    DataReceived,
    PeerGoingAway,
    PeerSilent,
    StreamLost,
)
from mcptunnel.wire.flight import LEAST_BYTES
from mcptunnel.wire.frames import (
    FRAME_CLASSES,
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
from mcptunnel.wire.scheduler import LIGHT_BYTES
from mcptunnel.wire.session import Session
from mcptunnel.wire.settings import Settings
from tests.wire.pairs import HELLO, REQUEST, WELCOME, carry, joined, message, said, stream_between

RESPONSE = ResponseHead(200)


def broken(session: Session, *frames: Frame) -> ErrorCode:
    """Let a session receive what it must refuse; check how it ends, and return the code."""
    with pytest.raises(RemoteProtocolError) as caught:
        session.receive(message(*frames), 0.0)
    (last,) = said(session)
    assert isinstance(last, Goaway)
    assert (last.code, last.text) == (caught.value.code, caught.value.text)
    assert session.state is SessionState.CLOSED
    return caught.value.code


def test_the_peers_limits_count() -> None:
    """A stream starts with the window that the receiver announced."""
    relay, agent = joined(Settings(), Settings(window_bytes=3))
    stream_id = relay.open(REQUEST)
    relay.send_data(stream_id, b"abcdef")
    assert said(relay) == [Open(stream_id, REQUEST), Data(stream_id, b"abc")]
    assert agent.stream_count == 0


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("frame", [HELLO, WELCOME], ids=str)
def test_a_second_greeting_is_refused(role: Role, frame: Frame) -> None:
    """HELLO and WELCOME come once."""
    session = joined()[role is Role.AGENT]
    assert broken(session, frame) is ErrorCode.PROTOCOL_ERROR


def test_every_frame_class_has_a_step() -> None:
    """An open session knows what to do with every frame that the decoder can give it."""
    relay, _ = joined()
    assert set(relay._steps) == set(FRAME_CLASSES)


def test_a_quiet_session_pings_and_measures() -> None:
    """The agent's PING after 20 s of silence is the sign of life for both; its answer is measured.

    With every second answer the relay's own PING goes along, so that it knows the time as well.
    """
    relay, agent = joined()
    assert (relay.next_tick_s, agent.next_tick_s) == (25.0, 20.0)
    agent.tick(19.0)
    assert said(agent) == []
    agent.tick(20.0)
    assert carry(agent, relay, 20.125) == []
    assert relay.next_tick_s == 45.125
    assert carry(relay, agent, 20.25) == []
    assert (agent.round_trip_s, relay.round_trip_s) == (0.25, 0.0)
    assert agent.next_tick_s == 40.25
    agent.tick(40.25)
    assert carry(agent, relay, 40.5) == []
    assert carry(relay, agent, 40.75) == []
    assert carry(agent, relay, 41.0) == []
    assert (agent.round_trip_s, relay.round_trip_s) == (0.5, 0.5)
    assert (said(relay), said(agent)) == ([], [])


def test_a_new_session_measures_at_once() -> None:
    """Nobody has to wait for a quiet moment to know how far away the peer is."""
    settings = Settings()
    session = Session(Role.RELAY, settings, settings.limits, 5.0)
    assert session.next_tick_s == 5.0
    session.tick(5.0)
    assert said(session) == [Ping(1)]
    session.receive(message(Pong(1)), 5.5)
    assert session.round_trip_s == 0.5


def test_a_silent_peer_is_reported_once() -> None:
    """After 45 s without a message the owner is told; the session itself stays open."""
    relay, _ = joined()
    for now_s in range(60):
        relay.tick(float(now_s))
    assert relay.take_events() == [PeerSilent()]
    assert relay.state is SessionState.OPEN
    assert [frame for frame in said(relay) if not isinstance(frame, Ping)] == []


def test_frames_of_no_effect() -> None:
    """A stray PONG and optional frames that we do not know are passed over."""
    relay, _ = joined()
    relay.receive(message(Ack(0), Pong(7), Unknown(64, 0), Unknown(127, 99)), 1.0)
    assert relay.take_events() == []
    assert said(relay) == []
    assert relay.state is SessionState.OPEN


def test_after_our_goaway_no_stream_starts_and_open_ones_run_on() -> None:
    """Draining: the peer's late OPEN is refused, and what runs may finish."""
    relay, agent = joined()
    first = stream_between(relay, agent)
    agent.goaway(ErrorCode.SHUTDOWN, "restarting", 2.0)
    with pytest.raises(GoingAway):
        agent.open(REQUEST)
    late = relay.open(REQUEST)
    agent.receive(relay.message_to_send() or b"", 0.0)
    assert carry(agent, relay) == [
        PeerGoingAway(first, ErrorCode.SHUTDOWN, "restarting", 2.0),
        StreamLost(late, Outcome.NOT_DELIVERED),
    ]
    with pytest.raises(GoingAway):
        relay.open(REQUEST)
    relay.send_end(first)
    agent.send_head(first, RESPONSE)
    agent.send_end(first)
    carry(relay, agent)
    carry(agent, relay)
    assert (relay.stream_count, agent.stream_count) == (0, 0)


def test_goaway_can_be_said_again() -> None:
    """A drain may end with another code; the last one counts."""
    relay, agent = joined()
    relay.goaway(ErrorCode.NO_ERROR)
    relay.goaway(ErrorCode.SHUTDOWN)
    assert len(carry(relay, agent)) == 2
    assert agent.going_away == Goaway(0, ErrorCode.SHUTDOWN)


def test_going_away_of_the_peer_does_not_touch_its_own_streams() -> None:
    """Only streams of ours that it never looked at are lost."""
    relay, agent = joined()
    theirs = agent.open(REQUEST)
    carry(agent, relay)
    relay.goaway(ErrorCode.SHUTDOWN)
    carry(relay, agent)
    agent.goaway(ErrorCode.SHUTDOWN)
    assert [type(event) for event in carry(agent, relay)] == [PeerGoingAway]
    assert (relay.stream_count, agent.stream_count) == (1, 1)
    assert theirs == 2


def test_text_of_any_kind_can_be_said() -> None:
    """A text that comes from an exception is made to fit."""
    relay, agent = joined()
    relay.goaway(ErrorCode.INTERNAL_ERROR, "\ud800" * 5000)
    (event,) = carry(relay, agent)
    assert isinstance(event, PeerGoingAway)
    assert event.text == "?" * 1024


def test_what_breaks_the_protocol_ends_the_session() -> None:
    """The GOAWAY is all that is sent; streams are lost; later bytes are ignored."""
    relay, agent = joined()
    stream_id = relay.open(REQUEST)
    relay.send_data(stream_id, b"never sent")
    relay.tick(20.0)
    with pytest.raises(RemoteProtocolError):
        relay.receive(b"\xc1", 21.0)
    assert relay.take_events() == [StreamLost(stream_id, Outcome.NOT_DELIVERED)]
    assert [type(frame) for frame in said(relay)] == [Goaway]
    relay.receive(b"\xc1", 22.0)
    relay.tick(1000.0)
    relay.goaway(ErrorCode.SHUTDOWN)
    relay.send_data(stream_id, b"x")
    relay.send_end(stream_id)
    relay.reset(stream_id, ErrorCode.CANCEL)
    relay.consumed(stream_id, 1)
    with pytest.raises(GoingAway):
        relay.open(REQUEST)
    assert (relay.take_events(), said(relay), relay.next_tick_s) == ([], [], inf)
    assert agent.state is SessionState.OPEN


def test_events_before_an_error_are_not_lost() -> None:
    """A message of good frames and a forbidden one: the good ones happened."""
    relay, _ = joined()
    with pytest.raises(RemoteProtocolError):
        relay.receive(message(Open(2, REQUEST), Open(2, REQUEST)), 0.0)
    assert [type(event).__name__ for event in relay.take_events()] == ["StreamOpened", "StreamLost"]


def test_a_lost_session() -> None:
    """Each open stream is lost, once; nothing more is said."""
    relay, agent = joined()
    first, second = stream_between(relay, agent), stream_between(relay, agent)
    relay.send_data(first, b"unsent")
    relay.lost()
    assert relay.take_events() == [
        StreamLost(first, Outcome.NOT_DELIVERED),
        StreamLost(second, Outcome.NOT_DELIVERED),
    ]
    assert relay.state is SessionState.CLOSED
    assert said(relay) == []
    relay.lost()
    assert relay.take_events() == []
    agent.lost()
    assert agent.take_events() == [
        StreamLost(first, Outcome.UNKNOWN),
        StreamLost(second, Outcome.UNKNOWN),
    ]


@pytest.mark.parametrize(
    "frame",
    [Head(99, RESPONSE), Data(99, b"x"), End(99), Reset(99, ErrorCode.CANCEL), Window(99, 1)],
    ids=str,
)
@pytest.mark.parametrize("role", Role)
def test_frames_on_a_stream_that_never_was(role: Role, frame: Frame) -> None:
    """An id that nobody opened is an error, whoever could have opened it."""
    session = joined()[role is Role.AGENT]
    assert broken(session, frame) is ErrorCode.PROTOCOL_ERROR


def test_a_session_is_settled_when_nothing_is_open_and_all_was_received() -> None:
    """Both count: an answer that was sent may still be lost with the link."""
    relay, agent = joined()
    stream_id = stream_between(relay, agent)
    relay.send_end(stream_id)
    carry(relay, agent)
    found = [agent.is_settled]
    agent.send_head(stream_id, RESPONSE)
    agent.send_end(stream_id)
    carry(agent, relay)
    assert agent.stream_count == 0
    found.append(agent.is_settled)
    relay.tick(1.0)
    carry(relay, agent)
    found.append(agent.is_settled)
    agent.goaway(ErrorCode.NO_ERROR)
    found.append(agent.is_settled)  # a GOAWAY without a link is waited for by nobody
    assert found == [False, False, True, True]
    assert not agent.takes_streams


def test_a_stream_that_is_read_quickly_gets_a_larger_window_for_its_life() -> None:
    """Over a long path a window per round trip is too little; a reset gives back what it got."""
    grows = Settings(window_bytes=64 * KIB, grown_window_bytes=256 * KIB)
    relay, agent = joined(relay_settings=grows)
    for life in range(200):
        stream_id = stream_between(relay, agent)
        agent.send_head(stream_id, RESPONSE)
        agent.send_data(stream_id, bytes(1000 * KIB))
        most_bytes = 0
        for turn in range(20):
            now_s = life + turn / 100
            at_once = [
                event for event in carry(agent, relay, now_s) if isinstance(event, DataReceived)
            ]
            most_bytes = max(most_bytes, sum(len(event.data) for event in at_once))
            for event in at_once:
                relay.consumed(stream_id, len(event.data))
            carry(relay, agent, now_s)
        assert most_bytes > 64 * KIB
        relay.reset(stream_id, ErrorCode.CANCEL)
        carry(relay, agent)


def test_a_small_answer_comes_within_what_is_under_way() -> None:
    """Bulk that waits does not grow the queue before it: not more than the limit is ever handed out."""
    relay, agent = joined()
    bulk = [stream_between(relay, agent) for _ in range(10)]
    small = stream_between(relay, agent)
    for stream_id in bulk:
        agent.send_head(stream_id, RESPONSE)
        agent.send_data(stream_id, bytes(200 * KIB))
    under_way_bytes = 0
    while (made := agent.message_to_send(1.0)) is not None:
        under_way_bytes += len(made)
        relay.receive(made, 1.05)
    assert under_way_bytes < LEAST_BYTES + 10 * LIGHT_BYTES + Settings().message_bytes
    agent.send_head(small, RESPONSE)
    agent.send_data(small, b"answer")
    agent.send_end(small)
    made = agent.message_to_send(1.0)
    assert made is not None
    assert Decoder().decode(made) == [Head(small, RESPONSE), Data(small, b"answer"), End(small)]
    assert agent.message_to_send(1.0) is None
    carry(relay, agent, 1.1)  # an ACK
    made = agent.message_to_send(1.1)
    assert made is not None
    assert len(made) > 60 * KIB
