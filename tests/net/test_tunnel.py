"""The pump between a session and a link: batches, pauses, endings, and mistakes of receivers."""

import pytest
from msgspec.structs import replace

from mcptunnel.config.tunnel import TunnelConfig
from mcptunnel.model import Outcome
from mcptunnel.net.exchange import ExchangeFailure
from mcptunnel.net.tunnel import settings_of
from mcptunnel.wire.constants import ErrorCode, Role
from mcptunnel.wire.errors import GoingAway
from mcptunnel.wire.frames import (
    Ack,
    Data,
    End,
    Goaway,
    Head,
    Open,
    Ping,
    Pong,
    Reset,
    Window,
)
from mcptunnel.wire.settings import Settings
from tests.conftest import LoggedFailures
from tests.net.tunnels import (
    GONE,
    REQUEST,
    RESPONSE,
    Boom,
    FakeLink,
    Joint,
    Lone,
    Owner,
    Receiver,
    receiver_of,
)

FINAL = Settings(closed_link_window_s=0)
"""A lost link is the end."""


def boom(*_values: object) -> None:
    raise Boom


def test_settings_follow_the_configuration() -> None:
    config = TunnelConfig(
        window_bytes=65536,
        max_streams=7,
        ping_after_s=1.0,
        dead_after_s=3.0,
        replay_bytes=70000,
        resume_window_s=5.0,
        closed_link_window_s=4.0,
    )
    settings = settings_of(config)
    assert (settings.window_bytes, settings.max_streams) == (65536, 7)
    assert settings.replay_bytes == 70000
    assert (settings.resume_window_s, settings.closed_link_window_s) == (5.0, 4.0)
    assert (settings.ping_after_s, settings.dead_after_s) == (1.0, 3.0)


def test_the_greeting_opens_both_ends() -> None:
    joint = Joint()
    assert joint.relay_owner.events == ["made", "hello"]
    assert joint.agent_owner.events == ["made", "welcome"]
    assert joint.relay.is_open
    assert joint.agent.is_open
    assert joint.relay.peer == "memory:right"


# Batches and pauses.


def test_frames_of_one_turn_travel_in_one_message() -> None:
    """Three exchanges opened, written and ended in a turn are one message in the next."""
    lone = Lone().greeted()
    for _ in range(3):
        exchange, _receiver = lone.open()
        exchange.write(b"body")
        exchange.end()
    assert not lone.link.messages
    lone.turn()
    (message,) = lone.link.take()
    kinds = [type(frame) for frame in message]
    assert sorted(kind.__name__ for kind in kinds) == ["Data"] * 3 + ["End"] * 3 + ["Open"] * 3
    lone.turn()
    assert not lone.link.messages


def test_answers_to_one_message_travel_together() -> None:
    """What receivers do while a message is read leaves with the next turn, in one message."""
    lone = Lone().greeted()
    lone.receive(Open(2, REQUEST), End(2), Open(4, REQUEST), End(4))
    for exchange in lone.owner.opened:
        exchange.send_head(RESPONSE)
        exchange.end()
    lone.turn()
    assert len(lone.link.take()) == 1


def test_nothing_is_sent_while_the_link_is_paused() -> None:
    lone = Lone().greeted()
    lone.end.link_paused()
    exchange, _receiver = lone.open()
    exchange.write(b"body")
    lone.turn()
    assert not lone.link.messages
    lone.end.link_resumed()
    (message,) = lone.link.take()
    assert [type(frame) for frame in message] == [Open, Data]


def test_a_pause_in_the_middle_of_a_flush_stops_it() -> None:
    settings = Settings(message_bytes=32 * 1024)
    lone = Lone(settings=settings, link=FakeLink(pauses_after=3)).greeted()
    lone.link.messages = [b"", b""]
    exchange, _receiver = lone.open()
    exchange.write(bytes(120_000))
    lone.turn()
    assert len(lone.link.messages) == 3
    lone.link.messages.clear()
    lone.end.link_resumed()
    assert len(lone.link.messages) > 1


def test_a_writer_hears_when_its_bytes_have_left() -> None:
    lone = Lone(link=FakeLink(pauses_after=3)).greeted()
    exchange, receiver = lone.open()
    lone.link.messages = [b"", b""]
    unsent_bytes = exchange.write(bytes(120_000))
    assert unsent_bytes == 120_000
    lone.turn()
    assert "drained" not in receiver.names
    lone.end.link_resumed()
    assert receiver.names == ["drained"]


