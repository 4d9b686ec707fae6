"""All calls under way: one timer, and a bound for what each user's calls keep."""

from twisted.internet.task import Clock

from mcptunnel.model import Principal
from mcptunnel.relay.hub.open_calls import MAX_KEPT_BYTES, SWEEP_S, OpenCalls

ALICE, BOB = Principal("local", "alice"), Principal("local", "bob")


class Call:
    """A call (`open_calls.KeepingCall`, `AnsweredCall`)."""

    def __init__(self, patience_s: float = 100.0) -> None:
        self.was_heard = True
        self.quiet_since_s = 0.0
        self.patience_s = patience_s
        self.kept_bytes = 0
        self.really_kept_bytes: int | None = None
        self.told: list[str] = []

    def timed_out(self) -> None:
        self.told.append("timed out")

    def drop(self) -> None:
        self.told.append("dropped")

    def count_bytes(self) -> int:
        return self.kept_bytes if self.really_kept_bytes is None else self.really_kept_bytes


def open_calls(max_result_bytes: int = 0) -> tuple[Clock, OpenCalls]:
    clock = Clock()
    calls = OpenCalls(clock, 100.0, max_result_bytes)
    return clock, calls


def test_only_silent_calls_time_out() -> None:
    clock, calls = open_calls()
    silent, lively, short = Call(), Call(), Call(20.0)
    for call in (silent, lively, short):
        calls.watch(call)
    for step in range(1, 9):
        clock.advance(SWEEP_S)
        lively.was_heard = True
        if short.told:
            calls.over(short)
        assert bool(short.told) == (step * SWEEP_S >= SWEEP_S + short.patience_s)
        assert bool(silent.told) == (step * SWEEP_S >= SWEEP_S + silent.patience_s)
    assert not lively.told
    assert len(short.told) == 1


def test_one_timer_serves_them_all_and_goes_when_there_are_none() -> None:
    clock, calls = open_calls()
    many = [Call() for _ in range(10)]
    for call in many:
        calls.watch(call)
    assert len(clock.getDelayedCalls()) == 1
    for call in many:
        calls.over(call)
        calls.over(call)
    clock.advance(SWEEP_S)
    assert not clock.getDelayedCalls()


def test_a_hub_that_stops_leaves_no_timer() -> None:
    clock, calls = open_calls()
    calls.stop()
    calls.watch(Call())
    calls.stop()
    assert not clock.getDelayedCalls()


def test_answered_calls_are_dropped_in_the_next_turn() -> None:
    clock, calls = open_calls()
    first, second = Call(), Call()
    calls.answered(first)
    calls.answered(second)
    assert not first.told
    clock.advance(0)
    assert first.told == second.told == ["dropped"]
    clock.advance(1)
    assert len(first.told) == 1


def test_every_user_has_a_bound_of_their_own() -> None:
    _, calls = open_calls()
    first, second, other = Call(), Call(), Call()
    assert calls.keeps(first, ALICE, MAX_KEPT_BYTES)
    assert not calls.keeps(second, ALICE, 1)
    assert second.kept_bytes == 0
    assert calls.keeps(other, BOB, MAX_KEPT_BYTES)
    calls.keeps_nothing(first, ALICE)
    calls.keeps_nothing(first, ALICE)
    assert calls.keeps(second, ALICE, MAX_KEPT_BYTES)


def test_over_the_bound_what_is_really_kept_counts() -> None:
    _, calls = open_calls()
    first, second = Call(), Call()
    assert calls.keeps(first, ALICE, MAX_KEPT_BYTES)
    first.really_kept_bytes = 10
    assert calls.keeps(second, ALICE, MAX_KEPT_BYTES - 10)
    assert first.kept_bytes == 10
    assert not calls.keeps(second, ALICE, 1)


def test_one_result_of_the_largest_size_has_room() -> None:
    _, calls = open_calls(max_result_bytes=2 * MAX_KEPT_BYTES)
    assert calls.keeps(Call(), ALICE, 2 * MAX_KEPT_BYTES)


def test_nothing_is_remembered_of_users_without_calls() -> None:
    _, calls = open_calls()
    call = Call()
    calls.keeps(call, ALICE, 5)
    calls.keeps(call, ALICE, 5)
    calls.keeps_nothing(call, ALICE)
    assert not calls._users
