"""Credit: spent, held back, returned, never lost and never made from nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.wire.constants import MAX_WINDOW_BYTES, ErrorCode
from mcptunnel.wire.errors import LocalProtocolError, RemoteProtocolError
from mcptunnel.wire.windows import Growth, ReceiveWindow, SendWindow


def test_a_send_window_spends_and_is_granted() -> None:
    """Credit goes down by what is sent and up by what is granted."""
    window = SendWindow(10)
    window.spend(7)
    window.grant(5)
    assert window.credit_bytes == 8


def test_a_send_window_has_a_largest_size() -> None:
    """Credit up to 2**31-1 is taken; one byte more is the peer's error."""
    window = SendWindow(1)
    window.grant(MAX_WINDOW_BYTES - 1)
    with pytest.raises(RemoteProtocolError) as caught:
        window.grant(1)
    assert caught.value.code is ErrorCode.FLOW_CONTROL_ERROR


def test_bytes_without_credit_are_refused() -> None:
    """A peer may use up its window, and not a byte more."""
    window = ReceiveWindow(10, Growth(0))
    window.received(10)
    with pytest.raises(RemoteProtocolError) as caught:
        window.received(1)
    assert caught.value.code is ErrorCode.FLOW_CONTROL_ERROR


def test_credit_is_held_back_until_half_a_window_is_due() -> None:
    """Small reads do not cause a WINDOW frame each."""
    window = ReceiveWindow(10, Growth(0))
    window.received(10)
    assert window.consumed(4) == 0
    assert window.consumed(1) == 5
    assert window.consumed(4) == 0
    assert window.consumed(1) == 5


def test_a_window_of_one_byte_works() -> None:
    """The smallest window gives its byte back at once, and nothing for nothing."""
    window = ReceiveWindow(1, Growth(0))
    assert window.consumed(0) == 0
    window.received(1)
    assert window.consumed(1) == 1


@pytest.mark.parametrize("count", [4, -1])
def test_nobody_consumes_what_never_came(count: int) -> None:
    """Consuming more than was received is our own defect."""
    window = ReceiveWindow(10, Growth(0))
    window.received(3)
    with pytest.raises(LocalProtocolError):
        window.consumed(count)


@given(st.integers(1, 1000), st.lists(st.tuples(st.booleans(), st.integers(0, 1000)), max_size=60))
def test_credit_is_conserved(size: int, operations: list[tuple[bool, int]]) -> None:
    """At any time, credit + unconsumed + due is the window; the sender's view agrees."""
    ours, theirs = ReceiveWindow(size, Growth(0)), SendWindow(size)
    for is_data, wanted in operations:
        if is_data:
            count = min(wanted, theirs.credit_bytes)
            theirs.spend(count)
            ours.received(count)
        else:
            credit_bytes = ours.consumed(min(wanted, ours.unconsumed_bytes))
            theirs.grant(credit_bytes)
        assert ours.credit_bytes + ours.unconsumed_bytes + ours.due_bytes == size
        assert theirs.credit_bytes == ours.credit_bytes
        assert (
            ours.due_bytes < (size + 1) // 2
        )  # so a sender never waits for a consumer that is done


def took(window: ReceiveWindow, count: int) -> int:
    """Let bytes arrive and be consumed at once; return the credit that goes back."""
    window.received(count)
    return window.consumed(count)


def test_the_window_of_a_quick_consumer_grows_up_to_its_bound() -> None:
    """It doubles each time that credit goes back; then the same credit goes back as came."""
    growth = Growth(50, 100)
    window = ReceiveWindow(10, growth)
    assert took(window, 4) == 0
    assert took(window, 1) == 5 + 10
    assert took(window, 10) == 10 + 20
    assert took(window, 20) == 20 + 10
    assert took(window, 25) == 25
    assert (window.credit_bytes, growth.left_bytes) == (50, 60)


def test_the_window_of_a_slow_consumer_stays() -> None:
    """What it makes us hold would only become more."""
    window = ReceiveWindow(10, Growth(1000))
    window.received(8)
    assert window.consumed(5) == 5
    window = ReceiveWindow(10, Growth(1000))
    window.received(7)
    assert window.consumed(5) == 5 + 10


def test_all_windows_together_grow_by_no_more_than_is_left() -> None:
    """And what a stream had is for others when it is gone."""
    growth = Growth(1000, 15)
    first, second = ReceiveWindow(10, growth), ReceiveWindow(10, growth)
    assert took(first, 5) == 5 + 10
    assert took(second, 5) == 5 + 5
    assert took(first, 10) == 10
    first.close()
    assert growth.left_bytes == 10
    assert took(second, 10) == 10 + 10
    second.close()
    assert growth.left_bytes == 15
