"""The server in memory: pages, waiting calls, states."""

from typing import Any

from twisted.internet.defer import Deferred

from mcptunnel.agent.servers.interfaces import LocalServer
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.calls import CallFailure
from mcptunnel.mcp.jsonrpc import Notification, Request, Response
from mcptunnel.model import Outcome
from mcptunnel.testing.local_server import MemoryServer


class Heard:
    """A caller that remembers (`mcp.calls.CallReceiver`)."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def notification(self, message: Notification) -> None:
        self.events.append(message)

    def response(self, message: Response) -> None:
        self.events.append(message)

    def call_failed(self, failure: CallFailure) -> None:
        self.events.append(failure)


def ask(server: MemoryServer, method: str, **params: Any) -> Heard:
    heard = Heard()
    members = {name: jsonrpc.raw(value) for name, value in params.items()}
    server.call(Request(1, method, members), heard)
    return heard


def result_of(heard: Heard) -> Any:
    (response,) = heard.events
    return jsonrpc.decode(response.result)


def test_tools_come_in_pages() -> None:
    server = MemoryServer("files", {"a": None, "b": None, "c": None}, page_size=2)
    first = result_of(ask(server, "tools/list"))
    assert [tool["name"] for tool in first["tools"]] == ["a", "b"]
    second = result_of(ask(server, "tools/list", cursor=first["nextCursor"]))
    assert [tool["name"] for tool in second["tools"]] == ["c"]
    assert "nextCursor" not in second


def test_held_lists_wait() -> None:
    server = MemoryServer("files", {"a": None})
    server.holds_lists = True
    heard = ask(server, "tools/list")
    assert not heard.events
    server.calls[0].answer(server.page())
    assert result_of(heard)["tools"][0]["name"] == "a"


def test_unknown_tools_and_methods_are_errors() -> None:
    server = MemoryServer("files")
    for heard, code in (
        (ask(server, "tools/call", name="x"), jsonrpc.INVALID_PARAMS),
        (ask(server, "tools/call"), jsonrpc.INVALID_PARAMS),
        (ask(server, "prompts/list"), jsonrpc.METHOD_NOT_FOUND),
    ):
        error = jsonrpc.error_of(heard.events[0])
        assert error is not None
        assert error.code == code
    assert len(server.requests) == 3


def test_a_waiting_call_ends_once() -> None:
    server = MemoryServer("files", {"a": None})
    heard = ask(server, "tools/call", name="a", arguments={"x": 1})
    (call,) = server.calls
    assert call.arguments == {"x": 1}
    call.notify("notifications/message", {"data": "hello"})
    call.fail("The server broke.", Outcome.NOT_DELIVERED)
    call.answer("late")
    call.error(1, "late")
    call.notify("notifications/message", {})
    call.cancel("late")
    assert call.is_over
    assert call.cancelled is None
    assert [type(event) for event in heard.events] == [Notification, CallFailure]


def test_a_cancelled_call_says_nothing() -> None:
    server, heard = MemoryServer("files", {"a": None}), Heard()
    cancel = server.call(Request(1, "tools/call", {"name": jsonrpc.raw("a")}), heard).cancel
    cancel("enough")
    server.calls[0].answer("late")
    assert not heard.events
    assert server.calls[0].cancelled == "enough"


def test_changes_are_told_and_counted() -> None:
    server, changes = MemoryServer("files", prefix="f"), []
    server.changed = lambda: changes.append(server.status.state)
    first = server.status
    server.offer({"b": lambda _: "text"})
    server.become(ServerState.FAILED, "it broke")
    Deferred.fromCoroutine(server.restart())
    assert changes == ["ready", "failed", "stopped", "ready"]
    status = server.status
    assert status.revision == first.revision + 4
    assert (status.name, status.prefix, status.restarts, status.detail) == ("files", "f", 1, "")


def test_it_is_a_local_server() -> None:
    server: LocalServer = MemoryServer("files")
    assert server.status.kind == "memory"


def test_listens_wait_until_they_are_ended() -> None:
    server = MemoryServer("files", {"wait": None})
    listening, waiting = ask(server, "subscriptions/listen"), ask(server, "tools/call", name="wait")
    assert len(listening.events) == 1, "acknowledged"
    listening.events.clear()
    server.end_listens()
    assert result_of(listening) == {"resultType": "complete"}
    assert not waiting.events
