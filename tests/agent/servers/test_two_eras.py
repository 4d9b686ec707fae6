"""A program of both eras: a process for each, and one for all if it knows only one."""

from collections.abc import Callable
from typing import Literal, cast

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.agent.servers.interfaces import STOP_GRACE_S, Passage, PassageFound, Requester
from mcptunnel.agent.servers.kept import MAX_WAITING
from mcptunnel.agent.servers.two_eras import HTTP_VERDICT_S, VERDICT_S, TwoEras
from mcptunnel.config.agent import ServerConfig
from mcptunnel.mcp.announcement import ServerState, ServerStatus
from mcptunnel.mcp.jsonrpc import Request
from mcptunnel.mcp.server_half.request_state import Parked, digest
from mcptunnel.mcp.service import Asker
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Outcome
from mcptunnel.testing.local_server import MemoryServer
from tests.agent import STATES, Caller, done, request, tool_call

MODERN = Asker("local|ken", "key")
LEGACY = replace(MODERN, era=Era.LEGACY)
IDLE_S = 60.0


class Process(MemoryServer):
    """A process of one era, "" if it is not known; whether it is idle is the test's to say."""

    def __init__(self, era: Era | Literal[""]) -> None:
        super().__init__("files", {"wait": None})
        self.era = era
        self.is_idle = True
        self.life: list[str] = []

    @property
    def status(self) -> ServerStatus:
        return replace_era(super().status, self.era)

    def start(self) -> None:
        self.life.append("started")

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        self.life.append("stopped")
        await super().stop()

    async def restart(self) -> None:
        self.life.append("restarted")


def replace_era(status: ServerStatus, era: str) -> ServerStatus:
    return ServerStatus(
        status.name, "stdio", status.state, status.revision, None, status.detail, era
    )


class Bench:
    """`first` is ready; a second process is `STARTING` until the test says more."""

    def __init__(self, era: Era = Era.MODERN, kind: Literal["stdio", "http"] = "stdio") -> None:
        self.clock = Clock()
        self.first = Process(era)
        self.seconds: list[Process] = []
        self.changes = 0
        config = ServerConfig(name="files", kind=kind, command=("x",), idle_s=IDLE_S)
        self.server = TwoEras(
            self.clock, config, make=self._make, states=STATES, changed=self._changed
        )
        self.server.start()

    def _changed(self) -> None:
        self.changes += 1

    def _make(self, changed: Callable[[], None], *, probe: bool) -> Process:
        made = self.first if probe else Process(Era.LEGACY)
        made.changed = changed
        if not probe:
            made._state = ServerState.STARTING
            self.seconds.append(made)
        return made

    @property
    def second(self) -> Process:
        return self.seconds[-1]

    def call(self, asker: Asker = LEGACY) -> Caller:
        caller = Caller()
        self.server.call(tool_call("wait"), caller, asker)
        return caller

    def stop(self) -> None:
        assert done(Deferred.fromCoroutine(self.server.stop()))
        assert not self.clock.getDelayedCalls()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_each_era_has_its_process(bench: Bench) -> None:
    """The second starts with the first legacy call, which waits for it there."""
    bench.call(MODERN)
    assert not bench.seconds
    caller = bench.call()
    assert bench.second.life == ["started"]
    bench.second.become(ServerState.READY)
    bench.call()
    assert len(bench.seconds) == 1
    assert (len(bench.first.calls), len(bench.second.calls)) == (1, 2)
    bench.second.calls[0].progress(1)
    bench.second.calls[0].answer("done")
    assert caller.answer is not None
    assert bench.server.status.era == "modern"
    bench.stop()


def test_a_legacy_program_has_one_process() -> None:
    bench = Bench(Era.LEGACY)
    bench.call()
    assert not bench.seconds
    assert len(bench.first.calls) == 1
    bench.stop()


def test_a_program_that_does_not_start_in_the_older_era_has_one_process(bench: Bench) -> None:
    """Who waited is served by the first; nobody tries again soon."""
    caller = bench.call()
    (waiting,) = bench.second.calls
    bench.second.become(ServerState.FAILED)
    waiting.fail("It failed.", Outcome.NOT_DELIVERED)
    (call,) = bench.first.calls
    call.answer("done")
    assert caller.answer is not None
    bench.clock.advance(0)
    assert bench.second.life == ["started", "stopped"]
    bench.call()
    assert len(bench.seconds) == 1
    bench.clock.advance(VERDICT_S)
    bench.call()
    assert len(bench.seconds) == 2
    bench.stop()


