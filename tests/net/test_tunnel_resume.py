"""A tunnel over several links: what survives, how long it waits, and who may speak for it."""

import random
from collections.abc import Callable

import pytest

from mcptunnel.model import Outcome
from mcptunnel.net.exchange import Exchange, ExchangeFailure
from mcptunnel.net.link import LinkLost
from mcptunnel.wire.codec import encode
from mcptunnel.wire.constants import ErrorCode, Role
from mcptunnel.wire.frames import Ack, Data, End, Goaway, Head, Hello, Open, Ping
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


def boom(*_values: object) -> None:
    raise Boom


def resuming(last_received: int) -> Hello:
    return Hello(
        "installation-0001", "laptop", "1.0", resume_token="t", last_received=last_received
    )


def test_exchanges_go_on_over_the_next_link() -> None:
    """A call in flight, and one that is opened while there is no link."""
    joint = Joint()
    exchange, receiver, accepted, taken = joint.open()
    joint.pair.cut()
    assert [joint.relay.is_suspended, joint.agent.is_suspended] == [True, True]
    assert joint.relay.is_open
    exchange.write(b"question")
    exchange.end()
    late = Receiver()
    joint.relay.open(REQUEST, late).end()
    joint.settle()
    joint.connect()
    assert [joint.relay.is_suspended, joint.agent.is_suspended] == [False, False]
    assert taken.events == [("data", b"question"), ("ended",)]
    for one in (accepted, joint.agent_owner.opened[-1]):
        one.send_head(RESPONSE)
        one.end()
    joint.settle()
    assert receiver.names == late.names == ["head", "ended"]
    assert joint.relay_owner.events == ["made", "hello", "suspended", "made", "hello"]
    assert joint.agent_owner.events.count("suspended") == 1
    joint.clock.advance(100)
    assert not joint.relay_owner.lost, "the window was only for the time without a link"


@pytest.mark.parametrize("seed", range(20))
def test_bodies_survive_any_number_of_cuts(seed: int) -> None:
    """200 KB both ways, a cut every few turns: not one byte lost, doubled or out of order."""
    chance = random.Random(seed)
    joint = Joint(settings=Settings(window_bytes=20_000, replay_bytes=30_000))
    exchange, _, accepted, _ = joint.open()
    accepted.send_head(RESPONSE)
    bodies = chance.randbytes(200_000), chance.randbytes(200_000)
    ways: list[tuple[Exchange, bytes, Exchange, bytearray]] = []
    for sender, body, taker in ((exchange, bodies[0], accepted), (accepted, bodies[1], exchange)):
        taker.receiver = Taking(taker, got := bytearray())
        sender.write(body)
        sender.end()
        ways.append((sender, body, taker, got))
    for _ in range(400):
        for _ in range(chance.randrange(4)):
            joint.clock.advance(chance.choice([0, 0, 0.05]))
        joint.pair.cut()
        if chance.random() < 0.3:
            joint.clock.advance(5)
        joint.connect()
    for _ in range(60):
        joint.clock.advance(0.1)
    for _, body, _, got in ways:
        assert bytes(got) == body
    assert joint.relay.session.stream_count == joint.agent.session.stream_count == 0


class Taking(Receiver):
    """Consumes at once."""

    def __init__(self, exchange: Exchange, got: bytearray) -> None:
        super().__init__()
        self._exchange = exchange
        self._got = got

    def data_received(self, data: bytes) -> None:
        self._got += data
        self._exchange.consumed(len(data))


@pytest.mark.parametrize(
    ("role", "seconds"), [(Role.RELAY, 10.0), (Role.AGENT, 60.0)], ids=["relay", "agent"]
)
def test_a_closed_link_is_held_for_its_time(role: Role, seconds: float) -> None:
    """A relay expects the agent back at once; the agent itself does not give up so soon."""
    joint = Joint()
    owner = joint.relay_owner if role is Role.RELAY else joint.agent_owner
    joint.pair.cut("the network broke")
    joint.clock.advance(seconds - 0.1)
    assert not owner.lost
    joint.clock.advance(0.1)
    assert owner.lost == [GONE]
    assert owner.tunnel is not None
    assert not owner.tunnel.is_suspended


def test_a_silent_link_is_held_longer() -> None:
    lone = Lone().greeted()
    lone.clock.advance(45)
    assert lone.link.aborted
    lone.clock.advance(59.9)
    assert not lone.owner.lost
    lone.clock.advance(0.1)
    assert lone.owner.lost


@pytest.mark.parametrize(
    "end",
    [
        lambda lone: lone.receive(Goaway(0, ErrorCode.SHUTDOWN, "enough")) or lone.cut(),
        lambda lone: lone.end.link_lost(LinkLost(clean=True, code=1011, text="enough")),
        lambda lone: lone.end.link_lost(LinkLost(clean=False, code=1009, text="enough")),
    ],
    ids=["goaway", "error", "unclean error"],
)
def test_a_peer_that_has_had_enough_is_not_waited_for(end: Callable[[Lone], object]) -> None:
    lone = Lone().greeted()
    end(lone)
    assert len(lone.owner.lost) == 1
    assert not lone.clock.getDelayedCalls()


@pytest.mark.parametrize("code", [None, 1000, 1001])
def test_a_proxy_that_closes_in_order_does_not_end_the_tunnel(code: int | None) -> None:
    lone = Lone().greeted()
    lone.end.link_lost(LinkLost(clean=True, code=code, text="restarting"))
    assert lone.tunnel.is_suspended


