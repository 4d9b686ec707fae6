"""What is open on the strength of which access."""

from collections.abc import Collection, Mapping

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.model import Principal
from mcptunnel.relay.access import Access, Revoked
from mcptunnel.relay.in_use import SWEEP_S, Grants, InUse
from mcptunnel.store.errors import StoreError
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


def in_use_on(clock: Clock, grants: Grants | None = None) -> InUse:
    in_use = InUse(clock, lambda: EPOCH_S + clock.seconds())
    in_use.grants = grants
    return in_use


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


class KnownGrants(Grants):
    """Grants, and until when each can be renewed; `fails` is what asking for them raises."""

    def __init__(self, **until_s: float) -> None:
        self.until_s = until_s
        self.asked: list[set[str]] = []
        self.fails: Exception | None = None

    async def renewable(self, grant_ids: Collection[str]) -> dict[str, float]:
        self.asked.append(set(grant_ids))
        if self.fails is not None:
            raise self.fails
        return {one: self.until_s[one] for one in grant_ids if one in self.until_s}


def test_what_nobody_can_renew_is_told_soon_after_it_has_expired() -> None:
    """And again, as long as it is there; then nobody looks any more."""
    clock, grants = Clock(), KnownGrants(a=0.0)
    in_use, work, lasting = in_use_on(clock, grants), Work(), Work()
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
    assert grants.asked == [{"a"}] * 3, "a key does not expire"


def test_what_can_be_renewed_goes_on_for_as_long_as_that() -> None:
    """A client that comes back has it renewed, and that counts as well."""
    clock, grants = Clock(), KnownGrants(a=EPOCH_S + SWEEP_S * 1.5)
    in_use, work = in_use_on(clock, grants), Work()
    in_use.begin(access("a", EPOCH_S + 1), work)
    clock.advance(SWEEP_S)
    grants.until_s["a"] = EPOCH_S + SWEEP_S * 2.5
    clock.advance(SWEEP_S)
    assert not work.ends
    clock.advance(SWEEP_S)
    assert work.ends == [False]
    in_use.stop()


def test_what_lost_its_grant_elsewhere_ends_as_revoked() -> None:
    """Another process revoked it, or its time is over; the token would be good for long."""
    clock, grants = Clock(), KnownGrants(a=EPOCH_S + 9999, b=EPOCH_S + 9999)
    in_use = in_use_on(clock, grants)
    works = [Work(in_use), Work(in_use)]
    for work, grant_id in zip(works, "ab", strict=True):
        in_use.begin(access(grant_id, EPOCH_S + 9999), work)
    clock.advance(SWEEP_S)
    del grants.until_s["a"]
    clock.advance(SWEEP_S)
    assert [work.ends for work in works] == [[True], []]
    in_use.stop()


def test_a_store_that_fails_ends_nothing(logged_failures: LoggedFailures) -> None:
    """It is asked again."""
    clock, grants = Clock(), KnownGrants()
    in_use, work = in_use_on(clock, grants), Work(in_use=None)
    grants.fails = StoreError("closed")
    in_use.begin(access("a", EPOCH_S), work)
    clock.advance(SWEEP_S)
    assert not work.ends
    assert logged_failures.take(StoreError)
    grants.fails = None
    clock.advance(SWEEP_S)
    assert work.ends == [True]
    in_use.stop()


def test_what_is_renewed_during_a_look_goes_on() -> None:
    """What the store read is judged by the time at which it was asked, however long it takes."""
    clock, answer = Clock(), Deferred[dict[str, float]]()

    class Slow(Grants):
        async def renewable(self, grant_ids: Collection[str]) -> Mapping[str, float]:
            return await answer

    in_use, work = in_use_on(clock, Slow()), Work()
    in_use.begin(access("a", EPOCH_S + 1), work)
    clock.advance(SWEEP_S)
    clock.advance(5)
    answer.callback({"a": EPOCH_S + SWEEP_S + 2})
    assert not work.ends, "it may have been renewed since"
    in_use.stop()


def test_a_look_ends_nothing_twice() -> None:
    """An agent's link takes its calls with it."""
    clock = Clock()
    in_use, call = in_use_on(clock, KnownGrants()), Work()

    class Link(Work):
        def access_ended(self, *, is_revoked: bool) -> None:
            in_use.over(call)

    in_use.begin(access("a", EPOCH_S + 9999), Link())
    in_use.begin(access("a", EPOCH_S + 9999), call)
    clock.advance(SWEEP_S)
    assert not call.ends
    in_use.stop()


def test_one_look_at_a_time() -> None:
    """However long the store takes; when it is stopped nobody waits for the answer."""
    clock, answer, cancelled = Clock(), list[Deferred[dict[str, float]]](), list[bool]()

    class Slow(Grants):
        async def renewable(self, grant_ids: Collection[str]) -> Mapping[str, float]:
            answer.append(Deferred(lambda _answer: cancelled.append(True)))
            return await answer[-1]

    in_use, work = in_use_on(clock, Slow()), Work()
    in_use.begin(access("a", EPOCH_S), work)
    clock.advance(SWEEP_S)
    in_use.begin(access("a", EPOCH_S), Work())
    assert not clock.getDelayedCalls()
    answer[0].callback({"a": 0.0})
    assert work.ends == [False]
    clock.advance(SWEEP_S)
    in_use.stop()
    assert cancelled == [True]
    assert not clock.getDelayedCalls()
    assert work.ends == [False]


def test_stopped_it_looks_for_nothing() -> None:
    clock = Clock()
    in_use = in_use_on(clock, KnownGrants())
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
