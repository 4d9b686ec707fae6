"""One end of one link: greeting, refusal, patience, and that a link that was parted is never heard."""

from collections.abc import Callable

import pytest

from mcptunnel.net.link_end import LinkEnd
from mcptunnel.wire.codec import encode
from mcptunnel.wire.constants import ErrorCode, Role
from mcptunnel.wire.frames import Ack, Data, Goaway, Hello, Ping, Pong, Welcome
from mcptunnel.wire.settings import Settings
from tests.conftest import LoggedFailures
from tests.net.tunnels import GONE, HELLO, REQUEST, Boom, FakeLink, Lone, Owner, Receiver

WELCOME = Welcome("session", "laptop")


def boom(*_values: object) -> None:
    raise Boom


def agent() -> Lone:
    return Lone(owner=Owner(Role.AGENT))


def test_the_agent_speaks_first_and_the_relay_answers() -> None:
    """Each greeting is a message of its own."""
    relay, asking = Lone(), agent()
    assert asking.link.take() == [[HELLO]]
    relay.receive(HELLO)
    assert relay.link.take() == [[WELCOME]]
    asking.receive(WELCOME)
    assert (relay.owner.events, asking.owner.events) == (["made", "hello"], ["made", "welcome"])
    assert relay.tunnel.is_open
    assert asking.tunnel.is_open


@pytest.mark.parametrize("role", Role)
def test_a_greeting_with_a_broken_frame_behind_it_is_none(role: Role) -> None:
    """The owner must not take somebody in whose greeting is broken; the peer is told."""
    lone = Lone(owner=Owner(role))
    lone.link.take()
    lone.receive(HELLO if role is Role.RELAY else WELCOME, Data(2, b"too early"))
    ((said,),) = lone.link.take()
    assert isinstance(said, Goaway)
    assert said.code is ErrorCode.PROTOCOL_ERROR
    assert lone.link.closed[0][0] == 1002
    assert lone.owner.events == ["made", "link_lost"]
    assert not lone.clock.getDelayedCalls()
    lone.receive(HELLO)
    lone.cut()
    assert lone.owner.events == ["made", "link_lost"]


def test_a_peer_that_never_greets_is_given_up() -> None:
    lone = Lone()
    lone.clock.advance(45)
    assert lone.link.aborted
    assert lone.owner.events == ["made", "link_lost"]
    assert lone.owner.lost_links[0].text == "the peer fell silent"
    assert not lone.link.messages


def test_a_link_that_is_lost_in_the_greeting() -> None:
    lone = Lone()
    lone.cut()
    assert lone.owner.lost_links == [GONE]
    assert not lone.clock.getDelayedCalls()
    assert lone.end.peer == ""


def test_a_refusal_is_told_and_ends_the_link() -> None:
    """The link's own end is nothing new then."""
    lone = Lone()
    lone.end.refuse(ErrorCode.SHUTDOWN, "the relay is stopping", 3.0)
    assert lone.link.take() == [[Goaway(0, ErrorCode.SHUTDOWN, "the relay is stopping", 3.0)]]
    assert lone.link.closed == [(1000, "the relay is stopping")]
    assert lone.owner.lost_links[0].clean
    lone.cut()
    assert lone.owner.events == ["made", "link_lost"]
    assert not lone.clock.getDelayedCalls()


def test_a_refused_agent_hears_why() -> None:
    lone = agent()
    refusal = Goaway(0, ErrorCode.REVOKED, "the key was revoked")
    lone.receive(refusal)
    lone.cut()
    assert lone.owner.refusals == [refusal]
    assert lone.owner.events == ["made", "refused", "link_lost"]


def test_a_parted_link_is_dropped_and_never_heard_again() -> None:
    """Whatever still comes from it, in whatever order: no old link can answer for a new one."""
    lone = Lone().greeted()
    end, tunnel = lone.end, lone.tunnel
    end.part()
    assert lone.link.aborted
    lone.receive(HELLO)
    end.message_received(encode(Data(9, b"never opened")))
    end.link_paused()
    end.link_resumed()
    end.link_lost(GONE)
    end.part()
    assert lone.owner.events == ["made", "hello"]
    assert tunnel.is_open


def test_a_mistake_in_greeting_refuses_the_peer(logged_failures: LoggedFailures) -> None:
    lone = Lone(owner=Owner(Role.RELAY, hello=boom))
    lone.receive(HELLO)
    ((said,),) = lone.link.take()
    assert isinstance(said, Goaway)
    assert said.code is ErrorCode.INTERNAL_ERROR
    assert lone.link.closed == [(1000, "internal error")]
    assert lone.owner.events == ["made", "hello", "link_lost"]
    assert logged_failures.take(Boom)


def test_a_mistake_after_joining_a_tunnel_ends_that(logged_failures: LoggedFailures) -> None:
    lone = Lone(owner=Owner(Role.AGENT, welcome=boom))
    lone.link.take()
    lone.receive(WELCOME)
    ((said,),) = lone.link.take()
    assert isinstance(said, Goaway)
    assert said.code is ErrorCode.INTERNAL_ERROR
    assert lone.owner.events == ["made", "welcome", "lost"]
    assert logged_failures.take(Boom)


