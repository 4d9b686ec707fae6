"""How much a peer may ask in vain: the buckets, by themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.errors import RemoteProtocolError
from mcptunnel.wire.floods import (
    IDLE_FRAMES,
    OWN_SHARE,
    QUESTIONS,
    VAIN_STREAMS,
    Allowance,
    Bucket,
    Floods,
)


def test_a_bucket_takes_its_burst_and_then_its_rate() -> None:
    """Five at once; then as many as time gives back, and never more than five at once again."""
    bucket = Bucket(Allowance(5, 2))
    assert [bucket.spend(10.0) for _ in range(5)] == [True] * 5
    assert bucket.is_spent(10.0)
    assert not bucket.spend(10.0)
    assert bucket.is_spent(10.5)
    assert not bucket.is_spent(11.0)
    assert bucket.spend(11.0)
    assert not bucket.spend(11.0)
    assert [bucket.spend(1000.0) for _ in range(6)] == [True] * 5 + [False]


@given(st.lists(st.floats(0, 3), max_size=200))
def test_a_bucket_never_allows_more_than_it_says(waits_s: list[float]) -> None:
    """Whatever the times: at most the burst, and the rate times the time that went by."""
    bucket, now_s, allowed = Bucket(Allowance(5, 2)), 0.0, 0
    for wait_s in waits_s:
        now_s += wait_s
        allowed += bucket.spend(now_s)
        assert allowed <= 5 + 2 * now_s + 1e-6


def check_allowed(floods: Floods, count: str, allowed: int) -> None:
    """Count something as often as it is allowed, and once more."""
    for _ in range(allowed):
        getattr(floods, count)()
    with pytest.raises(RemoteProtocolError) as caught:
        getattr(floods, count)()
    assert caught.value.code is ErrorCode.FLOOD


def test_questions_and_idle_frames_are_bounded_each_by_itself() -> None:
    """One kind of flood does not hide behind the room of the other."""
    floods = Floods(0.0)
    check_allowed(floods, "idle", IDLE_FRAMES.burst)
    check_allowed(floods, "question", QUESTIONS.burst)
    floods.now_s = 1.0
    check_allowed(floods, "question", QUESTIONS.per_s - 1)  # the one too much counted as well


def test_streams_in_vain_forbid_the_next_stream() -> None:
    """They are counted when they end, and it is the next OPEN that is too much."""
    floods = Floods(0.0)
    for _ in range(VAIN_STREAMS.burst):
        floods.opening()
        floods.unanswered(ours=False)
    with pytest.raises(RemoteProtocolError) as caught:
        floods.opening()
    assert caught.value.code is ErrorCode.FLOOD
    floods.now_s = 0.01
    floods.opening()


def test_we_stop_ourselves_long_before_the_peer_would() -> None:
    """Half of what is allowed: so nobody who calls through us can make the peer end the session."""
    floods = Floods(0.0)
    for _ in range(VAIN_STREAMS.burst // OWN_SHARE):
        assert floods.may_open
        floods.unanswered(ours=True)
    assert not floods.may_open
    floods.opening()  # the peer's streams are counted by themselves
    floods.now_s = 0.01
    assert floods.may_open


def test_what_honest_peers_do_is_far_below() -> None:
    """A busy session: bursts of 256 cancelled calls, ten times a second, with all that crosses."""
    floods = Floods(0.0)
    for tenth in range(600):
        floods.now_s = tenth / 10
        for _ in range(256):
            floods.opening()
            floods.unanswered(ours=False)
            for _ in range(5):
                floods.idle()
        if not tenth % 2:  # a PING each 0.2 s, the most that a configuration asks for
            floods.question()


def test_a_clock_that_is_set_back_is_no_flood() -> None:
    """The wall clock may be corrected by hours; then nothing is forgiven for the time, and no more."""
    floods = Floods(5000.0)
    floods.question()
    floods.idle()
    floods.unanswered(ours=True)
    floods.unanswered(ours=False)
    floods.now_s = 10.0
    floods.question()
    floods.idle()
    floods.opening()
    assert floods.may_open
