"""What is open on the strength of which access."""

from msgspec.structs import replace
from twisted.internet.task import Clock

from mcptunnel.model import Principal
from mcptunnel.relay.access import Access, Revoked
from mcptunnel.relay.in_use import SWEEP_S, InUse
from tests.conftest import LoggedFailures

ALICE = Principal("local", "alice")
EPOCH_S = 1000.0


def access(grant_id: str, expires_s: float | None = None) -> Access:
    return Access(ALICE, grant_id, grant_id, grant_id, ("mcp",), expires_s=expires_s)


class Work:
    def __init__(self, in_use: InUse | None = None) -> None:
        self.ends: list[bool] = []
        self._in_use = in_use

    def access_ended(self, *, is_revoked: bool) -> None:
        self.ends.append(is_revoked)
        if self._in_use is not None:
            self._in_use.over(self)


class Broken(Work):
    def access_ended(self, *, is_revoked: bool) -> None:
        raise RuntimeError("no")


def in_use_on(clock: Clock) -> InUse:
    return InUse(clock, lambda: EPOCH_S + clock.seconds())


def test_what_lost_its_access_ends_and_nothing_else() -> None:
    clock = Clock()
    in_use = in_use_on(clock)
    works = [Work(in_use), Work(in_use), Work(in_use)]
    for work, grant_id in zip(works, "aab", strict=True):
        in_use.begin(access(grant_id), work)
    in_use.over(works[1])
    in_use.over(works[1])
    in_use.end(Revoked(grant_id="a"))
    assert [work.ends for work in works] == [[True], [], []]
    assert len(in_use) == 1
    assert not clock.getDelayedCalls()


def test_work_may_go_on_with_another_access() -> None:
    in_use, work = in_use_on(Clock()), Work()
    in_use.begin(access("a"), work)
    in_use.begin(access("b"), work)
    in_use.end(Revoked(grant_id="a"))
    assert not work.ends
    in_use.end(Revoked(grant_id="b"))
    assert work.ends == [True]


def test_what_another_took_along_is_over() -> None:
    """As a device's tunnel takes along the calls on it."""
    in_use, call = in_use_on(Clock()), Work()

    class Tunnel(Work):
        def access_ended(self, *, is_revoked: bool) -> None:
            in_use.over(call)

    in_use.begin(access("a"), Tunnel())
    in_use.begin(access("a"), call)
    in_use.end(Revoked(principal=ALICE))
    assert not call.ends


def test_one_that_cannot_end_keeps_no_other(logged_failures: LoggedFailures) -> None:
    in_use, work = in_use_on(Clock()), Work()
    in_use.begin(access("a"), Broken())
    in_use.begin(access("a"), work)
    in_use.end(Revoked(grant_id="a"))
    assert work.ends == [True]
    assert logged_failures.take(RuntimeError)


def test_what_expires_is_told_soon_after() -> None:
    """And again, as long as it is there; then nobody looks any more."""
    clock = Clock()
    in_use, work, lasting = in_use_on(clock), Work(), Work()
    in_use.begin(access("a", EPOCH_S + SWEEP_S * 1.5), work)
    in_use.begin(access("b"), lasting)
    clock.advance(SWEEP_S)
    assert not work.ends
    clock.advance(SWEEP_S)
    clock.advance(SWEEP_S)
    assert work.ends == [False, False]
    in_use.over(work)
    clock.advance(SWEEP_S)
    assert not clock.getDelayedCalls()
    assert not lasting.ends


def test_what_can_be_renewed_is_told_when_it_cannot_any_more() -> None:
    clock = Clock()
    in_use, work = in_use_on(clock), Work()
    renewable = replace(access("a", EPOCH_S + 1), renewable_s=EPOCH_S + SWEEP_S * 2.5)
    in_use.begin(renewable, work)
    for _ in range(2):
        clock.advance(SWEEP_S)
    assert not work.ends
    clock.advance(SWEEP_S)
    assert work.ends == [False]
    in_use.stop()


def test_stopped_it_looks_for_nothing() -> None:
    clock = Clock()
    in_use = in_use_on(clock)
    in_use.begin(access("a", EPOCH_S), Work())
    in_use.stop()
    in_use.begin(access("a", EPOCH_S), Work())
    assert not clock.getDelayedCalls()


def test_a_user_may_have_so_much_open() -> None:
    """Whichever clients it is of; what is noted anew counts once, and others have room."""
    in_use = InUse(Clock(), lambda: EPOCH_S, most_of_user=2)
    works = [Work(), Work()]
    assert in_use.has_room(ALICE)
    for work in works:
        in_use.begin(access("a"), work)
        in_use.begin(access("b"), work)
    assert not in_use.has_room(ALICE)
    assert in_use.has_room(Principal("local", "bob"))
    for _ in range(2):
        in_use.over(works[0])
    assert in_use.has_room(ALICE)
    in_use.over(works[1])
    in_use.begin(access("a"), works[1])
    assert in_use.has_room(ALICE)


def test_what_outlasts_its_grant_ends() -> None:
    """An agent's link may be up for months; nobody has agreed to more than the grant."""
    clock = Clock()
    in_use, link = in_use_on(clock), Work()
    granted = replace(access("a", EPOCH_S + 10), grant_expires_s=EPOCH_S + 4 * SWEEP_S)
    in_use.begin(granted, link)
    for _ in range(3):
        clock.advance(SWEEP_S)
    assert link.ends == [False] * 3
    clock.advance(SWEEP_S)
    assert link.ends[-1] is True
    in_use.stop()