def test_credit_stops_one_stream_and_no_other() -> None:
    """A receiver that consumes nothing stalls its own exchange after one window."""
    joint = Joint(settings=Settings(window_bytes=1000))
    slow, _, _, slow_end = joint.open()
    quick, _, quick_accepted, quick_end = joint.open()
    slow.write(bytes(5000))
    quick.write(bytes(800))
    joint.settle()
    assert sum(len(event[1]) for event in slow_end.events) == 1000
    assert sum(len(event[1]) for event in quick_end.events) == 800
    quick_accepted.consumed(800)
    quick.write(bytes(1000))
    joint.settle()
    assert sum(len(event[1]) for event in quick_end.events) == 1800
    joint.agent_owner.opened[0].consumed(1000)
    joint.settle()
    assert sum(len(event[1]) for event in slow_end.events) == 2000


# Endings.


def test_a_lost_link_fails_all_exchanges_with_their_outcomes() -> None:
    """Only a request whose END never left is certain not to have run."""
    lone = Lone(settings=FINAL).greeted()
    complete, completed = lone.open()
    complete.end()
    _partial, unfinished = lone.open()
    lone.turn()
    _queued, never_sent = lone.open()
    lone.cut()
    assert completed.failure == ExchangeFailure(None, "the network broke", Outcome.UNKNOWN)
    assert unfinished.failure.outcome is Outcome.NOT_DELIVERED
    assert never_sent.failure.outcome is Outcome.NOT_DELIVERED
    assert lone.owner.lost == [GONE]
    assert lone.owner.events[-1] == "lost"
    assert lone.tunnel.exchange_count == 0
    assert not lone.clock.getDelayedCalls()
    assert not lone.tunnel.is_open


def test_after_the_end_nothing_happens_any_more() -> None:
    lone = Lone(settings=FINAL).greeted()
    exchange, receiver = lone.open()
    lone.cut()
    heard = list(receiver.events)
    exchange.write(b"x")
    exchange.end()
    exchange.consumed(1)
    exchange.reset(ErrorCode.CANCEL)
    lone.receive(Open(2, REQUEST))
    lone.end.link_resumed()
    lone.tunnel.flush_soon()
    lone.tunnel.close(ErrorCode.SHUTDOWN)
    lone.tunnel.lose(GONE)
    lone.cut()
    assert receiver.events == heard
    assert lone.owner.lost == [GONE]
    assert not lone.owner.opened
    assert not lone.clock.getDelayedCalls()
    with pytest.raises(GoingAway):
        lone.open()


def test_close_says_why_and_fails_what_is_open() -> None:
    lone = Lone().greeted()
    _exchange, receiver = lone.open()
    lone.tunnel.close(ErrorCode.SHUTDOWN, "the relay is stopping", 3.0)
    (message,) = lone.link.take()
    assert [type(frame) for frame in message] == [Open, Goaway]
    assert message[1] == Goaway(0, ErrorCode.SHUTDOWN, "the relay is stopping", 3.0)
    assert lone.link.closed == [(1000, "the relay is stopping")]
    assert receiver.failure.text == "the relay is stopping"
    assert lone.owner.events[-1] == "lost"
    assert not lone.clock.getDelayedCalls()


def test_close_reaches_a_peer_that_reads_slowly_without_all_the_bodies() -> None:
    """Into a full buffer goes one more message, with the reason in front."""
    lone = Lone().greeted()
    exchange, _receiver = lone.open()
    lone.turn()
    lone.link.take()
    lone.end.link_paused()
    exchange.write(bytes(200_000))
    lone.tunnel.close(ErrorCode.REVOKED, "the key was revoked")
    (message,) = lone.link.take()
    assert type(message[0]) is Goaway
    assert len(lone.link.closed) == 1


def test_close_reaches_a_peer_that_reads_slowly_without_all_the_heads() -> None:
    """They fill more than one message, and there is room for no other: nobody needs them any more."""
    lone = Lone().greeted()
    lone.end.link_paused()
    head = replace(REQUEST, headers=tuple((f"x-{number}", "x" * 200) for number in range(100)))
    for _ in range(4):
        lone.tunnel.open(head, Receiver())
    lone.tunnel.close(ErrorCode.REPLACED, "another process")
    assert lone.link.take() == [[Goaway(0, ErrorCode.REPLACED, "another process", 0.0)]]


def test_going_away_lets_open_exchanges_run_on() -> None:
    joint = Joint()
    exchange, receiver, accepted, _ = joint.open()
    joint.relay.go_away(ErrorCode.SHUTDOWN, "soon", 1.0)
    joint.settle()
    assert joint.agent_owner.notices[0].code is ErrorCode.SHUTDOWN
    assert not joint.agent.is_open
    with pytest.raises(GoingAway):
        joint.relay.open(REQUEST, Receiver())
    exchange.end()
    accepted.send_head(RESPONSE)
    accepted.end()
    joint.settle()
    assert receiver.names == ["head", "ended"]