def test_a_new_link_replaces_one_that_was_not_known_to_be_dead() -> None:
    """What the old one still brings is not heard: its frames come again over the new one."""
    lone = Lone().greeted()
    lone.receive(Open(2, REQUEST))
    old_end, old_link = lone.end, lone.link
    lone.plug(FakeLink())
    lone.receive(resuming(0))
    assert old_link.aborted
    old_end.message_received(encode(Data(2, b"from the dead")))
    old_end.link_lost(GONE)
    lone.receive(Data(2, b"alive"), End(2))
    assert receiver_of(lone.owner.opened[0]).events == [("data", b"alive"), ("ended",)]
    assert not lone.tunnel.is_suspended
    assert lone.owner.suspensions == []


def test_nothing_is_sent_before_the_greeting_of_the_new_link() -> None:
    lone = Lone().greeted()
    exchange, _ = lone.open()
    lone.cut()
    exchange.write(b"x")
    exchange.end()
    lone.plug(FakeLink())
    lone.turn()
    assert lone.link.take() == []
    lone.receive(resuming(0))
    lone.turn()
    greeting, frames = lone.link.take()
    assert len(greeting) == 1
    assert [type(frame) for frame in frames] == [Ping, Open, Data, End]


def test_numbers_that_cannot_be_true_are_answered_with_the_code() -> None:
    """No WELCOME: the tunnel is lost, its exchanges fail, the link is closed."""
    lone = Lone().greeted()
    _exchange, receiver = lone.open()
    lone.turn()
    lone.cut()
    lone.plug(FakeLink())
    lone.receive(resuming(7))
    ((said,),) = lone.link.take()
    assert isinstance(said, Goaway)
    assert said.code is ErrorCode.PROTOCOL_ERROR
    assert lone.link.closed[0][0] == 1002
    assert receiver.names == ["failed"]
    assert len(lone.owner.lost) == 1
    assert not lone.clock.getDelayedCalls()


def test_a_tunnel_that_nobody_will_resume_can_be_given_up() -> None:
    """Its link is dropped, if it has one."""
    lone = Lone().greeted()
    exchange, receiver = lone.open()
    exchange.end()
    lone.tunnel.lose(GONE)
    assert lone.link.aborted
    expected = ExchangeFailure(None, "the network broke", Outcome.NOT_DELIVERED)
    assert receiver.failure == expected
    lone.tunnel.lose(GONE)
    assert lone.owner.lost == [GONE]
    assert not lone.clock.getDelayedCalls()


def test_closing_without_a_link_tells_nobody_and_ends_it() -> None:
    lone = Lone().greeted()
    _exchange, receiver = lone.open()
    lone.cut()
    lone.tunnel.close(ErrorCode.REVOKED, "the key was revoked")
    assert receiver.failure.text == "the key was revoked"
    assert not lone.clock.getDelayedCalls()


def test_a_resume_proves_what_did_not_arrive() -> None:
    """The agent tells that it has not got the END; then it is gone for good."""
    lone = Lone().greeted()
    exchange, receiver = lone.open()
    exchange.end()
    lone.turn()
    lone.cut()
    lone.plug(FakeLink())
    lone.receive(resuming(1))
    lone.tunnel.lose(GONE)
    assert receiver.failure.outcome is Outcome.NOT_DELIVERED


def test_an_acknowledgement_follows_in_time() -> None:
    """And the heartbeat goes on as before."""
    lone = Lone().greeted()
    lone.receive(Open(2, REQUEST))
    lone.turn()
    assert lone.link.take() == []
    lone.clock.advance(0.1)
    assert lone.link.take() == [[Ack(1)]]
    lone.clock.advance(24.9)
    assert lone.link.take() == [[Ping(2)]]


def test_a_mistake_in_hearing_of_the_suspension_is_logged(
    logged_failures: LoggedFailures,
) -> None:
    lone = Lone(owner=Owner(Role.RELAY, suspended=boom)).greeted()
    lone.cut()
    assert lone.tunnel.is_suspended
    assert logged_failures.take(Boom)


def test_answers_of_the_next_link_reach_those_who_asked_over_the_last() -> None:
    lone = Lone().greeted()
    exchange, receiver = lone.open()
    exchange.end()
    lone.turn()
    lone.cut()
    lone.plug(FakeLink())
    lone.receive(resuming(2))
    lone.receive(Head(1, RESPONSE), Data(1, b"x"), End(1))
    assert receiver.names == ["head", "data", "ended"]


@pytest.mark.parametrize("leaver", [Role.RELAY, Role.AGENT])
def test_calls_that_run_on_after_goaway_survive_a_broken_link(leaver: Role) -> None:
    """And are asked nothing new over the next one."""
    joint = Joint()
    _, receiver, accepted, _ = joint.open()
    stays, leaves = joint.relay, joint.agent
    if leaver is Role.RELAY:
        stays, leaves = leaves, stays
    leaves.go_away(ErrorCode.NO_ERROR, "stopping")
    joint.settle()
    joint.pair.cut()
    assert [stays.is_suspended, leaves.is_suspended] == [True, True]
    joint.connect()
    assert [stays.is_open, leaves.is_open] == [False, False]
    accepted.send_head(RESPONSE)
    accepted.end()
    joint.settle()
    assert receiver.names == ["head", "ended"]


def test_goaway_that_found_no_link_is_told_over_the_next() -> None:
    joint = Joint()
    joint.open()
    joint.pair.cut()
    joint.agent.go_away(ErrorCode.NO_ERROR, "stopping")
    joint.settle()
    assert joint.relay_owner.notices == []
    joint.connect()
    assert [notice.code for notice in joint.relay_owner.notices] == [ErrorCode.NO_ERROR]


def test_with_nothing_open_a_peer_that_goes_away_is_not_waited_for() -> None:
    lone = Lone().greeted()
    lone.receive(Goaway(0, ErrorCode.NO_ERROR, "stopping"))
    lone.cut()
    assert len(lone.owner.lost) == 1
    assert not lone.clock.getDelayedCalls()
