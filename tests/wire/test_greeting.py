"""The greeting: HELLO, WELCOME or GOAWAY, alone in their messages, and nothing else."""

import pytest

from mcptunnel.wire.codec import Decoder
from mcptunnel.wire.constants import ErrorCode, Role
from mcptunnel.wire.errors import LocalProtocolError, RemoteProtocolError
from mcptunnel.wire.frames import Frame, Goaway, Hello, Welcome
from mcptunnel.wire.greeting import _AFTER, Greeting, GreetingState, GreetingStep
from mcptunnel.wire.settings import Limits, Settings
from tests.wire.pairs import HELLO, WELCOME, message
from tests.wire.test_frames import SHOWN

SETTINGS = Settings(window_bytes=1000, max_streams=5)


def fresh(role: Role) -> Greeting:
    return Greeting(role, SETTINGS)


def greeted(role: Role) -> Greeting:
    """Return a side after HELLO."""
    greeting = fresh(role)
    if role is Role.AGENT:
        greeting.hello(HELLO)
    else:
        greeting.receive(message(HELLO))
    return greeting


def refused(greeting: Greeting, *frames: Frame) -> ErrorCode:
    with pytest.raises(RemoteProtocolError) as caught:
        greeting.receive(message(*frames))
    return caught.value.code


def test_a_greeting() -> None:
    """Versions and limits are filled in from the settings; the token and the count pass."""
    relay, agent = fresh(Role.RELAY), fresh(Role.AGENT)
    said = agent.hello(Hello("i", "laptop", "1.0", Limits(7, 7), (9,), "token", 5))
    hello = Hello("i", "laptop", "1.0", Limits(1000, 5), (1,), "token", 5)
    assert relay.receive(said) == hello
    assert (relay.state, agent.state) == (GreetingState.GREETED, GreetingState.GREETED)
    said = relay.welcome(Welcome("s", "laptop-2", "Hello.", Limits(7, 7), 9, True, "t", 3))
    welcome = Welcome("s", "laptop-2", "Hello.", Limits(1000, 5), 1, True, "t", 3)
    assert agent.receive(said) == welcome
    assert (relay.state, agent.state) == (GreetingState.DONE, GreetingState.DONE)


@pytest.mark.parametrize("state", GreetingState)
@pytest.mark.parametrize("step", GreetingStep)
def test_every_state_and_step(state: GreetingState, step: GreetingStep) -> None:
    """HELLO, then WELCOME, each once; nothing else."""
    allowed = {("opening", "HELLO"): "greeted", ("greeted", "WELCOME"): "done"}
    found = _AFTER.get((state, step))
    assert (found and found.value) == allowed.get((state.value, step.value))


def test_only_the_agent_says_hello_and_only_once() -> None:
    """HELLO out of order is our own defect, and changes nothing."""
    with pytest.raises(LocalProtocolError):
        fresh(Role.RELAY).hello(HELLO)
    agent = greeted(Role.AGENT)
    with pytest.raises(LocalProtocolError):
        agent.hello(HELLO)
    assert agent.receive(message(WELCOME)) == WELCOME


def test_only_the_relay_says_welcome_and_only_after_hello() -> None:
    for greeting in (fresh(Role.RELAY), greeted(Role.AGENT)):
        with pytest.raises(LocalProtocolError):
            greeting.welcome(WELCOME)


def test_a_hello_that_cannot_be_sent_changes_nothing() -> None:
    """After a refused HELLO a good one can follow."""
    agent = fresh(Role.AGENT)
    with pytest.raises(LocalProtocolError):
        agent.hello(Hello("", "laptop", "1.0"))
    agent.hello(HELLO)


EVERY = [frame for frame, _ in SHOWN]


@pytest.mark.parametrize("frame", [f for f in EVERY if not isinstance(f, Hello)], ids=str)
def test_a_relay_wants_hello_first(frame: Frame) -> None:
    """Nothing but HELLO may come first from an agent, not even GOAWAY."""
    assert refused(fresh(Role.RELAY), frame) is ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize("frame", [f for f in EVERY if not isinstance(f, Goaway)], ids=str)
def test_an_agent_that_said_nothing_wants_to_hear_nothing(frame: Frame) -> None:
    """A relay does not speak first, except to go away."""
    assert refused(fresh(Role.AGENT), frame) is ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize("frame", EVERY, ids=str)
def test_after_hello_the_agent_waits(frame: Frame) -> None:
    """Between HELLO and WELCOME an agent sends no other frame, and no second HELLO."""
    assert refused(greeted(Role.RELAY), frame) is ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize(
    "frame", [f for f in EVERY if not isinstance(f, Welcome | Goaway)], ids=str
)
def test_an_agent_wants_welcome_first(frame: Frame) -> None:
    """Nothing but WELCOME answers HELLO, except GOAWAY."""
    assert refused(greeted(Role.AGENT), frame) is ErrorCode.PROTOCOL_ERROR


def test_a_greeting_travels_alone() -> None:
    """So that the frames behind it can belong to another session."""
    assert refused(fresh(Role.RELAY), HELLO, HELLO) is ErrorCode.PROTOCOL_ERROR
    assert refused(greeted(Role.AGENT), WELCOME, Goaway(0, ErrorCode.NO_ERROR)) is (
        ErrorCode.PROTOCOL_ERROR
    )


def test_versions_must_overlap() -> None:
    """A peer that cannot speak our version is told so."""
    said = fresh(Role.RELAY).receive(message(Hello("i", "d", "1", versions=(2, 1))))
    assert isinstance(said, Hello)
    assert refused(fresh(Role.RELAY), Hello("i", "d", "1", versions=(2, 3))) is (
        ErrorCode.UNSUPPORTED_VERSION
    )
    assert refused(greeted(Role.AGENT), Welcome("s", "d", version=2)) is (
        ErrorCode.UNSUPPORTED_VERSION
    )


def test_a_relay_can_refuse_an_agent() -> None:
    """GOAWAY instead of WELCOME says why, whatever the words are."""
    refusal = Goaway(0, ErrorCode.REVOKED, "?" * 1024, 3.0)
    said = Greeting.refusal(ErrorCode.REVOKED, "\ud800" * 5000, 3.0)
    assert Decoder().decode(said) == [refusal]
    assert greeted(Role.AGENT).receive(said) == refusal


def test_nonsense_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        fresh(Role.RELAY).receive(b"\xc1")
