"""Halves of streams, and the table of all that live."""

import pytest

from mcptunnel.wire.constants import ErrorCode, Role
from mcptunnel.wire.errors import LocalProtocolError, RemoteProtocolError
from mcptunnel.wire.scheduler import Outbox
from mcptunnel.wire.streams import HalfState, HalfStep, Stream, StreamTable
from mcptunnel.wire.windows import Growth, ReceiveWindow

ALLOWED = {
    (HalfState.AWAITING_HEAD, HalfStep.HEAD): HalfState.BODY,
    (HalfState.BODY, HalfStep.DATA): HalfState.BODY,
    (HalfState.BODY, HalfStep.END): HalfState.ENDED,
}


def stream_of(stream_id: int, *, ours: bool) -> Stream:
    return Stream(stream_id, ours, Outbox(stream_id, 100), ReceiveWindow(100, Growth(0)))


@pytest.mark.parametrize("state", HalfState)
@pytest.mark.parametrize("step", HalfStep)
def test_every_state_and_step_of_a_half(state: HalfState, step: HalfStep) -> None:
    """The table holds both ways; what is not in it is the error of the side that did it."""
    stream = stream_of(1, ours=True)
    stream.sending = stream.receiving = state
    expected = ALLOWED.get((state, step))
    if expected is not None:
        stream.send(step)
        stream.receive(step)
        assert (stream.sending, stream.receiving) == (expected, expected)
        return
    with pytest.raises(LocalProtocolError):
        stream.send(step)
    with pytest.raises(RemoteProtocolError) as caught:
        stream.receive(step)
    assert caught.value.code is ErrorCode.PROTOCOL_ERROR
    assert (stream.sending, stream.receiving) == (state, state)


def test_the_opener_has_sent_its_head() -> None:
    """OPEN carries the head: the opener's half starts in its body, on both sides."""
    ours, theirs = stream_of(1, ours=True), stream_of(2, ours=False)
    assert (ours.sending, ours.receiving) == (HalfState.BODY, HalfState.AWAITING_HEAD)
    assert (theirs.sending, theirs.receiving) == (HalfState.AWAITING_HEAD, HalfState.BODY)


@pytest.mark.parametrize(("role", "own", "peer"), [(Role.RELAY, 1, 2), (Role.AGENT, 2, 1)])
def test_ids_belong_to_sides(role: Role, own: int, peer: int) -> None:
    """The relay opens odd streams, the agent even ones."""
    table = StreamTable(role)
    assert table.next_own_id == own
    table.claim_peer_id(peer)
    with pytest.raises(RemoteProtocolError):
        table.claim_peer_id(own + 100)


def test_ids_of_the_peer_only_grow() -> None:
    """An id may be passed over, and never be used again."""
    table = StreamTable(Role.AGENT)
    table.claim_peer_id(5)
    for used in (5, 3):
        with pytest.raises(RemoteProtocolError):
            table.claim_peer_id(used)
    table.claim_peer_id(7)
    assert table.highest_peer_id == 7


def test_what_existed_is_known_without_remembering_it() -> None:
    """Ids up to the highest seen were there once, on either side's count."""
    table = StreamTable(Role.RELAY)
    table.add(stream_of(table.next_own_id, ours=True))
    table.claim_peer_id(6)
    assert [number for number in range(1, 12) if table.existed(number)] == [1, 2, 4, 6]


def test_streams_are_counted_by_side() -> None:
    """Each side's limit counts the streams which that side opened."""
    table = StreamTable(Role.RELAY)
    table.add(stream_of(1, ours=True))
    table.add(stream_of(3, ours=True))
    table.claim_peer_id(2)
    table.add(stream_of(2, ours=False))
    assert (len(table), table.own_count, table.peer_count) == (3, 2, 1)
    assert table.own_above(1) == [3]
    assert [stream.stream_id for stream in table.live()] == [1, 2, 3]
    assert table.remove(3) is not None
    assert table.remove(2) is not None
    assert table.remove(2) is None
    assert (len(table), table.own_count, table.peer_count) == (1, 1, 0)
    assert table.get(1) is not None
    assert table.get(3) is None
