"""Streams between two sessions: an exchange from its first frame to its last, and every way out."""

from collections.abc import Callable

import pytest

from mcptunnel.model import Outcome, RequestHead, ResponseHead
from mcptunnel.wire.constants import (
    HIGH_WATER_BYTES,
    LOW_WATER_BYTES,
    MAX_WINDOW_BYTES,
    ErrorCode,
)
from mcptunnel.wire.errors import LocalProtocolError, RemoteProtocolError, TooManyStreams
from mcptunnel.wire.events import (
    DataReceived,
    EndReceived,
    HeadReceived,
    StreamDrained,
    StreamLost,
    StreamOpened,
    StreamReset,
)
from mcptunnel.wire.exchanges import FIRST_CREDIT_BYTES
from mcptunnel.wire.frames import Data, End, Frame, Head, Open, Reset, Window
from mcptunnel.wire.session import Session
from mcptunnel.wire.settings import Settings
from tests.wire.pairs import REQUEST, carry, joined, message, said, stream_between

OK = ResponseHead(200, (("content-type", "text/event-stream"),))


def test_an_exchange() -> None:
    """Head, body and end go both ways, and then both sides have forgotten the stream."""
    relay, agent = joined()
    stream_id = relay.open(REQUEST)
    relay.send_data(stream_id, b"question")
    relay.send_end(stream_id)
    assert carry(relay, agent) == [
        StreamOpened(stream_id, REQUEST),
        DataReceived(stream_id, b"question"),
        EndReceived(stream_id),
    ]
    agent.send_head(stream_id, OK)
    agent.send_data(stream_id, b"answer")
    agent.send_end(stream_id)
    assert carry(agent, relay) == [
        HeadReceived(stream_id, OK),
        DataReceived(stream_id, b"answer"),
        EndReceived(stream_id),
    ]
    assert (relay.stream_count, agent.stream_count) == (0, 0)


def test_both_sides_open_streams() -> None:
    """The relay's ids are odd, the agent's even; they do not disturb each other."""
    relay, agent = joined()
    assert [relay.open(REQUEST), relay.open(REQUEST)] == [1, 3]
    assert [agent.open(REQUEST), agent.open(REQUEST)] == [2, 4]
    carry(relay, agent)
    carry(agent, relay)
    assert (relay.stream_count, agent.stream_count) == (4, 4)


def test_an_early_answer() -> None:
    """A server may answer completely before it has the whole request."""
    relay, agent = joined()
    stream_id = stream_between(relay, agent)
    agent.send_head(stream_id, OK)
    agent.send_end(stream_id)
    carry(agent, relay)
    assert (relay.stream_count, agent.stream_count) == (1, 1)
    relay.send_end(stream_id)
    assert relay.stream_count == 1  # not before the END is handed out
    carry(relay, agent)
    assert (relay.stream_count, agent.stream_count) == (0, 0)


def test_a_stream_lives_until_its_end_is_handed_out() -> None:
    """An END that waits behind a body without credit keeps the stream, though all has arrived."""
    relay, agent = joined(None, Settings(window_bytes=4))
    stream_id = relay.open(REQUEST)
    relay.send_data(stream_id, b"12345678")
    relay.send_end(stream_id)
    carry(relay, agent)
    agent.send_head(stream_id, OK)
    agent.send_end(stream_id)
    carry(agent, relay)
    assert relay.stream_count == 1
    agent.consumed(stream_id, 4)
    carry(agent, relay)
    assert carry(relay, agent) == [DataReceived(stream_id, b"5678"), EndReceived(stream_id)]
    assert relay.stream_count == 0


def test_a_reset_drops_what_was_queued() -> None:
    """After RESET no frame of the stream follows, and the peer is told why."""
    relay, agent = joined()
    stream_id = stream_between(relay, agent)
    relay.send_data(stream_id, b"unsent")
    relay.reset(stream_id, ErrorCode.CANCEL, "the client went away")
    assert relay.unsent_bytes(stream_id) == 0
    assert carry(relay, agent) == [StreamReset(stream_id, ErrorCode.CANCEL, "the client went away")]
    assert (relay.stream_count, agent.stream_count) == (0, 0)
    assert relay.take_events() == []
    assert said(agent) == []


