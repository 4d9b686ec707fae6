"""Headers of calls against what a server's tools annotate: asked for when needed, never for nothing."""

from typing import Any

import pytest
from twisted.internet.task import Clock

from mcptunnel.agent.servers.tool_listing import LISTING_S, MAX_PAGES
from mcptunnel.agent.transparent.tool_headers import FRESH_S, ToolHeaders
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.jsonrpc import HEADER_MISMATCH, JsonRpcError
from mcptunnel.net.timers import ReactorTimers
from tests.agent import tool_call
from tests.agent.transparent.stage import Server

EU = ("mcp-param-region", "eu")


class Bench:
    def __init__(self) -> None:
        self.server = Server()
        self.server.annotated = {"region": "Region"}
        self.clock = Clock()
        self.tools = ToolHeaders(self.server, ReactorTimers(self.clock), self.clock.seconds)
        self.told: list[JsonRpcError | None] = []

    def check(self, *headers: tuple[str, str], tool: str = "echo", **arguments: Any) -> None:
        self.told.clear()
        self.tools.check(headers, tool_call(tool, **arguments), self.told.append)

    @property
    def is_refused(self) -> bool:
        (error,) = self.told
        assert error is None or error.code == HEADER_MISMATCH
        return error is not None

    @property
    def list_count(self) -> int:
        return sum(request.method == "tools/list" for request in self.server.requests)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_list_is_asked_for_once(bench: Bench) -> None:
    for _ in range(3):
        bench.check(EU, region="eu")
        assert not bench.is_refused
        bench.check(tool="wait")
        assert not bench.is_refused
    assert bench.list_count == 1


def test_a_header_that_is_missing_or_disagrees(bench: Bench) -> None:
    bench.check(EU, region="us")
    assert bench.is_refused
    bench.check(region="eu")
    assert bench.is_refused
    assert bench.list_count == 1


def test_nobody_is_refused_for_what_a_tool_no_longer_is(bench: Bench) -> None:
    """The server did not say that its tools have changed."""
    bench.check(EU, region="eu")
    bench.server.annotated = {}
    bench.clock.advance(FRESH_S)
    bench.check(region="eu")
    assert not bench.is_refused
    assert bench.list_count == 2


def test_a_list_that_may_have_changed_is_asked_for_again(bench: Bench) -> None:
    bench.server.annotated = {}
    bench.check(region="eu")
    bench.server.annotated = {"region": "Region"}
    bench.server.become(ServerState.READY)
    bench.check(region="eu")
    assert bench.is_refused


def test_those_who_come_meanwhile_wait_for_one_list(bench: Bench) -> None:
    """On several pages."""
    bench.server.holds_lists = True
    told: list[JsonRpcError | None] = []
    for headers in ((EU,), ()):
        bench.tools.check(headers, tool_call("echo", region="eu"), told.append)
    bench.server.calls.pop().answer({"tools": [], "nextCursor": "1"})
    assert not told
    bench.server.calls.pop().answer(bench.server.page())
    fine, refused = told
    assert fine is None
    assert refused is not None
    assert not bench.clock.getDelayedCalls()


def test_a_server_without_a_list_is_asked_unchecked(bench: Bench) -> None:
    """It answers with an error, ends, or lets us wait too long; the next call is another try."""
    bench.server.holds_lists = True
    for count in range(1, 4):
        bench.check(region="eu")
        (call,) = bench.server.calls
        bench.server.calls.clear()
        if count == 1:
            call.error(-32601, "Method not found")
        elif count == 2:
            call.fail("It ended.")
        else:
            bench.clock.advance(LISTING_S)
            assert call.cancelled is not None
        assert not bench.is_refused
        assert bench.list_count == count
    assert not bench.clock.getDelayedCalls()


def test_a_list_without_end_has_one(bench: Bench) -> None:
    bench.server.page = lambda *_: {"tools": [], "nextCursor": "more"}  # type: ignore[method-assign]  # a bad server
    bench.check(region="eu")
    assert not bench.is_refused
    assert bench.list_count == MAX_PAGES


def test_stopping_lets_nobody_wait(bench: Bench) -> None:
    bench.server.holds_lists = True
    bench.tools.stop()
    bench.check(region="eu")
    bench.tools.stop()
    assert bench.told == [None]
    assert not bench.clock.getDelayedCalls()
