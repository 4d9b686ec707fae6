"""Links in memory behave as links over sockets do."""

from typing import Any

import pytest
from twisted.internet.task import Clock

from mcptunnel.net.link import LinkLost
from mcptunnel.net.memory import MemoryPair
from tests.conftest import LoggedFailures
from tests.net.links import Recorder

ABORTED = LinkLost(clean=False, code=None, text="aborted")


def opened(
    left: Recorder | None = None, right: Recorder | None = None, **options: Any
) -> tuple[MemoryPair, Recorder, Recorder]:
    """Return an open pair and its two receivers."""
    left, right = left or Recorder(), right or Recorder()
    pair = MemoryPair(left, right, **options)
    pair.open()
    return pair, left, right


def test_nothing_moves_before_it_is_pumped() -> None:
    """Sending never calls the other end; order is kept."""
    pair, left, right = opened(right=Recorder(echo=True))
    left.link.send_message(b"1")
    left.link.send_message(b"2")
    assert right.messages == []
    pair.flush()
    assert right.messages == [b"1", b"2"]
    assert left.messages == [b"1", b"2"]
    assert left.link is pair.left
    assert (left.link.peer, right.link.peer) == ("memory:right", "memory:left")


def test_two_ends_that_never_fall_silent() -> None:
    """The pump gives up instead of turning for ever."""
    pair, left, _ = opened(Recorder(echo=True), Recorder(echo=True))
    left.link.send_message(b"x")
    with pytest.raises(RuntimeError, match="never fall silent"):
        pair.flush()


def test_closing_is_clean_and_after_what_was_sent() -> None:
    """Both ends hear the code; what the other had sent is not heard any more."""
    pair, left, right = opened()
    left.link.send_message(b"last")
    right.link.send_message(b"unheard")
    left.link.close(4000, "bye")
    left.link.close()
    left.link.send_message(b"too late")
    pair.flush()
    assert right.messages == [b"last"]
    assert left.messages == []
    assert left.lost == right.lost == [LinkLost(clean=True, code=4000, text="bye")]
    right.link.send_message(b"into the void")
    right.link.close()
    right.link.abort()
    pair.flush()
    assert len(right.lost) == 1


def test_both_close_at_once() -> None:
    """One of the two wins; each end hears one end."""
    pair, left, right = opened()
    left.link.close(4000)
    right.link.close(4001)
    pair.flush()
    assert len(left.lost) == len(right.lost) == 1


def test_an_abort_drops_what_is_on_its_way_and_is_told_later() -> None:
    """Not from within `abort`, and even to an end that is held."""
    pair, left, right = opened()
    pair.left.hold()
    left.link.send_message(b"lost")
    left.link.abort()
    assert left.lost == []
    pair.flush()
    assert left.lost == right.lost == [ABORTED]
    assert right.messages == []


def test_a_cut_is_told_at_once() -> None:
    """As when somebody pulls the plug."""
    pair, left, right = opened()
    left.link.send_message(b"lost")
    pair.cut("no more network")
    expected = [LinkLost(clean=False, code=None, text="no more network")]
    assert left.lost == right.lost == expected
    assert right.messages == []
    pair.cut()
    assert len(left.lost) == 1


def test_too_much_unread_pauses_the_sender() -> None:
    """Above the mark once, resumed when all has gone."""
    pair, left, right = opened(buffer_bytes=10)
    pair.left.hold()
    left.link.send_message(b"x" * 10)
    assert left.events == ["made"]
    left.link.send_message(b"x")
    left.link.send_message(b"x")
    assert left.events == ["made", "paused"]
    pair.flush()
    assert right.messages == []
    pair.left.release()
    pair.flush()
    assert left.events == ["made", "paused", "resumed"]
    assert len(right.messages) == 3


@pytest.mark.parametrize("event", ["made", "message", "paused", "resumed"])
def test_a_receiver_that_fails_loses_its_link(event: str, logged_failures: LoggedFailures) -> None:
    """The mistake is logged and both ends hear 1011."""
    pair, left, right = opened(left=Recorder(fails_at=event), buffer_bytes=0)
    right.link.send_message(b"x")
    left.link.send_message(b"x")
    pair.flush()
    expected = LinkLost(clean=True, code=1011, text="internal error")
    assert left.lost == right.lost == [expected]
    assert len(logged_failures.take(ZeroDivisionError)) == 1


def test_a_reactor_delivers_in_the_next_turn() -> None:
    """No pump is needed, and no timer is left when the link is idle or lost."""
    clock = Clock()
    _, left, right = opened(right=Recorder(echo=True), reactor=clock)
    left.link.send_message(b"x")
    assert right.messages == []
    clock.advance(0)
    assert right.messages == [b"x"]
    clock.advance(0)
    assert left.messages == [b"x"]
    assert clock.getDelayedCalls() == []
    left.link.close()
    clock.advance(0)
    assert len(left.lost) == len(right.lost) == 1
    assert clock.getDelayedCalls() == []


def test_a_delay_holds_for_each_message() -> None:
    """As latency does: what is sent later arrives later."""
    clock = Clock()
    _, left, right = opened(reactor=clock, delay_s=0.5)
    left.link.send_message(b"1")
    clock.advance(0.3)
    left.link.send_message(b"2")
    right.link.send_message(b"back")
    clock.advance(0.2)
    assert right.messages == [b"1"]
    assert left.messages == []
    clock.advance(0.3)
    assert right.messages == [b"1", b"2"]
    assert left.messages == [b"back"]


def test_an_abort_does_not_wait_for_the_delay() -> None:
    """It is told in the next turn; nothing is left."""
    clock = Clock()
    _, left, right = opened(reactor=clock, delay_s=60.0)
    left.link.send_message(b"lost")
    left.link.abort()
    clock.advance(0)
    assert left.lost == right.lost == [ABORTED]
    assert clock.getDelayedCalls() == []


def test_a_cut_leaves_no_timer() -> None:
    """What was to be delivered is forgotten."""
    clock = Clock()
    pair, left, _ = opened(reactor=clock, delay_s=60.0)
    left.link.send_message(b"lost")
    pair.cut()
    assert clock.getDelayedCalls() == []


def test_a_release_delivers_what_was_held() -> None:
    """Also when the reactor pumps."""
    clock = Clock()
    pair, left, right = opened(reactor=clock)
    pair.left.hold()
    left.link.send_message(b"held")
    clock.advance(5)
    assert right.messages == []
    assert clock.getDelayedCalls() == []
    pair.left.release()
    clock.advance(0)
    assert right.messages == [b"held"]
