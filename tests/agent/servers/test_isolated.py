"""A server for each session of a client, over servers in memory."""

from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mcptunnel.agent.servers.interfaces import (
    STOP_GRACE_S,
    URGENT_GRACE_S,
    LocalCall,
    Passage,
    Requester,
)
from mcptunnel.agent.servers.isolated import IsolatedServer
from mcptunnel.config.agent import ServerConfig
from mcptunnel.mcp.calls import CallReceiver
from mcptunnel.mcp.jsonrpc import Request
from mcptunnel.mcp.service import NOBODY, Asker
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Outcome
from mcptunnel.testing.local_server import MemoryServer
from tests.agent import Caller, done, request, tool_call

KEN, EVE, ADA = (Asker(f"local|{name}", "key") for name in ("ken", "eve", "ada"))


class OneServer(MemoryServer):
    """One of them; whether it is idle is the test's to say."""

    def __init__(self) -> None:
        super().__init__("files", {"wait": None})
        self.is_idle = True
        self.life: list[str] = []
        self.askers: list[Asker] = []
        self.problem: Exception | None = None
        self.graces_s: list[float] = []
        self.lingers: Deferred[None] | None = None

    def start(self) -> None:
        self.life.append("started")
        super().start()

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        self.life.append("stopped")
        self.graces_s.append(grace_s)
        if self.problem:
            raise self.problem
        await super().stop()
        if self.lingers is not None:
            await self.lingers

    def call(self, request: Request, receiver: CallReceiver, asker: Asker = NOBODY) -> LocalCall:
        self.askers.append(asker)
        return super().call(request, receiver, asker)


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.made: list[OneServer] = []
        config = ServerConfig(
            name="files",
            kind="stdio",
            command=("x",),
            isolation="session",
            max_children=2,
            idle_s=60.0,
        )
        self.changes = 0
        self.server = IsolatedServer(self.clock, config, make=self.make, changed=self.changed)

    def changed(self) -> None:
        self.changes += 1

    def make(self, changed: Any) -> OneServer:
        self.made.append(OneServer())
        self.made[-1].changed = changed
        return self.made[-1]

    def call(self, asker: Asker = NOBODY, made: Request | None = None) -> Caller:
        caller = Caller()
        self.server.call(made or tool_call("wait"), caller, asker)
        return caller


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.server.start()
    return made


def test_one_server_is_always_there_and_its_status_is_told(bench: Bench) -> None:
    (first,) = bench.made
    assert first.life == ["started"]
    assert bench.server.status == first.status
    first.passage = passage = Passage(cast("Requester", None), ())
    found: list[Passage | None] = []
    bench.server.find_passage(Era.LEGACY, found.append)
    assert found == [passage]
    changes = bench.changes
    first.offer({})
    assert bench.changes == changes + 1


def test_each_client_gets_a_server_of_its_own(bench: Bench) -> None:
    for asker in (KEN, EVE, KEN, Asker("local|ken", "")):
        bench.call(asker)
    first, kens, eves = bench.made
    assert first.askers == [Asker("local|ken", "")]
    assert (kens.askers, eves.askers) == ([KEN, KEN], [EVE])
    changes = bench.changes
    kens.offer({})
    assert bench.changes == changes, "what it offers is nobody else's affair"


@pytest.mark.parametrize(
    "made",
    [
        request("tools/list"),
        request("server/discover"),
        request("subscriptions/listen"),
        request("subscriptions/listen", notifications={"toolsListChanged": True}),
        request("subscriptions/listen", notifications={"resourceSubscriptions": []}),
        request("subscriptions/listen", notifications=5),
    ],
)
def test_who_only_looks_around_needs_none(bench: Bench, made: Request) -> None:
    bench.call(KEN, made)
    assert len(bench.made) == 1
    bench.call(KEN)
    bench.call(KEN, made)
    assert bench.made[1].askers == [KEN, KEN], "but one that is there is asked"