def test_what_the_peer_never_looked_at_is_not_delivered() -> None:
    lone = Lone().greeted()
    exchange, receiver = lone.open()
    exchange.end()
    lone.turn()
    lone.receive(Goaway(0, ErrorCode.SHUTDOWN, "the agent is stopping"))
    expected = ExchangeFailure(None, "the agent is stopping", Outcome.NOT_DELIVERED)
    assert receiver.failure == expected


def test_a_broken_protocol_closes_with_the_code() -> None:
    """Exchanges fail with the reason, the peer is told, and the owner hears it once."""
    lone = Lone().greeted()
    exchange, receiver = lone.open()
    exchange.end()
    lone.turn()
    lone.link.take()
    lone.end.message_received(b"\xc1")
    (message,) = lone.link.take()
    assert isinstance(message[0], Goaway)
    assert message[0].code is ErrorCode.PROTOCOL_ERROR
    ((code, text),) = lone.link.closed
    assert code == 1002
    assert receiver.failure.code is None
    assert receiver.failure.text.startswith(text)
    assert receiver.failure.outcome is Outcome.UNKNOWN
    assert len(lone.owner.lost) == 1
    assert not lone.clock.getDelayedCalls()


def test_what_came_before_the_broken_frame_still_counts() -> None:
    """An answer in the same message is delivered before the exchange would fail."""
    lone = Lone().greeted()
    exchange, receiver = lone.open()
    exchange.end()
    lone.turn()
    lone.receive(Head(1, RESPONSE), Data(1, b"x"), End(1), Data(9, b"never opened"))
    assert receiver.names == ["head", "data", "ended"]
    assert lone.link.closed[0][0] == 1002


# Silence.


def test_a_silent_peer_is_asked_and_then_given_up() -> None:
    lone = Lone(settings=Settings(ping_after_s=20.0, dead_after_s=45.0)).greeted()
    _exchange, receiver = lone.open()
    lone.turn()
    lone.link.take()
    lone.clock.advance(25)
    assert lone.link.take() == [[Ping(2)]]
    lone.clock.advance(20)
    assert lone.link.take() == []
    assert lone.link.aborted
    assert lone.owner.suspensions[0].text == "the peer fell silent"
    assert not receiver.events
    lone.clock.advance(59)
    assert not lone.owner.lost
    lone.clock.advance(1)
    assert lone.owner.lost[0].text == "the peer fell silent"
    assert receiver.failure.text == "the peer fell silent"
    assert not lone.clock.getDelayedCalls()


def test_a_peer_that_answers_lives_and_its_distance_is_known() -> None:
    lone = Lone().greeted()
    for token in range(2, 10):
        lone.clock.advance(25)
        lone.clock.pump([0.25])
        lone.receive(Pong(token))
        lone.turn()
    assert lone.tunnel.is_open
    assert lone.tunnel.session.round_trip_s == 0.25


def test_two_idle_tunnels_stay_together_for_ever() -> None:
    joint = Joint()
    for _ in range(600):
        joint.clock.advance(5)
        joint.settle()
    assert joint.relay.is_open
    assert joint.agent.is_open


# Receivers that act within a callback.


def test_a_receiver_may_drop_its_exchange_at_the_first_byte() -> None:
    """It hears nothing more, even of what came in the same message."""
    lone = Lone().greeted()
    exchange, receiver = lone.open(data=lambda: exchange.reset(ErrorCode.CANCEL, "enough"))
    lone.turn()
    lone.link.take()
    lone.receive(Head(1, RESPONSE), Data(1, b"a"), Data(1, b"b"), End(1))
    assert receiver.names == ["head", "data"]
    lone.turn()
    assert lone.link.take() == [[Reset(1, ErrorCode.CANCEL, "enough")]]
    assert lone.tunnel.exchange_count == 0


def test_a_receiver_may_open_the_next_exchange() -> None:
    lone = Lone().greeted()
    exchange, receiver = lone.open(ended=lone.open)
    exchange.end()
    lone.turn()
    lone.link.take()
    lone.receive(Head(1, RESPONSE), End(1))
    lone.turn()
    assert receiver.names == ["head", "ended"]
    assert [type(frame) for frame in lone.link.take()[0]] == [Open]