def test_one_that_answers_initialize_as_a_modern_server_ends_when_it_is_idle(bench: Bench) -> None:
    bench.call()
    bench.second.era = Era.MODERN
    bench.second.is_idle = False
    bench.second.become(ServerState.READY)
    bench.call()
    assert (len(bench.first.calls), len(bench.second.calls)) == (1, 1)
    bench.clock.advance(IDLE_S / 4)
    assert bench.second.life == ["started"]
    bench.second.is_idle = True
    bench.clock.advance(IDLE_S / 4)
    assert bench.second.life == ["started", "stopped"]
    assert not bench.clock.getDelayedCalls()


def test_a_call_that_may_have_run_is_not_made_again(bench: Bench) -> None:
    caller = bench.call()
    bench.second.calls[0].fail("It ended.", Outcome.UNKNOWN)
    assert caller.failure is not None
    assert not bench.first.calls
    bench.stop()


def test_a_call_is_cancelled_where_it_is(bench: Bench) -> None:
    caller = Caller()
    call = bench.server.call(tool_call("wait"), caller, LEGACY)
    call.pause()
    call.resume()
    bench.second.become(ServerState.FAILED)
    bench.second.calls[0].fail("It failed.", Outcome.NOT_DELIVERED)
    call.cancel("enough")
    assert bench.first.calls[0].cancelled == "enough"
    bench.clock.advance(0)
    bench.stop()


def test_the_second_ends_when_it_had_nothing_to_do(bench: Bench) -> None:
    bench.call()
    bench.second.become(ServerState.READY)
    bench.second.is_idle = False
    assert not bench.server.is_idle
    bench.clock.pump([IDLE_S / 4] * 8)
    assert bench.second.life == ["started"]
    bench.second.is_idle = True
    bench.clock.pump([IDLE_S / 4] * 4)
    assert bench.second.life == ["started", "stopped"]
    bench.call()
    assert len(bench.seconds) == 2
    bench.stop()


def test_what_is_done_to_the_server_is_done_to_both(bench: Bench) -> None:
    """A restart lets the second begin when it is needed again."""
    bench.call()
    bench.second.become(ServerState.READY)
    bench.server.end_listens()
    assert done(Deferred.fromCoroutine(bench.server.restart()))
    assert bench.first.life == ["started", "restarted"]
    assert bench.second.life == ["started", "stopped"]
    bench.call()
    bench.stop()
    assert bench.second.life == ["started", "stopped"]
    assert bench.first.life[-1] == "stopped"


def test_while_the_first_is_not_ready_it_is_asked(bench: Bench) -> None:
    """It says what is wrong."""
    bench.first.become(ServerState.FAILED, "is broken")
    bench.call()
    assert not bench.seconds
    bench.stop()


def idle(bench: Bench) -> bool:
    return bench.server.is_idle


def retry(state: str) -> Request:
    return request("tools/call", name="wait", requestState=state, inputResponses={})


def parked(asker: Asker = LEGACY) -> str:
    """Return the state of a question that the second process asked in a call of this asker."""
    digested = digest("tools/call", retry("").params)
    return STATES.seal(Parked("a conversation", 1, 1), asker, digested, now_s=0.0)


def test_answers_go_to_the_process_that_asked(bench: Bench) -> None:
    bench.call()
    bench.second.become(ServerState.READY)
    bench.server.call(retry(parked()), Caller(), LEGACY)
    assert len(bench.second.calls) == 2
    bench.server.call(retry("the modern process's own"), Caller(), LEGACY)
    assert len(bench.first.calls) == 1
    bench.stop()


