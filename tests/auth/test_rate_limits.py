"""Token buckets (threats 12 and 13)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth.rate_limits import SITE_TIMES, AddressLimits, Rate, RateLimits, address_key

_RATE = Rate(per_s=0.5, burst=3)


def test_a_burst_and_then_the_rate() -> None:
    limits = RateLimits(_RATE, max_keys=10)
    assert [limits.take("a", 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 2.0]
    assert limits.take("a", 1.0) == 1.0
    assert limits.take("a", 2.0) == 0.0
    assert limits.take("b", 0.0) == 0.0


def test_who_succeeds_is_forgiven() -> None:
    limits = RateLimits(_RATE, max_keys=10)
    limits.take("a", 0.0, 3.0)
    limits.forgive("a")
    limits.forgive("never seen")
    assert limits.take("a", 0.0, 3.0) == 0.0


def test_a_clock_that_steps_back_gives_nothing() -> None:
    limits = RateLimits(_RATE, max_keys=10)
    limits.take("a", 100.0, 3.0)
    assert limits.take("a", 0.0) == 2.0


def test_row_12_the_table_is_bounded() -> None:
    """The key that was not used for longest goes."""
    limits = RateLimits(_RATE, max_keys=2)
    limits.take("a", 0.0, 3.0)
    limits.take("b", 0.0, 3.0)
    limits.take("a", 0.1)
    limits.take("c", 0.2, 3.0)
    assert len(limits) == 2
    assert limits.take("a", 0.2) > 0


def test_a_cost_that_no_time_fills_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="more than the bucket"):
        RateLimits(_RATE, max_keys=1).take("a", 0.0, 4.0)


@given(st.lists(st.floats(0.0, 5.0), max_size=60))
def test_row_13_no_rhythm_gets_more_than_burst_and_rate(pauses: list[float]) -> None:
    """And who waits as long as told is let through."""
    limits, now_s, granted = RateLimits(_RATE, max_keys=1), 0.0, 0
    for pause_s in pauses:
        now_s += pause_s
        wait_s = limits.take("a", now_s)
        if wait_s:
            now_s += wait_s
            assert limits.take("a", now_s) == 0.0
        granted += 1
    assert granted <= _RATE.burst + now_s * _RATE.per_s + 0.01


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("unix", "unix"),
    ],
)
def test_row_13_an_ipv6_line_is_one_key(address: str, key: str) -> None:
    """It has 2^64 addresses to try with."""
    assert address_key(address) == key


def test_row_13_a_site_with_ipv6_is_not_65536_strangers() -> None:
    """Otherwise one who has a /48 uses up what all addresses together may do."""
    limits = AddressLimits(_RATE, max_keys=1000)
    granted = sum(not limits.take(f"2001:db8:1:{n:x}::1", 0.0) for n in range(500))
    assert granted == _RATE.burst * SITE_TIMES
    assert limits.take("2001:db8:2::1", 0.0) == 0.0
    assert limits.take("2001:db8:1:ffff::1", 1 / _RATE.per_s) == 0.0


def test_row_13_other_addresses_have_no_site() -> None:
    limits = AddressLimits(_RATE, max_keys=1000)
    for address in ("192.0.2.1", "::ffff:192.0.2.2", "unknown"):
        assert sum(not limits.take(address, 0.0) for _ in range(10)) == _RATE.burst
