"""A session over several links: numbers, acknowledgements, replay, and what is known at the end."""

import json
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest

from mcptunnel.model import Outcome, ResponseHead
from mcptunnel.wire.codec import Decoder
from mcptunnel.wire.constants import ACK_AFTER_BYTES, ACK_AFTER_S, ErrorCode, Role
from mcptunnel.wire.errors import LocalProtocolError, RemoteProtocolError
from mcptunnel.wire.events import DataReceived, StreamLost, StreamOpened
from mcptunnel.wire.frames import (
    Ack,
    Data,
    End,
    Goaway,
    Open,
    Ping,
    Pong,
    Unknown,
    Window,
)
from mcptunnel.wire.greeting import Greeting
from mcptunnel.wire.lifecycle import SessionState
from mcptunnel.wire.session import Session
from mcptunnel.wire.settings import Limits, Settings
from tests.wire.pairs import HELLO, REQUEST, WELCOME, carry, joined, message, said, stream_between

RESPONSE = ResponseHead(200)


def cut(relay: Session, agent: Session, now_s: float = 0.0) -> None:
    """Join two sessions anew; whatever was under way is lost."""
    for session in (relay, agent):
        session.suspend()
    counts = relay.received_count, agent.received_count
    relay.resume(counts[1], now_s)
    agent.resume(counts[0], now_s)


def request(session: Session, body: bytes = b"body") -> int:
    stream_id = session.open(REQUEST)
    session.send_data(stream_id, body)
    session.send_end(stream_id)
    return stream_id


# Numbers and acknowledgements.


def test_frames_about_the_link_are_not_numbered() -> None:
    """PING, PONG and ACK are not; all others are, those that nobody knows included."""
    relay, _ = joined()
    relay.receive(message(Ping(1), Pong(2), Ack(0)), 0.0)
    assert (relay.received_count, relay.ack_due_s) == (0, inf)
    relay.receive(message(Open(2, REQUEST), Ping(1), Unknown(64, 0), End(2)), 0.0)
    assert relay.received_count == 3


def test_an_ack_follows_when_its_time_has_come() -> None:
    """One for everything that came until then; none for a session that hears nothing."""
    relay, agent = joined()
    request(relay)
    carry(relay, agent, 5.0)
    assert agent.next_tick_s == 5.0 + ACK_AFTER_S
    assert said(agent) == []
    agent.tick(5.0 + ACK_AFTER_S)
    assert said(agent) == [Ack(3)]
    assert agent.next_tick_s == 25.0


def test_an_ack_follows_when_much_has_come() -> None:
    """It travels with whatever goes that way, in front."""
    relay, agent = joined()
    stream_id = request(relay, bytes(ACK_AFTER_BYTES))
    carry(relay, agent)
    agent.consumed(stream_id, ACK_AFTER_BYTES)
    agent.send_head(stream_id, RESPONSE)
    first, *_ = said(agent)
    assert isinstance(first, Ack)


def test_acks_need_no_ack() -> None:
    relay, agent = joined()
    request(relay)
    carry(relay, agent)
    agent.tick(1.0)
    carry(agent, relay)
    assert relay.ack_due_s == inf


@pytest.mark.parametrize("count", [4, 2**53 - 1])
def test_an_ack_for_what_was_never_sent_ends_the_session(count: int) -> None:
    relay, _ = joined()
    request(relay)
    said(relay)
    with pytest.raises(RemoteProtocolError):
        relay.receive(message(Ack(count)), 0.0)
    assert relay.state is SessionState.CLOSED


def test_an_ack_that_takes_another_back_ends_the_session() -> None:
    relay, _ = joined()
    request(relay)
    said(relay)
    relay.receive(message(Ack(3)), 0.0)
    with pytest.raises(RemoteProtocolError):
        relay.receive(message(Ack(2)), 0.0)


def test_a_full_buffer_stops_sending_and_drops_nothing() -> None:
    """Only frames about the link go on; an ACK opens it again."""
    settings = Settings(replay_bytes=1000, max_data_bytes=400, message_bytes=500)
    relay, agent = joined(settings)
    stream_id = request(relay, bytes(5000))
    sent = said(relay)
    assert sum(len(frame.data) for frame in sent if isinstance(frame, Data)) <= 1400
    relay.receive(message(Ping(7)), 0.0)
    assert said(relay) == [Pong(7)]
    agent.receive(message(*sent), 0.0)
    for now_s in range(1, 20):
        agent.tick(float(now_s))
        carry(agent, relay, float(now_s))
        carry(relay, agent, float(now_s))
    assert agent.received_count == 15
    assert agent._exchanges.table.live()[0].window.unconsumed_bytes == 5000
    assert stream_id == 1


# Suspended, and resumed.


