"""Calls of tools: honest about what happened, and nothing passed on that was not asked for."""

from typing import Any

import pytest

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import Request, Response
from mcptunnel.mcp.links import MAX_LINKS
from mcptunnel.mcp.names import Target
from mcptunnel.model import Outcome
from mcptunnel.relay.hub.tool_call import ToolCall
from mcptunnel.testing.joined import Answer, Joined
from mcptunnel.testing.local_server import MemoryServer, Tool, WaitingCall


def waiting(**options: Any) -> tuple[Joined, Answer, WaitingCall]:
    """Return a call that waits for its server."""
    joined, server = Joined(), MemoryServer("files", {"read": None})
    joined.agent(server)
    answer = joined.client().call("files__read", {"path": "a"}, **options)
    return joined, answer, server.calls[0]


def test_the_server_sees_its_own_name_of_the_tool() -> None:
    _, _, call = waiting(request_id="client's id")
    assert jsonrpc.text(call.request.params["name"]) == "read"
    assert call.arguments == {"path": "a"}


def test_a_result_is_passed_on_whole() -> None:
    joined, answer, call = waiting()
    about = {"structuredContent": {"a": [1]}, "_meta": {"x": 1}, "vendor": True}
    result = {"resultType": "complete", "content": [], **about}
    call.answer(result)
    joined.settle()
    assert answer.value == result


def test_an_error_is_passed_on_as_an_error() -> None:
    joined, answer, call = waiting()
    call.error(-32602, "bad arguments")
    joined.settle()
    assert answer.failure is not None
    assert (answer.failure.code, answer.failure.message) == (-32602, "bad arguments")


def test_a_result_with_too_many_links_is_the_servers_fault() -> None:
    joined, answer, call = waiting()
    link = {"type": "resource_link", "name": "one"}
    call.answer({"content": [{**link, "uri": f"x:{number}"} for number in range(MAX_LINKS + 1)]})
    joined.settle()
    assert answer.failure is not None
    assert answer.failure.code == jsonrpc.INTERNAL_ERROR
    assert answer.failure.message.startswith("The server 'files' names more than 2000 resources")


@pytest.mark.parametrize(
    ("outcome", "advice"),
    [(Outcome.UNKNOWN, "may have run"), (Outcome.NOT_DELIVERED, "safe to try again")],
)
def test_a_failure_is_a_result_that_says_whether_it_may_have_run(
    outcome: Outcome, advice: str
) -> None:
    joined, answer, call = waiting()
    call.fail("The server 'files' crashed.", outcome)
    joined.settle()
    assert answer.value["isError"]
    assert answer.value["_meta"] == {"mcptunnel/outcome": outcome.value}
    assert answer.text.startswith("The server 'files' crashed. ")
    assert advice in answer.text


def test_an_offline_device_is_said_to_be_so_at_once() -> None:
    joined = Joined()
    agent = joined.agent(MemoryServer("files", {"read": None}))
    client = joined.client()
    client.tools()
    joined.lose(agent)
    answer = client.call("files__read")
    assert "'laptop' is offline; it was last seen at 2027-01-15T08:00:00+00:00" in answer.text
    assert answer.value["_meta"] == {"mcptunnel/outcome": "not_delivered"}


def test_a_device_that_is_no_longer_known() -> None:
    joined = Joined()
    answer = Answer(joined)
    call = ToolCall(joined.hub.parts, joined.client().access, answer, Target("i", "files", "read"))
    call.start(Request(1, "tools/call"), {})
    assert "no longer known" in answer.text


def test_progress_comes_through_while_the_call_runs() -> None:
    joined, answer, call = waiting(progress_token="mine")
    for step in range(3):
        call.progress(step)
        joined.settle()
        assert len(answer.notifications) == step + 1
    call.answer("done")
    joined.settle()
    assert answer.text == "done"


@pytest.mark.parametrize("token", ["other", 0, None, [], {}, True, 1.5])
def test_progress_of_another_token_is_not_passed_on(token: Any) -> None:
    joined, answer, call = waiting(progress_token="mine")
    call.notify("notifications/progress", {"progressToken": token, "progress": 1})
    call.notify("notifications/progress", {"progress": 1})
    joined.settle()
    assert not answer.notifications


def test_a_number_is_not_the_text_of_it() -> None:
    joined, answer, call = waiting(progress_token=1)
    call.notify("notifications/progress", {"progressToken": "1", "progress": 1})
    joined.settle()
    assert not answer.notifications
    call.notify("notifications/progress", {"progressToken": 1, "progress": 1})
    joined.settle()
    assert answer.notifications


def test_nobody_gets_progress_who_did_not_ask() -> None:
    joined, answer, call = waiting()
    call.progress(1)
    call.notify("notifications/progress", {"progressToken": None, "progress": 1})
    joined.settle()
    assert not answer.notifications


@pytest.mark.parametrize(("level", "count"), [(None, 0), ("info", 1)])
def test_log_messages_only_for_who_asked(level: str | None, count: int) -> None:
    joined, server = Joined(), MemoryServer("files", {"read": None})
    joined.agent(server)
    answer, client = Answer(joined), joined.client()
    about = {} if level is None else {"io.modelcontextprotocol/logLevel": level}
    params = {"name": jsonrpc.raw("files__read"), "_meta": jsonrpc.raw(about)}
    joined.hub.request(client.access, Request(1, "tools/call", params), answer)
    joined.settle()
    server.calls[0].notify("notifications/message", {"level": "info", "data": "hello"})
    server.calls[0].notify("notifications/tools/list_changed", {})
    joined.settle()
    assert len(answer.notifications) == count


def test_an_empty_answer_is_an_error() -> None:
    joined = Joined()
    answer = Answer(joined)
    target = Target("i", "files", "read")
    call = ToolCall(joined.hub.parts, joined.client().access, answer, target)
    call.response(Response(1))
    assert answer.failure is not None
    assert answer.failure.code == jsonrpc.INTERNAL_ERROR


# Bare names: what apps call the tools of the server that brought them along.


def answering(name: str, *tools: str) -> MemoryServer:
    def answer(tool: str) -> Tool:
        return lambda _: f"{name} {tool}"

    return MemoryServer(name, {tool: answer(tool) for tool in tools})


def test_a_bare_name_is_the_only_tool_that_its_server_calls_so() -> None:
    joined = Joined()
    joined.agent(answering("charts", "draw"), answering("files", "read"))
    client = joined.client()
    assert client.call("draw").text == "charts draw"
    assert (client.access.principal, "tool") in joined.names
    assert "draw" not in joined.names[client.access.principal, "tool"]


def test_a_bare_name_of_two_tools_means_none() -> None:
    joined = Joined()
    joined.agent(answering("charts", "draw"), answering("maps", "draw"))
    failure = joined.client().call("draw").failure
    assert failure is not None
    assert failure.code == jsonrpc.INVALID_PARAMS
    assert failure.message == "Unknown tool: draw; 2 servers have one of this name"


def test_a_bound_name_comes_before_a_bare_one() -> None:
    """And so do our own tools."""
    joined, plain = Joined(), answering("plain", "draw")
    plain._prefix = ""
    joined.agent(plain, answering("charts", "draw", "status"))
    assert joined.client().call("draw").text == "plain draw"
    assert "connected" in joined.client().call("status").text


def test_nobody_calls_the_tools_of_another_by_bare_names() -> None:
    joined = Joined()
    joined.agent(answering("charts", "draw"), user="bob")
    assert joined.client("alice").call("draw").failure is not None