def test_a_mistake_in_hearing_of_the_loss_is_only_logged(logged_failures: LoggedFailures) -> None:
    lone = Lone(owner=Owner(Role.RELAY, link_lost=boom))
    lone.cut()
    assert logged_failures.take(Boom)


def test_an_end_without_a_link_says_nothing() -> None:
    """What a program says before or after the link is harmless."""
    owner = Owner(Role.AGENT)
    end: LinkEnd = owner.end()
    end.hello(Hello("installation-0001", "laptop", "1.0"))
    end.close(1000, "")
    end.part()
    assert not owner.events


def test_a_full_buffer_is_known_to_the_tunnel_that_joins() -> None:
    """A link that paused in the greeting is paused for the tunnel as well."""
    lone = Lone(link=FakeLink(pauses_after=1)).greeted()
    lone.tunnel.open(REQUEST, Receiver())
    lone.turn()
    assert not lone.link.messages
    lone.end.link_resumed()
    assert len(lone.link.take()) == 1


# A peer that does not read.


def paused(lone: Lone, for_s: float) -> None:
    lone.end.link_paused()
    lone.clock.advance(for_s)


def test_a_peer_that_does_not_read_is_given_up() -> None:
    """Though it sends all the time: the transport's buffer stayed full for `dead_after_s`."""
    lone = Lone().greeted()
    _exchange, receiver = lone.open()
    lone.end.link_paused()
    aborted = []
    for _ in range(45):
        lone.clock.advance(1)
        lone.receive(Ping(1))
        aborted.append(lone.link.aborted)
    assert aborted == [False] * 44 + [True]
    assert lone.owner.suspensions[0].text == "the peer takes nothing that is sent to it"
    lone.clock.advance(60)
    assert receiver.failure.text == "the peer takes nothing that is sent to it"
    assert not lone.clock.getDelayedCalls()


def test_a_path_on_which_something_arrives_is_not_given_up() -> None:
    """The buffer is full all the time, yet each ACK tells of more: 45 s count from the last one."""
    lone = Lone().greeted()
    exchange, _receiver = lone.open()
    lone.tunnel.session.send_data(exchange.stream_id, bytes(100_000))
    lone.turn()
    sent = [frame for taken in lone.link.take() for frame in taken]
    assert len(sent) > 3
    lone.end.link_paused()
    for count in range(1, 4):
        lone.clock.advance(40)
        lone.receive(Ack(count))
    assert not lone.link.aborted
    lone.clock.advance(44)
    lone.receive(Ack(3))  # nothing new
    assert not lone.link.aborted
    lone.clock.advance(1)
    assert lone.link.aborted


def test_a_peer_that_reads_now_and_then_is_not_given_up() -> None:
    """However often the buffer is full, there is one timer for it."""
    lone = Lone().greeted()
    for _ in range(40):
        paused(lone, 8)
        timers = len(lone.clock.getDelayedCalls())
        lone.end.link_resumed()
        lone.clock.advance(2)
        asked = [f for sent in lone.link.take() for f in sent if isinstance(f, Ping)]
        lone.receive(*(Pong(ping.token) for ping in asked), Ping(1))
        assert timers <= 3  # the heartbeat, a flush, and this
    assert not lone.link.aborted


def test_the_time_counts_from_the_last_pause() -> None:
    lone = Lone().greeted()
    paused(lone, 30)
    lone.receive(Ping(1))
    lone.end.link_resumed()
    paused(lone, 30)
    lone.receive(Ping(1))
    aborted = [lone.link.aborted]
    lone.clock.advance(15)
    assert [*aborted, lone.link.aborted] == [False, True]


def test_a_peer_that_reads_nothing_of_the_greeting_is_dropped() -> None:
    """It has no longer for that than one that says nothing."""
    lone = Lone()
    paused(lone, 45)
    assert lone.link.aborted
    lone.cut()
    assert not lone.clock.getDelayedCalls()


@pytest.mark.parametrize("leave", [Lone.cut, lambda lone: lone.tunnel.lose(GONE)])
def test_a_link_that_is_gone_is_not_watched(leave: Callable[[Lone], None]) -> None:
    lone = Lone(settings=Settings(closed_link_window_s=0.0)).greeted()
    paused(lone, 1)
    leave(lone)
    assert not lone.clock.getDelayedCalls()


def test_a_tunnel_that_closes_a_full_link_is_told_nothing_more() -> None:
    """The close has its own time limit; that the peer does not read is no news."""
    lone = Lone().greeted()
    paused(lone, 1)
    lone.tunnel.close(ErrorCode.SHUTDOWN)
    lone.clock.advance(45)
    assert len(lone.owner.lost) == 1
    assert lone.owner.suspensions == []
