"""What is kept for a resume, and what is sent again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.wire.codec import Decoder
from mcptunnel.wire.errors import RemoteProtocolError
from mcptunnel.wire.frames import Data, End, Frame, Window
from mcptunnel.wire.replay import ReplayBuffer
from tests.wire.pairs import message

FRAMES: list[Frame] = [Data(1, bytes(200)), End(1), Window(3, 70_000), Data(3, b"x"), End(3)]


def filled(limit_bytes: int = 10**6) -> ReplayBuffer:
    """Return a buffer with three messages, of 2, 1 and 2 frames."""
    replay = ReplayBuffer(limit_bytes)
    replay.append(message(*FRAMES[:2]), 2)
    replay.append(message(*FRAMES[2:3]), 3)
    replay.append(message(*FRAMES[3:]), 5)
    return replay


def again(replay: ReplayBuffer) -> list[Frame]:
    found: list[Frame] = []
    while (message := replay.next_again()) is not None:
        assert replay.blocks or not replay.is_replaying
        found += Decoder().decode(message)
    return found


@pytest.mark.parametrize("count", range(6))
def test_after_a_resume_exactly_the_missing_frames_go_out_again(count: int) -> None:
    """Whatever frame it is, the first or last of a message or one in the middle."""
    replay = filled()
    replay.resume_after(count)
    assert replay.handed_count == count
    assert again(replay) == FRAMES[count:]
    assert replay.handed_count == 5


@pytest.mark.parametrize("count", range(6))
def test_a_second_resume_in_the_middle_of_the_first(count: int) -> None:
    """What was handed out once more may have arrived or not."""
    replay = filled()
    replay.resume_after(1)
    replay.next_again()
    if not 1 <= count <= 2:
        with pytest.raises(RemoteProtocolError):
            replay.resume_after(count)
        return
    replay.resume_after(count)
    assert again(replay) == FRAMES[count:]


@pytest.mark.parametrize("count", range(6))
def test_acknowledged_frames_are_not_kept(count: int) -> None:
    """But whole messages are; a resume may still ask for their rest."""
    replay = filled()
    replay.acked(count)
    replay.resume_after(5)
    assert again(replay) == []
    replay = filled()
    replay.acked(count)
    replay.resume_after(count)
    assert again(replay) == FRAMES[count:]


def test_impossible_numbers() -> None:
    """More than was handed out, or less than was acknowledged before."""
    replay = filled()
    with pytest.raises(RemoteProtocolError):
        replay.acked(6)
    replay.acked(3)
    for count in (2, 6):
        with pytest.raises(RemoteProtocolError):
            replay.acked(count)
        with pytest.raises(RemoteProtocolError):
            replay.resume_after(count)


def test_what_was_not_handed_out_again_cannot_be_acknowledged() -> None:
    """The peer told at the resume that it has not got it."""
    replay = filled()
    replay.resume_after(2)
    with pytest.raises(RemoteProtocolError):
        replay.acked(3)


def test_it_is_full_until_enough_is_acknowledged() -> None:
    limit_bytes = len(message(*FRAMES))
    replay = filled(limit_bytes)
    blocked = [replay.blocks]
    for count in (1, 2):
        replay.acked(count)
        blocked.append(replay.blocks)
    assert blocked == [True, True, False], "the first message is kept until all of it is known"


def test_a_cut_message_counts_with_what_is_left_of_it() -> None:
    for more_bytes in (0, 1):
        replay = filled(len(message(*FRAMES[1:])) + more_bytes)
        replay.resume_after(1)
        again(replay)
        assert replay.blocks == (not more_bytes)


def test_a_cleared_buffer_keeps_nothing() -> None:
    replay = filled(1)
    replay.resume_after(1)
    replay.clear()
    assert (replay.blocks, replay.is_replaying, replay.next_again()) == (False, False, None)


@given(st.data())
def test_any_way_of_acks_and_resumes_delivers_everything_once(data: st.DataObject) -> None:
    """Messages of any number of frames; the peer has any that were handed out, at any time."""
    replay = ReplayBuffer(10**6)
    sent: list[Frame] = []
    received: list[Frame] = []
    under_way: list[Frame] = []
    for _ in range(data.draw(st.integers(0, 12))):
        match data.draw(st.sampled_from(["send", "send", "ack", "cut"])):
            case "send" if (again_sent := replay.next_again()) is not None:
                under_way += Decoder().decode(again_sent)
            case "send":
                frames: list[Frame] = [
                    Window(len(sent) + k + 1, 1) for k in range(data.draw(st.integers(1, 4)))
                ]
                sent += frames
                under_way += frames
                replay.append(message(*frames), len(sent))
            case step:
                arrived = data.draw(st.integers(0, len(under_way)))
                received += under_way[:arrived]
                under_way = under_way[arrived:]
                if step == "ack":
                    replay.acked(len(received))
                else:
                    under_way = []
                    replay.resume_after(len(received))
    replay.resume_after(len(received))
    assert received + again(replay) == sent


def test_it_is_empty_when_the_peer_has_everything() -> None:
    buffer = ReplayBuffer(100)
    found = [buffer.is_empty]
    buffer.append(b"one", 1)
    buffer.append(b"two", 2)
    for count in (1, 2):
        buffer.acked(count)
        found.append(buffer.is_empty)
    assert found == [True, False, True]
