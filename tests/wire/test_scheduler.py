"""What goes out next: order, turns, sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.model import ResponseHead
from mcptunnel.wire.codec import Decoder, encode
from mcptunnel.wire.constants import HIGH_WATER_BYTES, KIB, LOW_WATER_BYTES, ErrorCode
from mcptunnel.wire.frames import (
    Ack,
    Data,
    End,
    Frame,
    Head,
    Open,
    Ping,
    Pong,
    Reset,
    Window,
)
from mcptunnel.wire.scheduler import LATELY_BYTES, LIGHT_BYTES, Outbox, Scheduler
from mcptunnel.wire.settings import Settings
from tests.wire.pairs import REQUEST

PLENTY = 2**30


def scheduler_of(**settings: int) -> Scheduler:
    return Scheduler(Settings(**settings))


def sent(scheduler: Scheduler) -> list[list[Frame]]:
    """Return the frames of all messages that can be sent now."""
    messages = []
    while (made := scheduler.next_message()) is not None:
        messages.append(Decoder().decode(made[0]))
    return messages


def filled(stream_id: int, data: bytes, credit_bytes: int = PLENTY) -> Outbox:
    outbox = Outbox(stream_id, credit_bytes)
    outbox.put(data)
    return outbox


def test_nothing_to_say_is_none() -> None:
    """An idle session sends nothing."""
    assert scheduler_of().next_message() is None


def test_link_frames_then_control_then_bodies() -> None:
    """PING is never behind data, nor behind a queue of control frames."""
    scheduler = scheduler_of()
    scheduler.wake(filled(1, b"body"))
    scheduler.put_control(encode(Reset(3, ErrorCode.CANCEL)))
    scheduler.put_link(encode(Ping(1)))
    assert sent(scheduler) == [[Ping(1), Reset(3, ErrorCode.CANCEL), Data(1, b"body")]]


def test_streams_take_turns() -> None:
    """A large body does not hold up a small one: one DATA each, in the order of waking."""
    scheduler = scheduler_of(max_data_bytes=2)
    for outbox in (filled(1, b"aaaaaa"), filled(3, b"bb"), filled(5, b"cccc")):
        scheduler.wake(outbox)
    (frames,) = sent(scheduler)
    assert frames == [
        *(Data(1, b"aa"), Data(3, b"bb"), Data(5, b"cc")),
        *(Data(1, b"aa"), Data(5, b"cc"), Data(1, b"aa")),
    ]


def test_a_newcomer_gets_its_turn_next() -> None:
    """A stream that wakes while another sends a flood waits for one turn at most."""
    scheduler = scheduler_of(message_bytes=2 * KIB)
    scheduler.wake(filled(1, bytes(50 * KIB)))
    made = scheduler.next_message()
    assert made is not None
    scheduler.wake(filled(3, b"small"))
    made = scheduler.next_message()
    assert made is not None
    made = scheduler.next_message()
    assert made is not None
    assert Data(3, b"small") in Decoder().decode(made[0])


def test_waking_twice_gives_one_turn() -> None:
    """A stream has one place in the round, however often it is woken."""
    scheduler = scheduler_of(max_data_bytes=1)
    first, second = filled(1, b"aa"), filled(3, b"bb")
    for outbox in (first, first, second, first):
        scheduler.wake(outbox)
    assert [frame.stream_id for frame in sent(scheduler)[0] if isinstance(frame, Data)] == [
        *(1, 3, 1, 3)
    ]


def test_data_is_cut_to_credit_and_goes_on_with_more() -> None:
    """No byte is sent without credit; new credit wakes the stream."""
    scheduler = scheduler_of()
    outbox = filled(1, b"abcdef", credit_bytes=4)
    outbox.put_end()
    scheduler.wake(outbox)
    assert sent(scheduler) == [[Data(1, b"abcd")]]
    scheduler.wake(outbox)
    assert sent(scheduler) == []
    outbox.window.grant(10)
    scheduler.wake(outbox)
    assert sent(scheduler) == [[Data(1, b"ef"), End(1)]]


def test_end_needs_no_credit_and_is_sent_once() -> None:
    """A stream without credit can still end."""
    scheduler = scheduler_of()
    outbox = Outbox(1, 0)
    outbox.put_end()
    scheduler.wake(outbox)
    made = scheduler.next_message()
    assert made == (encode(End(1)), 0, [outbox])
    scheduler.wake(outbox)
    assert scheduler.next_message() is None


def test_small_pieces_leave_together() -> None:
    """Cut late: what queued up in pieces goes out as one frame."""
    scheduler = scheduler_of()
    outbox = Outbox(1, PLENTY)
    for piece in (b"one ", b"two ", b"three"):
        outbox.put(piece)
    scheduler.wake(outbox)
    assert sent(scheduler) == [[Data(1, b"one two three")]]


def test_a_dropped_stream_sends_no_more() -> None:
    """After a RESET nothing of the stream may follow."""
    scheduler = scheduler_of()
    scheduler.wake(filled(1, b"gone"))
    scheduler.wake(filled(3, b"here"))
    scheduler.drop(1)
    scheduler.drop(7)
    assert sent(scheduler) == [[Data(3, b"here")]]


def test_clear_forgets_all() -> None:
    """A closed session has nothing more to say."""
    scheduler = scheduler_of()
    scheduler.wake(filled(1, b"x"))
    scheduler.put_link(encode(Ping(1)))
    scheduler.put_control(encode(Ping(2)))
    scheduler.clear()
    assert scheduler.next_message() is None


def test_a_frame_over_the_message_size_travels_alone() -> None:
    """A large head is sent whole, and does not drag others into a message that is too large."""
    scheduler = scheduler_of(message_bytes=2000)
    long, short = Reset(1, ErrorCode.CANCEL, "ü" * 1024), Reset(3, ErrorCode.CANCEL)
    scheduler.wake(filled(5, b"body"))
    for frame in (short, long, short, long):
        scheduler.put_control(encode(frame))
    scheduler.put_link(encode(Ping(1)))
    assert sent(scheduler) == [[Ping(1), short], [long], [short], [long], [Data(5, b"body")]]


def test_a_full_link_queue_comes_before_control() -> None:
    """While link frames fill messages, control frames wait."""
    scheduler = scheduler_of(message_bytes=4)
    scheduler.wake(filled(3, b"body"))
    scheduler.put_control(encode(End(1)))
    for frame in (Ping(1), Pong(2)):
        scheduler.put_link(encode(frame))
    assert sent(scheduler)[:2] == [[Ping(1), Pong(2)], [End(1)]]


def test_of_frames_about_the_link_only_the_newest_waits() -> None:
    """Whoever asks and never reads makes us keep one answer, of every kind."""
    scheduler = scheduler_of()
    for number in range(1000):
        for frame in (Pong(number), Ack(number), Ping(number)):
            scheduler.put_link(encode(frame))
    assert sent(scheduler) == [[Pong(999), Ack(999), Ping(999)]]


def test_what_is_dropped_unsent_is_never_heard_of() -> None:
    """While nothing can be sent, streams that come and go leave nothing in the queue."""
    scheduler = scheduler_of()
    for stream_id in (1, 129, 2**40 + 1):
        scheduler.put_control(encode(Open(stream_id, REQUEST)))
        scheduler.put_control(encode(Window(stream_id, 9)))
    scheduler.put_control(encode(Head(2, ResponseHead(200))))
    scheduler.wake(filled(129, b"body"))
    assert scheduler.retract(129)
    assert not scheduler.retract(2), "no OPEN of ours was among it"
    assert not scheduler.retract(3)
    assert sent(scheduler) == [
        [
            *(Open(1, REQUEST), Window(1, 9)),
            *(Open(2**40 + 1, REQUEST), Window(2**40 + 1, 9)),
        ]
    ]
    assert not scheduler.retract(1)


def test_too_many_control_frames_are_noticed_until_they_leave() -> None:
    """Eight for each stream and 1,024 beside; then the flag is up."""
    scheduler = scheduler_of(max_streams=2)
    for _ in range(1024 + 2 * 8):
        scheduler.put_control(encode(Window(1, 1)))
    flags = [scheduler.is_overfull]
    scheduler.put_control(encode(Window(1, 1)))
    flags.append(scheduler.is_overfull)
    sent(scheduler)
    assert [*flags, scheduler.is_overfull] == [False, True, False]


def test_too_many_are_too_many_until_few_enough_are_left() -> None:
    """One message of many does not take the flag down; frames that are taken back do."""
    scheduler = scheduler_of(max_streams=2)
    for stream_id in (1, 3):
        for _ in range(1024 + 2 * 8):
            scheduler.put_control(encode(Reset(stream_id, ErrorCode.CANCEL, "x" * 200)))
    scheduler.next_message()
    flags = [scheduler.is_overfull]
    scheduler.retract(1)
    flags.append(scheduler.is_overfull)
    assert flags == [True, False]


def test_messages_of_bulk_data_are_full_but_not_over() -> None:
    """Bulk data fills messages up to their size and never over it."""
    scheduler = scheduler_of()
    scheduler.wake(filled(2**50, bytes(1024 * KIB)))
    sizes = []
    while (made := scheduler.next_message()) is not None:
        sizes.append(len(made[0]))
    assert max(sizes) <= Settings().message_bytes
    assert min(sizes[:-1]) > 64 * KIB  # so what was read at once, 64 KiB, is one message


def bulk_after(scheduler: Scheduler, size: int) -> Outbox:
    """Return the outbox of a stream that has sent a lot, and has `size` bytes more to send."""
    outbox = filled(1, bytes(2 * LIGHT_BYTES))
    scheduler.wake(outbox)
    while scheduler.next_message() is not None:
        pass
    outbox.put(bytes(size))
    scheduler.wake(outbox)
    return outbox


def test_a_light_stream_passes_the_bulk_by() -> None:
    """Whatever waits of large bodies, a small one that wakes later is in the next message, first."""
    scheduler = scheduler_of()
    bulk_after(scheduler, 10**6)
    scheduler.wake(filled(3, b"small"))
    made = scheduler.next_message()
    assert made is not None
    first, *others = Decoder().decode(made[0])
    assert first == Data(3, b"small")
    assert {frame.stream_id for frame in others if isinstance(frame, Data)} == {1}


def test_a_stream_that_sends_more_becomes_bulk() -> None:
    """The beginning of a large body is light, the rest takes its turns with the others."""
    scheduler = scheduler_of(max_data_bytes=LIGHT_BYTES)
    bulk_after(scheduler, 10**6)
    scheduler.wake(filled(3, bytes(10**6)))
    made = scheduler.next_message()
    assert made is not None
    ids = [frame.stream_id for frame in Decoder().decode(made[0]) if isinstance(frame, Data)]
    assert ids[:4] == [3, 1, 3, 1]


def test_bulk_is_left_where_it_is_and_the_others_go() -> None:
    """When enough is under way, light streams and control frames do not wait for it."""
    scheduler = scheduler_of()
    outbox = bulk_after(scheduler, 5000)
    assert scheduler.next_message(with_bulk=False) is None
    scheduler.wake(filled(3, b"small"))
    scheduler.put_control(encode(End(5)))
    made = scheduler.next_message(with_bulk=False)
    assert made is not None
    assert Decoder().decode(made[0]) == [End(5), Data(3, b"small")]
    assert outbox.unsent_bytes == 5000
    assert scheduler.next_message() is not None
    assert outbox.unsent_bytes == 0


def test_a_stream_that_waited_becomes_light_again() -> None:
    """An event stream may send much now and then; and who always has to wait is light at last."""
    scheduler = scheduler_of()
    outbox = bulk_after(scheduler, 100)
    other = filled(3, bytes(2 * LATELY_BYTES))
    scheduler.drop(1)
    scheduler.wake(other)
    while scheduler.next_message() is not None:
        pass
    other.put(bytes(1000))
    scheduler.wake(other)
    scheduler.wake(outbox)
    (frames,) = sent(scheduler)
    assert [frame.stream_id for frame in frames if isinstance(frame, Data)] == [1, 3]


def test_draining_is_noticed_once() -> None:
    """Over the high-water mark and then under the low one: drained, once."""
    scheduler = scheduler_of()
    outbox = filled(1, bytes(HIGH_WATER_BYTES + 1))
    scheduler.wake(outbox)
    told = []
    while (made := scheduler.next_message()) is not None:
        told += [outbox.unsent_bytes for changed in made[2] if changed.drained]
        outbox.drained = False
    assert len(told) == 1
    assert told[0] < LOW_WATER_BYTES


@pytest.mark.parametrize("ending", [False, True])
def test_what_was_never_over_or_is_ending_does_not_drain(ending: bool) -> None:
    """Nobody waits for a stream at the mark, or for one whose body is complete."""
    scheduler = scheduler_of()
    outbox = filled(1, bytes(HIGH_WATER_BYTES + ending))
    if ending:
        outbox.put_end()
    scheduler.wake(outbox)
    while scheduler.next_message() is not None:
        assert not outbox.drained
    assert (outbox.end_count > 0) is ending


@given(
    st.lists(st.binary(max_size=3000), max_size=12),
    st.integers(1, 4000),
    st.integers(1, 5000),
    st.lists(st.integers(1, 4000), max_size=20),
)
def test_bodies_arrive_whole_however_they_are_cut(
    pieces: list[bytes], max_data_bytes: int, message_bytes: int, grants: list[int]
) -> None:
    """Bytes in are bytes out, in order, within credit, within sizes, and END comes last."""
    scheduler = scheduler_of(max_data_bytes=max_data_bytes, message_bytes=message_bytes)
    outbox = Outbox(1, 0)
    for piece in pieces:
        if piece:
            outbox.put(piece)
    outbox.put_end()
    granted, received, ended = 0, b"", 0
    for credit_bytes in [*grants, 40_000]:
        outbox.window.grant(credit_bytes)
        granted += credit_bytes
        scheduler.wake(outbox)
        for frame in (frame for message in sent(scheduler) for frame in message):
            assert not ended
            if isinstance(frame, Data):
                assert len(frame.data) <= max_data_bytes
                received += frame.data
            else:
                ended += 1
        assert len(received) <= granted
    assert received == b"".join(pieces)
    assert ended == 1


def test_frames_about_the_link_are_told_apart_and_not_numbered() -> None:
    """What is kept for a resume begins behind them."""
    scheduler = scheduler_of()
    outbox = filled(1, b"body")
    outbox.put_end()
    scheduler.put_control(encode(Window(1, 1)))
    scheduler.wake(outbox)
    scheduler.put_link(encode(Ping(1)))
    made = scheduler.next_message()
    assert made is not None
    assert made[1] == len(encode(Ping(1)))
    assert (scheduler.numbered_count, outbox.end_count) == (3, 3)
    scheduler.put_link(encode(Ping(2)))
    made = scheduler.next_message()
    assert made == (encode(Ping(2)), len(encode(Ping(2))), [])
    assert scheduler.numbered_count == 3


def test_frames_about_the_link_can_go_alone() -> None:
    """They must not wait for what may not be sent now; and with a link they die."""
    scheduler = scheduler_of(message_bytes=8)
    scheduler.put_control(encode(Window(1, 1)))
    assert scheduler.link_message() is None
    scheduler.put_link(encode(Ping(0)))
    scheduler.put_link(encode(Ack(1)))
    assert scheduler.link_message() == encode(Ping(0)) + encode(Ack(1))
    assert scheduler.link_message() is None
    scheduler.put_link(encode(Ping(1)))
    scheduler.clear_link()
    assert scheduler.link_message() is None
    assert scheduler.next_message() == (encode(Window(1, 1)), 0, [])


def test_bulk_goes_on_however_many_small_answers_there_are() -> None:
    """New light streams fill every message, and yet the body gets its turns in the end."""
    scheduler = scheduler_of()
    bulk = bulk_after(scheduler, 10**6)
    sent_bytes, stream_id = 0, 3
    while sent_bytes < 20 * LATELY_BYTES:
        for _ in range(6):
            scheduler.wake(filled(stream_id, bytes(12_000)))
            stream_id += 2
        made = scheduler.next_message()
        assert made is not None
        sent_bytes += len(made[0])
    assert bulk.unsent_bytes < 10**6 - 2 * LIGHT_BYTES
