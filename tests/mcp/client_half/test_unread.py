"""What one client leaves unread of its stream."""

from mcptunnel.mcp.client_half.kept import Kept
from mcptunnel.mcp.client_half.unread import DEADLINE_S, PACE_BYTES_PER_S, Unread
from tests.mcp.client_half.stage import FakeTimers


class Bench:
    """Streams that share a budget of 1,000 bytes of a user, 1,500 of all."""

    def __init__(self) -> None:
        self.budget = Kept(1000, 1500)
        self.timers = FakeTimers()
        self.given_up: list[str] = []

    def stream(self, name: str = "one", principal: str = "alice", most_bytes: int = 600) -> Unread:
        def give_up() -> None:
            self.given_up.append(name)

        return Unread(self.budget, self.timers, principal, most_bytes, give_up)


def test_who_keeps_up_may_read_any_amount() -> None:
    bench = Bench()
    stream = bench.stream()
    assert all(stream.takes(10**9) for _ in range(3))
    assert not bench.timers.count
    stream.over()


def test_a_stream_may_leave_so_much_unread() -> None:
    bench = Bench()
    stream = bench.stream()
    stream.slow(True)
    assert stream.takes(600)
    stream.slow(False)
    stream.slow(True)
    assert stream.takes(600)
    assert not stream.takes(1)
    assert bench.given_up == ["one"]
    assert not bench.timers.count
    assert not bench.budget._bytes


def test_the_event_that_made_it_slow_has_room() -> None:
    """Even if it is larger: it is the user's affair."""
    bench = Bench()
    stream = bench.stream()
    assert stream.takes(900)
    stream.slow(True)
    assert stream.takes(100)
    assert not stream.takes(1)


def test_streams_of_one_user_share_what_there_is() -> None:
    bench = Bench()
    hers, more, his = bench.stream("hers"), bench.stream("more"), bench.stream("his", "bob")
    for stream in (hers, more, his):
        stream.slow(True)
    assert hers.takes(600)
    assert not more.takes(500)
    assert his.takes(500)
    hers.slow(False)
    assert bench.given_up == ["more"]
    last = bench.stream("last", "carol", 10_000)
    assert last.takes(1100)
    last.slow(True)
    assert bench.given_up == ["more", "last"]
    assert sum(bench.budget._bytes.values()) == bench.budget._all_bytes == 500


def test_who_takes_nothing_is_given_up() -> None:
    bench = Bench()
    stream = bench.stream()
    stream.slow(True)
    bench.timers.pass_s(DEADLINE_S - 1)
    stream.slow(True)
    assert not bench.given_up
    bench.timers.pass_s(1)
    assert bench.given_up == ["one"]
    stream.slow(False)
    stream.slow(True)
    assert not bench.timers.count


def test_much_has_more_time() -> None:
    """As at the least pace that bodies of requests must keep."""
    bench = Bench()
    bench.budget = Kept(100 * PACE_BYTES_PER_S, 100 * PACE_BYTES_PER_S)
    stream = bench.stream(most_bytes=100 * PACE_BYTES_PER_S)
    stream.takes(10 * PACE_BYTES_PER_S)
    stream.slow(True)
    bench.timers.pass_s(DEADLINE_S + 9)
    stream.takes(5 * PACE_BYTES_PER_S)
    bench.timers.pass_s(5)
    assert not bench.given_up
    bench.timers.pass_s(1)
    assert bench.given_up == ["one"]


def test_who_catches_up_has_all_the_time_again() -> None:
    bench = Bench()
    stream = bench.stream()
    for _ in range(3):
        stream.slow(True)
        bench.timers.pass_s(DEADLINE_S - 1)
        stream.slow(False)
        assert not bench.timers.count
    assert not bench.given_up
