"""A program of both eras: a process for each, and one for all if it knows only one."""

from dataclasses import replace

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.agent.servers.interfaces import STOP_GRACE_S
from mcptunnel.agent.servers.two_eras import VERDICT_S, TwoEras
from mcptunnel.config.agent import ServerConfig
from mcptunnel.mcp.announcement import ServerState, ServerStatus
from mcptunnel.mcp.service import Asker
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Outcome
from mcptunnel.testing.local_server import MemoryServer
from tests.agent import Caller, done, tool_call

MODERN = Asker("local|ken", "key")
LEGACY = replace(MODERN, era=Era.LEGACY)
IDLE_S = 60.0


class Process(MemoryServer):
    """A process of one era; whether it is idle is the test's to say."""

    def __init__(self, era: Era) -> None:
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


def replace_era(status: ServerStatus, era: Era) -> ServerStatus:
    return ServerStatus(
        status.name, "stdio", status.state, status.revision, None, status.detail, era.value
    )


class Bench:
    """`first` is ready; a second process is `STARTING` until the test says more."""

    def __init__(self, era: Era = Era.MODERN) -> None:
        self.clock = Clock()
        self.first = Process(era)
        self.seconds: list[Process] = []
        config = ServerConfig(name="files", kind="stdio", command=("x",), idle_s=IDLE_S)
        self.server = TwoEras(self.clock, config, first=self.first, make_second=self._make)
        self.server.start()

    def _make(self, changed: object) -> Process:
        second = Process(Era.LEGACY)
        second._state = ServerState.STARTING
        second.changed = changed  # type: ignore[assignment]  # as the program calls it
        self.seconds.append(second)
        return second

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
    assert caller.response is not None
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
    assert caller.response is not None
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