@pytest.mark.parametrize(
    "made",
    [
        request("prompts/get"),
        request("subscriptions/listen", notifications={"resourceSubscriptions": ["a"]}),
    ],
)
def test_everything_else_does(bench: Bench, made: Request) -> None:
    bench.call(KEN, made)
    assert len(bench.made) == 2


def test_the_one_that_was_idle_for_longest_gives_way(bench: Bench) -> None:
    for asker in (KEN, EVE, KEN):
        bench.call(asker)
        bench.clock.advance(1)
    bench.call(ADA)
    _, kens, eves, adas = bench.made
    assert (kens.life, eves.life, adas.life) == (["started"], ["started", "stopped"], ["started"])
    kens.is_idle = False
    bench.call(EVE)
    assert adas.life == ["started", "stopped"]


def test_with_all_at_work_another_client_is_refused(bench: Bench) -> None:
    bench.call(KEN)
    bench.call(EVE)
    for server in bench.made:
        server.is_idle = False
    caller = Caller()
    refused = bench.server.call(tool_call("wait"), caller, ADA)
    refused.pause()
    refused.resume()
    refused.cancel("gone")
    assert caller.failure is not None
    assert caller.failure.outcome is Outcome.NOT_DELIVERED
    assert caller.failure.text.startswith("The server 'files' works for 2 clients already")
    assert not bench.call(ADA, request("tools/list")).failure


def test_what_is_idle_for_long_ends(bench: Bench) -> None:
    bench.call(KEN)
    bench.call(EVE)
    _, kens, eves = bench.made
    kens.is_idle = False
    bench.clock.pump([15] * 5)
    assert (kens.life, eves.life) == (["started"], ["started", "stopped"])
    kens.is_idle = True
    bench.clock.pump([15] * 5)
    assert kens.life == ["started", "stopped"]
    bench.call(KEN)
    assert len(bench.made) == 4


def test_a_restart_is_one_of_all(bench: Bench) -> None:
    bench.call(KEN)
    restarting = Deferred.fromCoroutine(bench.server.restart())
    assert done(restarting)
    assert [server.life for server in bench.made] == [["started", "stopped", "started"]] * 2


def test_a_stop_ends_all_and_no_client_gets_one_afterwards(
    bench: Bench, logged_failures: Any
) -> None:
    bench.call(KEN)
    bench.made[1].problem = OSError("no such process")
    assert done(Deferred.fromCoroutine(bench.server.stop()))
    assert logged_failures.take(OSError)
    assert [server.life[-1] for server in bench.made] == ["stopped"] * 2
    assert not bench.clock.getDelayedCalls()
    bench.call(KEN)
    assert len(bench.made) == 2


def test_a_restart_that_fails_is_logged(bench: Bench, logged_failures: Any) -> None:
    bench.made[0].problem = OSError("no such process")
    assert done(Deferred.fromCoroutine(bench.server.restart()))
    assert logged_failures.take(OSError)


def test_a_stop_that_becomes_urgent_hurries_all(bench: Bench) -> None:
    """Also those that were ending already, and it waits for them."""
    bench.call(KEN)
    lingers: Deferred[None] = Deferred()
    bench.made[1].lingers = lingers
    bench.clock.pump([15] * 5)
    stopping = Deferred.fromCoroutine(bench.server.stop(URGENT_GRACE_S))
    assert bench.made[0].graces_s == [URGENT_GRACE_S]
    assert bench.made[1].graces_s == [STOP_GRACE_S, URGENT_GRACE_S]
    assert not done(stopping)
    bench.made[1].lingers = None
    lingers.callback(None)
    assert done(stopping)


def test_listens_end_at_all_of_them(bench: Bench) -> None:
    callers = [
        bench.call(NOBODY, request("subscriptions/listen")),
        bench.call(
            KEN, request("subscriptions/listen", notifications={"resourceSubscriptions": ["a"]})
        ),
    ]
    assert len(bench.made) == 2
    bench.server.end_listens()
    assert [caller.result["resultType"] for caller in callers] == ["complete"] * 2
    bench.call(KEN)
