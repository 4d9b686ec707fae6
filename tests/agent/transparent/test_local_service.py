"""A local server as a service: calls, failures, and callers that hold."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec import Raw
from twisted.internet.task import Clock

from mcptunnel.agent.held_news import MAX_HELD
from mcptunnel.agent.transparent.local_service import LocalService
from mcptunnel.agent.transparent.tool_headers import ToolHeaders
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification, Request
from mcptunnel.mcp.service import Asker, Running
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Headers, Outcome
from mcptunnel.net.timers import ReactorTimers
from mcptunnel.testing.local_server import WaitingCall
from tests.agent import request, tool_call
from tests.agent.transparent.stage import Server

KEN = Asker("local|ken", "key:1")
LISTEN = request("subscriptions/listen", "l", notifications={})


@dataclass
class Said:
    """What a caller hears (`mcp.service.Caller`)."""

    results: list[Any] = field(default_factory=list)
    errors: list[JsonRpcError] = field(default_factory=list)
    news: list[Notification] = field(default_factory=list)
    era: Era = Era.MODERN

    def result(self, result: Raw) -> None:
        self.results.append(jsonrpc.decode(result))

    def error(self, error: JsonRpcError) -> None:
        self.errors.append(error)

    def notification(self, message: Notification) -> None:
        self.news.append(message)


class Bench:
    def __init__(self, checked: Headers | None = None) -> None:
        self.server = Server()
        self.clock = Clock()
        tools = ToolHeaders(self.server, ReactorTimers(self.clock), self.clock.seconds)
        self.service = LocalService(self.server, tools, KEN, checked)
        self.said = Said()

    def ask(self, asked: Request) -> Running | None:
        return self.service.request(asked, self.said)

    def begun(self, asked: Request) -> tuple[WaitingCall, Running]:
        running = self.ask(asked)
        assert running is not None
        return [*self.server.calls, *self.server.listens][-1], running


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_is_answered_at_once_is_over(bench: Bench) -> None:
    assert bench.ask(tool_call("echo")) is None
    assert bench.said.results[0]["content"][0]["text"] == "{}"
    assert bench.server.askers == [KEN]


def test_an_error_of_the_server_is_passed_on(bench: Bench) -> None:
    call, _ = bench.begun(tool_call("wait"))
    call.error(-32602, "wrong")
    (error,) = bench.said.errors
    assert (error.code, error.message, error.status) == (-32602, "wrong", None)


@pytest.mark.parametrize(
    ("outcome", "status"), [(Outcome.NOT_DELIVERED, 503), (Outcome.UNKNOWN, 502)]
)
def test_a_failure_has_a_status_and_an_outcome(bench: Bench, outcome: Outcome, status: int) -> None:
    call, _ = bench.begun(tool_call("wait"))
    call.fail("It ended.", outcome)
    (error,) = bench.said.errors
    assert (error.status, error.data) == (status, {"outcome": outcome.value})


def test_a_cancelled_call_says_nothing_more(bench: Bench) -> None:
    call, running = bench.begun(tool_call("wait"))
    running.cancel("enough")
    assert call.cancelled == "enough"
    call.progress(1)
    running.cancel("again")
    running.client_gone()
    assert bench.said == Said()


def test_progress_is_left_out_while_the_caller_holds(bench: Bench) -> None:
    call, running = bench.begun(tool_call("wait"))
    running.hold(True)
    call.progress(1)
    running.hold(False)
    assert not bench.said.news
    call.progress(2)
    assert len(bench.said.news) == 1
    running.hold(True)
    running.client_gone()
    call.progress(3)
    assert len(bench.said.news) == 2


def test_a_listen_tells_each_change_once_later(bench: Bench) -> None:
    bench.server.acknowledges = False
    call, running = bench.begun(LISTEN)
    running.hold(True)
    for _ in range(2):
        for number in range(MAX_HELD + 5):
            call.notify("notifications/resources/updated", {"uri": f"a:{number}"})
    assert not bench.said.news
    running.hold(False)
    assert len(bench.said.news) == MAX_HELD
    running.hold(True)
    call.notify("notifications/tools/list_changed", {})
    running.cancel("enough")
    running.hold(False)
    assert len(bench.said.news) == MAX_HELD


def test_headers_are_checked_where_the_client_has_some(bench: Bench) -> None:
    """A call that disagrees never reaches the server; one that is given up while it is checked neither."""
    checked = Bench(())
    for one in (bench, checked):
        one.server.annotated = {"region": "Region"}
        one.ask(tool_call("echo", region="eu"))
    assert bench.said.results
    (error,) = checked.said.errors
    assert error.code == jsonrpc.HEADER_MISMATCH
    assert [one.method for one in checked.server.requests] == ["tools/list"]
    checked = Bench(())
    checked.server.holds_lists = True
    call, running = checked.begun(tool_call("echo"))
    running.cancel("enough")
    call.answer(checked.server.page())
    assert [one.method for one in checked.server.requests] == ["tools/list"]
    assert checked.said == Said()