def test_a_suspended_session_takes_everything_and_says_nothing() -> None:
    """Time does not pass for it, and what still arrives from the old link does not count."""
    relay, agent = joined()
    first = stream_between(relay, agent)
    relay.tick(20.0)
    relay.suspend()
    relay.suspend()
    relay.send_data(first, b"late")
    second = request(relay)
    relay.receive(message(Open(2, REQUEST)), 1.0)
    relay.tick(1e6)
    assert (said(relay), relay.take_events(), relay.next_tick_s) == ([], [], inf)
    assert relay.received_count == 0
    relay.resume(1, 100.0)
    relay.tick(100.0)
    assert said(relay) == [
        Ping(2),
        Open(second, REQUEST),
        Data(first, b"late"),
        Data(second, b"body"),
        End(second),
    ]
    assert relay.next_tick_s == 125.0


def test_what_was_lost_on_the_way_is_sent_again() -> None:
    """In order, once, and before anything new."""
    relay, agent = joined()
    stream_id = request(relay)
    said(relay)
    relay.suspend()
    relay.resume(1, 0.0)
    later = request(relay)
    agent.receive(message(Open(stream_id, REQUEST)), 0.0)
    assert carry(relay, agent)[1] == DataReceived(stream_id, b"body")
    assert agent.received_count == 6
    assert later == 3


def test_frames_about_the_link_go_before_what_is_sent_again() -> None:
    relay, _ = joined()
    request(relay)
    said(relay)
    relay.suspend()
    relay.resume(0, 0.0)
    relay.receive(message(Ping(7)), 0.0)
    assert [type(frame) for frame in said(relay)] == [Pong, Ping, Open, Data, End]


def test_both_sides_may_lose_what_they_said() -> None:
    relay, agent = joined()
    request(relay)
    request(agent)
    said(relay)
    said(agent)
    cut(relay, agent)
    opened = [*carry(relay, agent), *carry(agent, relay)]
    assert [event.stream_id for event in opened if isinstance(event, StreamOpened)] == [1, 2]


def test_credit_is_not_lost_with_a_link() -> None:
    """A WINDOW that was under way arrives on the next link, once."""
    relay, agent = joined(Settings(), Settings(window_bytes=10))
    stream_id = relay.open(REQUEST)
    relay.send_data(stream_id, bytes(25))
    for _ in range(2):
        carry(relay, agent)
        agent.consumed(stream_id, 10)
        assert said(agent) == [Window(stream_id, 10)]
        cut(relay, agent)
        carry(agent, relay)
        assert said(agent) == []
    carry(relay, agent)
    assert relay.unsent_bytes(stream_id) == 0


@pytest.mark.parametrize("count", [0, 4])
def test_numbers_that_cannot_be_true_end_the_session(count: int) -> None:
    """More received than sent, or less than was acknowledged: GOAWAY, and all streams are lost."""
    relay, _ = joined()
    stream_id = request(relay)
    said(relay)
    relay.receive(message(Ack(1)), 0.0)
    relay.suspend()
    with pytest.raises(RemoteProtocolError):
        relay.resume(count, 0.0)
    assert relay.state is SessionState.CLOSED
    assert relay.take_events() == [StreamLost(stream_id, Outcome.UNKNOWN)]
    assert [type(frame) for frame in said(relay)] == [Goaway]


def test_only_a_suspended_session_is_resumed() -> None:
    relay, _ = joined()
    with pytest.raises(LocalProtocolError):
        relay.resume(0, 0.0)
    relay.lost()
    relay.suspend()
    assert relay.state is SessionState.CLOSED
    with pytest.raises(LocalProtocolError):
        relay.resume(0, 0.0)


def test_the_round_trip_time_is_of_one_link() -> None:
    """A PONG that answers a PING of the link before says nothing."""
    relay, _ = joined()
    relay.tick(25.0)
    assert said(relay) == [Ping(2)]
    relay.suspend()
    relay.resume(0, 30.0)
    relay.receive(message(Pong(2)), 30.1)
    assert relay.round_trip_s == 0.0, "as the link before had it"
    relay.tick(30.2)
    assert said(relay) == [Ping(3)]
    relay.receive(message(Pong(2)), 30.3)
    relay.receive(message(Pong(3)), 30.7)
    assert relay.round_trip_s == pytest.approx(0.5)


def test_a_goodbye_is_said_even_if_much_waits() -> None:
    """With a full buffer, and in the middle of a replay, which it does not wait for."""
    relay, _ = joined(Settings(replay_bytes=1, message_bytes=10))
    request(relay)
    said(relay)
    relay.goodbye(ErrorCode.REVOKED, "gone")
    assert isinstance(said(relay)[-1], Goaway)
    relay, _ = joined()
    request(relay)
    said(relay)
    relay.suspend()
    relay.resume(0, 0.0)
    relay.goodbye(ErrorCode.REVOKED, "gone")
    assert said(relay) == [Goaway(0, ErrorCode.REVOKED, "gone")]


# What is known when the session is lost after all.


def outcome_of(session: Session) -> Outcome:
    session.lost()
    (lost,) = [event for event in session.take_events() if isinstance(event, StreamLost)]
    return lost.outcome


@pytest.mark.parametrize(
    ("received", "outcome"),
    [(1, Outcome.NOT_DELIVERED), (2, Outcome.NOT_DELIVERED), (3, Outcome.UNKNOWN)],
)
def test_a_resume_proves_what_was_not_received(received: int, outcome: Outcome) -> None:
    """As long as the END was not handed out again since."""
    relay, _ = joined()
    request(relay)
    said(relay)
    relay.suspend()
    relay.resume(received, 0.0)
    relay.suspend()
    assert outcome_of(relay) is outcome


