"""One end of one link: greeting, refusal, patience, and that a link that was parted is never heard."""

import pytest

from mcptunnel.net.link_end import LinkEnd
from mcptunnel.wire.codec import encode
from mcptunnel.wire.constants import ErrorCode, Role
from mcptunnel.wire.frames import Data, Goaway, Hello, Welcome
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