def test_a_receiver_may_close_the_tunnel() -> None:
    """Everybody else fails, nobody hears of anything twice, in whatever order it came."""
    lone = Lone().greeted()
    _, first = lone.open(data=lambda: lone.tunnel.close(ErrorCode.SHUTDOWN, "enough"))
    _, second = lone.open()
    lone.turn()
    lone.receive(
        Head(1, RESPONSE), Head(3, RESPONSE), Data(1, b"a"), Data(3, b"b"), Open(2, REQUEST)
    )
    assert first.names == ["head", "data", "failed"]
    assert second.names == ["head", "data", "failed"]
    assert lone.owner.events.count("lost") == 1
    assert lone.owner.events[-1] == "lost"
    assert receiver_of(lone.owner.opened[0]).names == ["failed"]
    assert lone.tunnel.exchange_count == 0


def test_a_receiver_may_write_when_it_has_drained() -> None:
    lone = Lone().greeted()
    more = [bytes(70_000)]
    exchange, receiver = lone.open(drained=lambda: more and exchange.write(more.pop()))
    exchange.write(bytes(70_000))
    lone.turn()
    lone.receive(Ack(3))  # the first message: two of them are under way at most
    lone.turn()
    assert receiver.names == ["drained", "drained"]
    sent = [frame for message in lone.link.take() for frame in message]
    assert sum(len(frame.data) for frame in sent if isinstance(frame, Data)) == 140_000


# Mistakes.


@pytest.mark.parametrize("at", ["head", "data", "ended"])
def test_a_mistake_of_a_receiver_costs_its_own_stream(
    at: str, logged_failures: LoggedFailures
) -> None:
    """It is logged, the stream is reset, the receiver hears that it is over, others go on."""
    lone = Lone().greeted()
    _, careless = lone.open(**{at: boom})
    _, careful = lone.open()
    lone.turn()
    lone.link.take()
    heads_and_data = (Head(1, RESPONSE), Head(3, RESPONSE), Data(1, b"a"), Data(3, b"b"))
    lone.receive(*heads_and_data, End(1), End(3))
    assert careful.names == ["head", "data", "ended"]
    assert careless.names[-1] == "failed"
    assert careless.failure.code is ErrorCode.INTERNAL_ERROR
    lone.turn()
    assert lone.link.take() == [[Reset(1, ErrorCode.INTERNAL_ERROR, "internal error")]]
    assert lone.tunnel.is_open
    assert len(logged_failures.take(Boom)) == 1


def test_a_mistake_while_failing_is_only_logged(logged_failures: LoggedFailures) -> None:
    lone = Lone(settings=FINAL).greeted()
    _, twice_careless = lone.open(data=boom, failed=boom)
    _, also_careless = lone.open(failed=boom)
    _, careful = lone.open()
    lone.turn()
    lone.receive(Head(1, RESPONSE), Data(1, b"a"))
    assert lone.tunnel.is_open
    lone.cut()
    assert twice_careless.names == ["head", "data", "failed"]
    assert also_careless.names == ["failed"]
    assert careful.names == ["failed"]
    assert lone.owner.lost == [GONE]
    assert len(logged_failures.take(Boom)) == 3


def test_a_mistake_in_taking_an_exchange_refuses_that_one(logged_failures: LoggedFailures) -> None:
    lone = Lone(owner=Owner(Role.RELAY, opened=boom)).greeted()
    lone.receive(Open(2, REQUEST))
    lone.turn()
    assert lone.link.take() == [[Reset(2, ErrorCode.INTERNAL_ERROR, "internal error")]]
    assert lone.tunnel.is_open
    assert lone.tunnel.exchange_count == 0
    assert logged_failures.take(Boom)


def test_a_mistake_in_hearing_of_the_loss_is_logged(logged_failures: LoggedFailures) -> None:
    lone = Lone(owner=Owner(Role.RELAY, lost=boom)).greeted()
    lone.tunnel.close(ErrorCode.SHUTDOWN)
    assert logged_failures.take(Boom)


def test_late_frames_of_a_dropped_exchange_are_passed_over() -> None:
    lone = Lone().greeted()
    exchange, receiver = lone.open()
    lone.turn()
    exchange.reset(ErrorCode.CANCEL)
    lone.receive(Head(1, RESPONSE), Data(1, b"late"), Window(1, 1), End(1))
    assert not receiver.events
    assert lone.tunnel.is_open


@pytest.mark.parametrize("leaver", ["relay", "agent"])
def test_open_exchanges_hear_that_one_side_goes_away(
    leaver: str, logged_failures: LoggedFailures
) -> None:
    """On both sides, so that what would last can be ended; a mistake of one costs no other."""
    joint = Joint()
    _, first, _, taken = joint.open(going_away=boom)
    _, second, _, _ = joint.open()
    {"relay": joint.relay, "agent": joint.agent}[leaver].go_away(ErrorCode.NO_ERROR)
    joint.settle()
    assert [one.going_away_count for one in (first, second, taken)] == [1, 1, 1]
    assert logged_failures.take(Boom)