def test_answers_to_a_process_that_is_gone_go_to_no_other(bench: Bench) -> None:
    """It may be starting again, or not be there at all; the first has never heard of the call."""
    bench.call()
    bench.second.become(ServerState.READY)

    def retried() -> None:
        caller = Caller()
        bench.server.call(retry(parked()), caller, LEGACY).cancel("it is over")
        assert caller.failure is not None
        assert caller.failure.outcome is Outcome.UNKNOWN
        assert caller.failure.text == (
            "The server 'files' ended while the call waited for answers of its client."
        )

    bench.second.become(ServerState.STARTING)
    retried()
    assert done(Deferred.fromCoroutine(bench.server.restart()))
    retried()
    assert len(bench.seconds) == 1
    assert not bench.first.calls
    bench.stop()


def test_while_the_second_starts_again_the_first_makes_what_it_does_not_take(bench: Bench) -> None:
    bench.call()
    bench.second.become(ServerState.READY)
    bench.second.become(ServerState.FAILED)
    bench.call()
    bench.second.calls[1].fail("It is away.", Outcome.NOT_DELIVERED)
    assert len(bench.first.calls) == 1
    bench.stop()


@pytest.mark.parametrize("era", Era)
def test_a_call_waits_until_it_is_known_which_era_the_program_speaks(
    bench: Bench, era: Era
) -> None:
    bench.first.era = ""
    bench.first.become(ServerState.STARTING)
    given_up = bench.server.call(tool_call("wait"), Caller(), LEGACY)
    caller = bench.call()
    assert not idle(bench)
    given_up.pause()
    given_up.resume()
    given_up.cancel("gone")
    bench.first.era = era
    bench.first.become(ServerState.READY)
    process = bench.first if era is Era.LEGACY else bench.second
    (call,) = process.calls
    call.answer("done")
    assert caller.answer is not None
    assert idle(bench)
    assert bench.changes
    bench.stop()


def test_not_many_calls_wait_so(bench: Bench) -> None:
    bench.first.become(ServerState.STARTING)
    for _ in range(MAX_WAITING + 1):
        bench.call()
    assert len(bench.first.calls) == 1
    assert done(Deferred.fromCoroutine(bench.server.stop()))
    assert len(bench.first.calls) == MAX_WAITING + 1, "which refuses what it is asked then"


def test_an_http_server_is_asked_first_whether_it_serves_legacy_clients() -> None:
    bench = Bench(kind="http")
    bench.call()
    assert not bench.seconds
    bench.call()
    assert len(bench.first.calls) == 2
    bench.first.passage = Passage(cast("Requester", None), ())
    bench.call()
    assert not bench.seconds, "the answer holds for a while"
    bench.clock.advance(HTTP_VERDICT_S)
    bench.call()
    assert (len(bench.seconds), len(bench.second.calls)) == (1, 1)
    bench.stop()


def test_calls_wait_for_that_answer() -> None:
    """What comes of it when the server is lost meanwhile says nothing of the server."""
    bench = Bench(kind="http")
    answers: list[PassageFound] = []
    bench.first.find_passage = lambda era, found: answers.append(found)  # type: ignore[method-assign]  # noqa: ARG005 - its name
    bench.call()
    bench.call()
    (found,) = answers
    bench.first.become(ServerState.STARTING)
    found(None)
    assert not bench.first.calls
    bench.first.become(ServerState.READY)
    answers[1](Passage(cast("Requester", None), ()))
    assert len(bench.second.calls) == 2
    bench.stop()


def test_what_is_listened_to_for_no_single_client_is_heard_of_both(bench: Bench) -> None:
    """Whichever comes first, the listen or the second process, and after a restart of that."""
    made = request("subscriptions/listen", notifications={"toolsListChanged": True})
    hub = replace(MODERN, client="")
    early, late, client = Caller(), Caller(), Caller()
    bench.server.call(made, client, MODERN)
    listening = bench.server.call(made, early, hub)
    bench.call()
    bench.second.become(ServerState.READY)
    bench.server.call(made, late, hub)
    assert len(bench.second.listens) == 2
    bench.second.tell("notifications/tools/list_changed")
    assert [len(one.notifications) for one in (early, late, client)] == [2, 2, 1]
    listening.cancel("enough")
    assert [one.is_over for one in bench.second.listens] == [True, False]
    bench.clock.pump([IDLE_S / 4] * 4)
    assert bench.second.life == ["started", "stopped"], "a listen does not keep it running"
    bench.call()
    assert len(bench.second.listens) == 1
    bench.stop()
