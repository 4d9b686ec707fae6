"""How much may be under way: the limit finds what a path holds, and no more."""

import pytest

from mcptunnel.wire.constants import ACK_AFTER_BYTES, KIB
from mcptunnel.wire.flight import LEAST_BYTES, Flight

MOST_BYTES = 8 * 1024 * KIB
MESSAGE_BYTES = 65 * KIB


class Path:
    """A path of so many bytes per second and such a round trip, with a source that never ends."""

    def __init__(self, bytes_per_s: float, round_trip_s: float) -> None:
        self.flight = Flight(MOST_BYTES)
        self.bytes_per_s = bytes_per_s
        self.round_trip_s = round_trip_s
        self.now_s = 100.0
        self.count = 0
        self.arrived_bytes = 0
        self._busy_until_s = self.now_s
        self._acks: list[tuple[float, int]] = []

    def send(self, size_bytes: int = MESSAGE_BYTES) -> None:
        self.count += 1
        self.flight.sent(self.count, size_bytes, self.now_s)
        self._busy_until_s = max(self._busy_until_s, self.now_s) + size_bytes / self.bytes_per_s
        self._acks.append((self._busy_until_s + self.round_trip_s, self.count))
        self.arrived_bytes += size_bytes

    def run(self, duration_s: float) -> float:
        """Send as much as may be sent for so long; return the bytes per second."""
        until_s, before_bytes = self.now_s + duration_s, self.arrived_bytes
        while self.now_s < until_s:
            while not self.flight.is_full:
                self.send()
            self.now_s, count = self._acks.pop(0)
            self.flight.acked(count, self.now_s)
        return (self.arrived_bytes - before_bytes) / duration_s


def test_the_first_messages_fill_it() -> None:
    """Before anything is known of the path, two messages are enough."""
    path = Path(10e6, 0.1)
    for _ in range(2):
        assert not path.flight.is_full
        path.send()
    assert path.flight.is_full
    assert path.flight.under_way_bytes >= LEAST_BYTES


@pytest.mark.parametrize(
    ("bytes_per_s", "round_trip_s"), [(10e6, 0.1), (40e6, 0.05), (5e6, 0.2), (1e6, 0.05)]
)
def test_a_long_path_is_filled_and_not_flooded(bytes_per_s: float, round_trip_s: float) -> None:
    """Nine tenths of the rate; at most twice the path's content, and the size of messages, waits."""
    path = Path(bytes_per_s, round_trip_s)
    path.run(3)
    assert path.run(30) > 0.9 * bytes_per_s
    held_bytes = bytes_per_s * round_trip_s
    assert path.flight.limit_bytes <= 2.2 * held_bytes + 2 * LEAST_BYTES


def test_on_a_short_path_the_least_is_enough() -> None:
    """On loopback and in a local network hardly anything stands in queues."""
    path = Path(400e6, 0.0001)
    assert path.run(1) > 380e6
    assert path.flight.limit_bytes <= 2 * LEAST_BYTES


def test_a_path_that_became_longer_is_learnt() -> None:
    """The shortest round trip does not count for ever, or the limit would stay too low."""
    path = Path(10e6, 0.02)
    path.run(5)
    path.round_trip_s = 0.2
    path.run(40)
    assert path.run(10) > 8e6


def test_a_path_that_became_slower_is_learnt() -> None:
    """The best rate counts for two periods alone."""
    path = Path(40e6, 0.1)
    path.run(5)
    assert path.flight.limit_bytes > 40 * LEAST_BYTES
    path.bytes_per_s = 4e6
    path.run(30)
    assert path.flight.limit_bytes < 20 * LEAST_BYTES


def test_queues_do_not_pass_for_the_path() -> None:
    """A round trip is measured with nothing under way; else the limit would grow for ever."""
    path = Path(10e6, 0.05)
    path.run(5)
    before_bytes = path.flight.limit_bytes
    path.run(100)
    assert path.flight.limit_bytes <= 1.2 * before_bytes


def test_an_ack_that_was_held_back_says_nothing() -> None:
    """The peer waits up to 100 ms before it acknowledges little."""
    flight = Flight(MOST_BYTES)
    flight.sent(1, ACK_AFTER_BYTES - 1, 0.0)
    flight.acked(1, 0.5)
    flight.sent(2, ACK_AFTER_BYTES, 1.0)
    flight.acked(2, 1.0)  # nor does a clock that stands still
    assert flight.limit_bytes == LEAST_BYTES
    flight.sent(3, 2 * LEAST_BYTES, 2.0)
    flight.acked(3, 2.5)
    assert flight.limit_bytes == 4 * LEAST_BYTES


def test_it_never_exceeds_the_most() -> None:
    """What may not be kept for a resume is not sent."""
    flight = Flight(LEAST_BYTES // 2)
    assert flight.limit_bytes == LEAST_BYTES // 2
    path = Path(100e6, 1.0)
    path.run(10)
    assert path.flight.limit_bytes == MOST_BYTES


def test_an_ack_for_nothing_new_changes_nothing() -> None:
    """As after a resume, for what was under way on the link before."""
    flight = Flight(MOST_BYTES)
    flight.sent(5, LEAST_BYTES, 0.0)
    flight.acked(4, 1.0)
    assert flight.is_full
    flight.renew()
    assert (flight.is_full, flight.under_way_bytes) == (False, 0)
    flight.acked(5, 2.0)
    assert flight.under_way_bytes == 0


def test_small_messages_do_not_hold_up_the_bulk() -> None:
    """The path is measured anew when what was under way has arrived, though light streams go on."""
    path = Path(10e6, 0.05)
    path.run(9)
    slowest_bytes = 10e6
    for _ in range(20):
        until_s, before_bytes = path.now_s + 1, path.arrived_bytes
        while path.now_s < until_s:
            path.send(200)
            path.run(0.005)
        slowest_bytes = min(slowest_bytes, path.arrived_bytes - before_bytes)
    assert slowest_bytes > 5e6
