"""A burst goes through, a flood does not."""

from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.net.pace import TokenBucket


def test_a_burst_and_then_so_many_a_second() -> None:
    bucket = TokenBucket(3, per_s=2)
    assert [bucket.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.wait_s(10.0) == 0.5
    assert not bucket.take(10.4)
    assert bucket.take(10.5)
    assert not bucket.take(10.5)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


@given(
    st.integers(1, 5),
    st.sampled_from([0.5, 1.0, 4.0]),
    st.lists(st.sampled_from([0.0, 0.125, 0.25, 1.0, 5.0]), max_size=60),
)
def test_never_more_than_the_burst_and_what_the_time_gives(
    burst: int, per_s: float, pauses: list[float]
) -> None:
    bucket, now_s, taken = TokenBucket(burst, per_s), 50.0, 0
    for pause_s in pauses:
        now_s += pause_s
        free = bucket.wait_s(now_s) == 0
        assert bucket.take(now_s) == free
        taken += free
        assert taken <= burst + (now_s - 50.0) * per_s


def test_a_clock_that_is_set_back_makes_nobody_wait_for_it() -> None:
    """After one interval there is room again, however far the clock went back."""
    bucket = TokenBucket(3, per_s=2)
    assert bucket.take(5000.0)
    assert bucket.wait_s(10.0) <= 0.5
    assert bucket.take(10.5)