def test_nothing_follows_a_reset() -> None:
    """Not even what was queued, on the wire."""
    relay, agent = joined()
    stream_id = stream_between(relay, agent)
    relay.send_data(stream_id, b"unsent")
    relay.send_end(stream_id)
    relay.reset(stream_id, ErrorCode.CANCEL)
    assert said(relay) == [Reset(stream_id, ErrorCode.CANCEL)]


def test_frames_that_were_under_way_are_ignored() -> None:
    """Both sides may be surprised by the other's RESET; neither takes it for an error."""
    relay, agent = joined()
    stream_id = stream_between(relay, agent)
    agent.send_head(stream_id, OK)
    agent.send_data(stream_id, b"answer")
    agent.send_end(stream_id)
    relay.reset(stream_id, ErrorCode.CANCEL)
    assert carry(agent, relay) == []
    relay.receive(message(Window(stream_id, 1), Reset(stream_id, ErrorCode.CANCEL)), 0.0)
    assert relay.take_events() == []


def test_what_we_send_to_a_stream_that_was_reset_is_dropped() -> None:
    """The peer's RESET makes our calls moot, whatever they are."""
    relay, agent = joined()
    stream_id = stream_between(relay, agent)
    relay.reset(stream_id, ErrorCode.CANCEL)
    carry(relay, agent)
    agent.send_head(stream_id, OK)
    agent.send_data(stream_id, b"x")
    agent.send_end(stream_id)
    agent.consumed(stream_id, 5)
    agent.reset(stream_id, ErrorCode.CANCEL)
    assert said(agent) == []