def test_what_was_handed_out_again_may_have_arrived() -> None:
    relay, _ = joined()
    request(relay)
    said(relay)
    relay.suspend()
    relay.resume(1, 0.0)
    said(relay)
    assert outcome_of(relay) is Outcome.UNKNOWN


def test_what_waited_for_a_link_was_not_delivered() -> None:
    relay, _ = joined()
    relay.suspend()
    request(relay)
    assert outcome_of(relay) is Outcome.NOT_DELIVERED


def test_a_missing_ack_proves_nothing() -> None:
    relay, _ = joined()
    request(relay)
    said(relay)
    relay.suspend()
    assert outcome_of(relay) is Outcome.UNKNOWN


@pytest.mark.parametrize("whole_links", [1, 2])
@pytest.mark.parametrize("cut_after", range(8))
@pytest.mark.parametrize("lost_after", range(8))
def test_not_delivered_is_never_said_of_a_request_that_arrived(
    whole_links: int, cut_after: int, lost_after: int
) -> None:
    """With a cut, or two, and the final loss at every frame, of messages of one frame."""
    settings = Settings(message_bytes=1, max_data_bytes=2)
    relay = Session(Role.RELAY, settings, Limits(), 0.0)
    agent = Session(Role.AGENT, settings, Limits(), 0.0)
    request(relay, b"abcde")

    def carried(most: int) -> None:
        for _ in range(most):
            frame = relay.message_to_send()
            if frame is not None:
                agent.receive(frame, 0.0)
        relay.message_to_send()  # on the way when the link broke

    for _ in range(whole_links):
        carried(cut_after)
        cut(relay, agent)
    carried(lost_after)
    arrived = agent.received_count == 5
    relay.lost()
    (event,) = relay.take_events()
    assert isinstance(event, StreamLost)
    assert not (arrived and event.outcome is Outcome.NOT_DELIVERED)
    if lost_after == 0 and cut_after < 3:
        assert event.outcome is Outcome.NOT_DELIVERED


# The golden trace: what a second implementation can follow message by message.


def step(sender: str, sent: bytes | None, *, arrives: bool, sink: Session | None) -> dict[str, Any]:
    """Write down one message, and what the receiver has counted after it."""
    assert sent is not None
    if arrives and sink is not None:
        sink.receive(sent, 0.0)
    return {
        "from": sender,
        "bytes": sent.hex(),
        "frames": [str(frame) for frame in Decoder().decode(sent)],
        "arrives": arrives,
        "received_count": None if sink is None else sink.received_count,
    }


def trace() -> list[dict[str, Any]]:
    """One request whose end and whose answer are lost with their links, the second one by half."""
    settings = Settings(message_bytes=1)
    relay = Session(Role.RELAY, settings, settings.limits, 0.0)
    agent = Session(Role.AGENT, settings, settings.limits, 0.0)
    steps: list[dict[str, Any]] = []

    def greet(token: str, new_token: str) -> None:
        a, r = Greeting(Role.AGENT, settings), Greeting(Role.RELAY, settings)
        hello = replace(HELLO, resume_token=token, last_received=agent.received_count)
        said_hello = a.hello(hello)
        r.receive(said_hello)
        welcome = replace(WELCOME, resume_token=new_token)
        if token:
            relay.resume(agent.received_count, 0.0)
            agent.resume(relay.received_count, 0.0)
            welcome = replace(welcome, resumed=True, last_received=relay.received_count)
        steps.append(step("agent", said_hello, arrives=True, sink=None))
        steps.append(step("relay", r.welcome(welcome), arrives=True, sink=None))

    def say(*arriving: bool, by: str) -> None:
        source, sink = (relay, agent) if by == "relay" else (agent, relay)
        steps.extend(step(by, source.message_to_send(), arrives=one, sink=sink) for one in arriving)

    def cut_link() -> None:
        steps.append({"cut": True})
        relay.suspend()
        agent.suspend()

    greet("", "token-1")
    stream_id = request(relay, b"??")
    say(True, True, False, by="relay")  # OPEN, DATA; DATA and END are lost
    cut_link()
    greet("token-1", "token-2")
    say(True, by="relay")  # DATA and END again
    agent.send_head(stream_id, RESPONSE)
    agent.send_data(stream_id, b"!!")
    agent.send_end(stream_id)
    say(True, False, False, by="agent")  # HEAD; all DATA and END are lost
    cut_link()
    greet("token-2", "token-3")
    say(True, True, by="agent")
    relay.tick(ACK_AFTER_S)
    say(True, by="relay")  # ACK
    return steps


def test_the_golden_trace() -> None:
    """tests/vectors/resume.json shows a session over three links, with bytes and counts."""
    path = Path(__file__).parents[1] / "vectors" / "resume.json"
    assert json.loads(path.read_text(encoding="utf-8")) == trace()
