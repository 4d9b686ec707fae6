"""What all kinds of servers share, shown on one that does nothing by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.agent.servers.interfaces import Passage
from mcptunnel.agent.servers.kept import KeptServer
from mcptunnel.config.agent import ServerConfig
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.jsonrpc import Notification, Request, Response
from mcptunnel.mcp.server_half.actions import Deliver
from mcptunnel.mcp.server_half.handshake import ServerInfo
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Outcome
from tests.agent import CLIENT_INFO, STATES, Caller, done, tool_call
from tests.conftest import Log


class Toy(KeptServer):
    """Runs from `_begin` on until the test lets its end come."""

    def __init__(self, clock: Clock) -> None:
        self.states: list[str] = []
        config = ServerConfig(name="toy", kind="stdio", command=("toy",), timeout_s=10.0)
        super().__init__(
            clock,
            config,
            client_info=CLIENT_INFO,
            states=STATES,
            changed=lambda: self.states.append(self.status.state),
        )
        self.begun = 0
        self.is_running = False
        self.asked: dict[int, Request] = {}
        self.dropped: list[tuple[int, str]] = []
        self.ends: list[Deferred[None]] = []
        self.pauses: list[int] = []

    def _begin(self) -> None:
        assert not self.is_running, "two at once"
        self.is_running = True
        self.begun += 1

    def _forget(self) -> None:
        self.asked.clear()

    async def _end(self, grace_s: float) -> None:
        if self.is_running:
            self.ends.append(Deferred())
            await self.ends[-1]

    def _takes_calls(self) -> bool:
        return self.is_running

    def _ask(self, key: int, request: Request) -> None:
        self.asked[key] = request

    def _again(self) -> None:
        self._begin()

    def _drop(self, key: int, reason: str) -> None:
        self.dropped.append((key, reason))

    def _parked_count(self) -> int:
        return 0

    def pause_call(self, key: int) -> None:
        self.pauses.append(key)

    def resume_call(self, key: int) -> None:
        self.pauses.append(-key)

    def deliver(self, message: Notification | Response) -> None:
        (key,) = self.asked
        self._deliver(Deliver(key, message))

    def ready(self) -> None:
        self._is_ready(ServerInfo(Era.MODERN, "2026-07-28", jsonrpc.raw({})))

    def ended(self) -> None:
        self.is_running = False
        ends, self.ends = self.ends, []
        for end in ends:
            end.callback(None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def toy(clock: Clock) -> Toy:
    return Toy(clock)


def test_a_call_is_asked_and_answered(toy: Toy) -> None:
    toy.start()
    caller = Caller()
    toy.call(tool_call("read"), caller)
    toy.deliver(Notification("notifications/progress"))
    toy.deliver(Response(1, jsonrpc.raw({})))
    toy.deliver(Response(1, jsonrpc.raw({"twice": True})))
    toy.deliver(Notification("notifications/progress"))
    assert caller.result == {}
    assert len(caller.notifications) == 1


def test_a_call_that_cannot_be_taken_is_refused(toy: Toy) -> None:
    caller = Caller()
    toy.call(tool_call("read"), caller).cancel("whatever")
    assert caller.failure is not None
    assert caller.failure.text == "The server 'toy' is stopped."
    assert caller.failure.outcome is Outcome.NOT_DELIVERED
    assert not toy.dropped


def test_a_call_is_given_up_after_its_time_or_by_its_caller_once(toy: Toy, clock: Clock) -> None:
    toy.start()
    late, cancelled = Caller(), Caller()
    cancel_late = toy.call(tool_call("a"), late).cancel
    cancel = toy.call(tool_call("b"), cancelled).cancel
    cancel("enough")
    cancel("enough")
    clock.pump([1.0] * 10)
    cancel_late("too late")
    assert late.failure is not None
    assert late.failure.text == "The server 'toy' gave no answer within 10 s."
    assert late.failure.outcome is Outcome.UNKNOWN
    assert toy.dropped == [(2, "enough"), (1, "timeout")]
    assert not cancelled.is_over


def test_who_made_a_call_can_hold_it_back(toy: Toy) -> None:
    toy.start()
    toy.call(tool_call("a"), Caller())
    call = toy.call(tool_call("b"), Caller())
    call.pause()
    call.resume()
    assert toy.pauses == [2, -2]


def test_being_ready_is_told_and_logged_as_a_new_revision(toy: Toy, log: Log) -> None:
    toy.start()
    toy.ready()
    toy.ready()
    status = toy.status
    assert (status.state, status.detail, status.revision) == ("ready", "", 2)
    assert (status.era, status.version) == ("modern", "2026-07-28")
    assert toy.states == [ServerState.READY] * 2
    assert log.count("server toy is ready: modern 2026-07-28") == 2


def test_stop_fails_calls_at_once_and_returns_at_the_end(toy: Toy, clock: Clock) -> None:
    toy.start()
    caller = Caller()
    toy.call(tool_call("read"), caller)
    stopping = Deferred.fromCoroutine(toy.stop())
    assert caller.failure is not None
    assert caller.failure.text == "The server 'toy' was stopped."
    assert toy.status.state is ServerState.STOPPED
    assert not done(stopping)
    toy.ended()
    assert done(stopping)
    assert not clock.getDelayedCalls()


@given(st.lists(st.sampled_from(["stop", "restart", "end"]), max_size=12))
def test_of_orders_that_overlap_the_last_one_counts(orders: list[str]) -> None:
    """However they come there are never two at once, and no order is left hanging."""
    toy = Toy(Clock())
    toy.start()
    waiting: list[Deferred[None]] = []
    for order in orders:
        if order == "end":
            if toy.ends:
                toy.ended()
        else:
            waiting.append(Deferred.fromCoroutine(getattr(toy, order)()))
    while toy.ends:
        toy.ended()
    assert all(map(done, waiting))
    given_orders = [order for order in orders if order != "end"]
    assert toy.is_running == (not given_orders or given_orders[-1] == "restart")


def test_a_server_passes_nothing_on_unless_it_says_so() -> None:
    found: list[Passage | None] = []
    for era in Era:
        Toy(Clock()).find_passage(era, found.append)
    assert found == [None, None]