CALLS: list[Callable[[Session, int], None]] = [
    lambda session, stream_id: session.send_head(stream_id, OK),
    lambda session, stream_id: session.send_data(stream_id, b"x"),
    lambda session, stream_id: session.send_end(stream_id),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("stream_id", [1, 2, 99])
def test_sending_on_a_stream_that_never_was(
    call: Callable[[Session, int], None], stream_id: int
) -> None:
    """An id that was never opened is our own defect."""
    relay, _ = joined()
    with pytest.raises(LocalProtocolError):
        call(relay, stream_id)
    assert said(relay) == []


def test_sending_out_of_order() -> None:
    """A second head, a body before the head, anything after the end: our own defects."""
    relay, agent = joined()
    stream_id = stream_between(relay, agent)
    with pytest.raises(LocalProtocolError):
        relay.send_head(stream_id, OK)
    with pytest.raises(LocalProtocolError):
        agent.send_data(stream_id, b"")
    agent.send_head(stream_id, OK)
    with pytest.raises(LocalProtocolError):
        agent.send_head(stream_id, OK)
    agent.send_end(stream_id)
    with pytest.raises(LocalProtocolError):
        agent.send_data(stream_id, b"x")
    with pytest.raises(LocalProtocolError):
        agent.send_end(stream_id)
    assert said(agent) == [Head(stream_id, OK), End(stream_id)]


def test_a_head_that_cannot_be_sent_can_be_replaced() -> None:
    """A server's impossible header costs its own stream a 502, not the session."""
    relay, agent = joined()
    stream_id = stream_between(relay, agent)
    with pytest.raises(LocalProtocolError):
        agent.send_head(stream_id, ResponseHead(200, (("Bad Name", "x"),)))
    agent.send_head(stream_id, ResponseHead(502))
    assert said(agent) == [Head(stream_id, ResponseHead(502))]
    with pytest.raises(LocalProtocolError):
        relay.open(RequestHead("", "POST", "/mcp"))
    assert relay.open(REQUEST) == stream_id + 2


def test_empty_data_is_not_sent() -> None:
    """Nothing is what an empty body costs."""
    relay, agent = joined()
    stream_id = stream_between(relay, agent)
    relay.send_data(stream_id, b"")
    assert said(relay) == []
    assert agent.stream_count == 1


@pytest.mark.parametrize(
    "frames",
    [
        [Data(1, b"x")],
        [End(1)],
        [Head(1, OK), Head(1, OK)],
        [Head(1, OK), End(1), Data(1, b"x")],
        [Head(1, OK), End(1), End(1)],
        [Open(2, REQUEST), Head(2, OK)],
        [Open(2, REQUEST), End(2), Data(2, b"x")],
        [Open(1, REQUEST)],
        [Open(3, REQUEST)],
        [Open(2, REQUEST), Open(2, REQUEST)],
        [Open(4, REQUEST), Open(2, REQUEST)],
    ],
    ids=lambda frames: ", ".join(str(frame) for frame in frames),
)
def test_order_broken_by_the_peer(frames: list[Frame]) -> None:
    """What is out of order on a live stream, or opens a wrong id, ends the session."""
    relay, agent = joined()
    stream_between(relay, agent)
    with pytest.raises(RemoteProtocolError) as caught:
        relay.receive(message(*frames), 0.0)
    assert caught.value.code is ErrorCode.PROTOCOL_ERROR


def test_data_without_credit() -> None:
    """A peer that ignores the window ends the session."""
    relay, _ = joined(Settings(window_bytes=3))
    relay.receive(message(Open(2, REQUEST), Data(2, b"abc")), 0.0)
    with pytest.raises(RemoteProtocolError) as caught:
        relay.receive(message(Data(2, b"d")), 0.0)
    assert caught.value.code is ErrorCode.FLOW_CONTROL_ERROR


def test_a_window_that_overflows() -> None:
    """So does one that grants more than a window holds."""
    relay, agent = joined()
    stream_id = stream_between(relay, agent)
    with pytest.raises(RemoteProtocolError) as caught:
        relay.receive(message(Window(stream_id, MAX_WINDOW_BYTES)), 0.0)
    assert caught.value.code is ErrorCode.FLOW_CONTROL_ERROR


def test_the_peers_limit_on_our_streams() -> None:
    """As many streams as the peer accepts, and one more when one has ended."""
    relay, agent = joined(None, Settings(max_streams=2))
    first, _ = relay.open(REQUEST), relay.open(REQUEST)
    with pytest.raises(TooManyStreams):
        relay.open(REQUEST)
    relay.reset(first, ErrorCode.CANCEL)
    relay.open(REQUEST)
    carry(relay, agent)
    assert (relay.stream_count, agent.stream_count) == (2, 2)


def test_we_open_no_more_streams_than_we_accept() -> None:
    """Whatever number the peer names: its word must not make us hold more than we want to."""
    relay, _ = joined(Settings(max_streams=2), Settings(max_streams=2**31 - 1))
    relay.open(REQUEST)
    relay.open(REQUEST)
    with pytest.raises(TooManyStreams):
        relay.open(REQUEST)


def test_we_do_not_take_all_credit_that_a_peer_offers() -> None:
    """A window far over what anybody can need is cut on our side; it grows by WINDOW as any other."""
    relay, agent = joined(None, Settings(window_bytes=MAX_WINDOW_BYTES))
    stream_id = stream_between(relay, agent)
    stream = relay._exchanges.table.get(stream_id)
    assert stream is not None
    assert stream.outbox.window.credit_bytes == FIRST_CREDIT_BYTES


def test_a_peer_that_ignores_our_limit() -> None:
    """The stream over the limit is refused; the others and the session live on."""
    relay, _ = joined(Settings(max_streams=1))
    relay.receive(message(Open(2, REQUEST), Open(4, REQUEST), Data(4, b"x"), End(4)), 0.0)
    assert relay.take_events() == [StreamOpened(2, REQUEST)]
    assert said(relay) == [Reset(4, ErrorCode.REFUSED_STREAM, "too many streams")]
    assert relay.stream_count == 1


def test_our_own_streams_do_not_count_against_the_peer() -> None:
    """Each side's streams are counted by themselves."""
    relay, _ = joined(Settings(max_streams=2))
    relay.open(REQUEST)
    relay.open(REQUEST)
    relay.receive(message(Open(2, REQUEST)), 0.0)
    assert relay.stream_count == 3


def test_credit_returns_when_bytes_are_consumed() -> None:
    """Not when they arrive: a consumer that takes nothing stops the sender at one window."""
    relay, agent = joined(None, Settings(window_bytes=10))
    stream_id = relay.open(REQUEST)
    relay.send_data(stream_id, bytes(25))
    carry(relay, agent)
    assert relay.unsent_bytes(stream_id) == 15
    agent.consumed(stream_id, 4)
    assert said(agent) == []
    agent.consumed(stream_id, 1)
    assert carry(agent, relay) == []
    assert carry(relay, agent) == [DataReceived(stream_id, bytes(5))]


def test_no_credit_for_a_body_that_is_complete() -> None:
    """After END a WINDOW would be noise."""
    relay, agent = joined(None, Settings(window_bytes=10))
    stream_id = relay.open(REQUEST)
    relay.send_data(stream_id, bytes(10))
    relay.send_end(stream_id)
    carry(relay, agent)
    agent.consumed(stream_id, 10)
    assert said(agent) == []


def test_consuming_more_than_came() -> None:
    """Credit is not made from nothing."""
    relay, agent = joined()
    stream_id = stream_between(relay, agent)
    with pytest.raises(LocalProtocolError):
        agent.consumed(stream_id, 1)


def test_a_slow_stream_stalls_itself_only() -> None:
    """While one stream has no credit, the others go on."""
    relay, agent = joined(None, Settings(window_bytes=10))
    slow, quick = relay.open(REQUEST), relay.open(REQUEST)
    relay.send_data(slow, bytes(1000))
    carry(relay, agent)
    for _ in range(5):
        relay.send_data(quick, b"quick")
        assert carry(relay, agent) == [DataReceived(quick, b"quick")]
        agent.consumed(quick, 5)
        carry(agent, relay)


def test_a_stream_with_too_much_unsent_drains() -> None:
    """Above the high-water mark the producer should stop; below the low one it is told to go on."""
    relay, agent = joined()
    stream_id = stream_between(relay, agent)
    relay.send_data(stream_id, bytes(HIGH_WATER_BYTES + 1))
    assert relay.unsent_bytes(stream_id) == HIGH_WATER_BYTES + 1
    while relay.message_to_send() is not None:
        pass
    assert relay.unsent_bytes(stream_id) < LOW_WATER_BYTES
    assert relay.take_events() == [StreamDrained(stream_id)]
    assert relay.unsent_bytes(99) == 0


def lost(session: Session) -> list[Outcome]:
    session.lost()
    return [event.outcome for event in session.take_events() if isinstance(event, StreamLost)]


def test_not_delivered_as_long_as_end_was_not_handed_out() -> None:
    """Without its END nobody can have had the whole request."""
    relay, agent = joined()
    stream_id = stream_between(relay, agent)
    relay.send_data(stream_id, b"almost all")
    carry(relay, agent)
    relay.send_end(stream_id)
    assert lost(relay) == [Outcome.NOT_DELIVERED]


def test_unknown_once_end_was_handed_out() -> None:
    """A message handed out may have arrived, even if the link broke at once."""
    relay, _ = joined()
    stream_id = relay.open(REQUEST)
    relay.send_end(stream_id)
    assert relay.message_to_send() is not None
    assert lost(relay) == [Outcome.UNKNOWN]


def test_unknown_once_an_answer_began() -> None:
    """A server that answers before END has acted on a part of the request."""
    relay, agent = joined()
    stream_id = stream_between(relay, agent)
    agent.send_head(stream_id, OK)
    carry(agent, relay)
    assert lost(relay) == [Outcome.UNKNOWN]
