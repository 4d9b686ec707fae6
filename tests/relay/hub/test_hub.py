"""The hub's methods, in the modern dialect; and that clients never get each other's answers."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import fail

from mcptunnel.config.relay import HubConfig
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    JsonRpcError,
)
from mcptunnel.mcp.kinds import Kind
from mcptunnel.testing.joined import Answer, Joined
from mcptunnel.testing.local_server import MemoryServer
from tests.conftest import LoggedFailures


def error_of(answer: Answer) -> JsonRpcError:
    assert answer.failure is not None
    return answer.failure


def test_discover() -> None:
    result = Joined().client().request("server/discover").value
    assert result["resultType"] == "complete"
    assert result["supportedVersions"] == ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"]
    assert result["capabilities"] == {"tools": {"listChanged": True}}
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "mcptunnel"
    assert "`status`" in result["instructions"]
    assert result["cacheScope"] == "private"


def test_list_says_who_we_are() -> None:
    result = Joined().client().request("tools/list").value
    assert result["resultType"] == "complete"
    assert result["cacheScope"] == "private"
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "mcptunnel"


def test_an_unknown_method() -> None:
    answer = Joined().client().request("resources/unlist")
    assert error_of(answer).code == METHOD_NOT_FOUND
    assert "resources/unlist" in error_of(answer).message


@pytest.mark.parametrize(
    "params", [{}, {"name": None}, {"name": 1}, {"name": ["status"]}, {"name": "nothing"}]
)
def test_a_call_needs_a_known_tool(params: dict[str, Any]) -> None:
    answer = Joined().client().request("tools/call", params)
    assert error_of(answer).code == INVALID_PARAMS


def test_there_is_one_page() -> None:
    client = Joined().client()
    assert error_of(client.request("tools/list", {"cursor": "2"})).code == INVALID_PARAMS
    assert len(client.request("tools/list", {"cursor": None}).value["tools"]) == 2


def test_a_mistake_of_ours_is_an_answer(
    monkeypatch: pytest.MonkeyPatch, logged_failures: LoggedFailures
) -> None:
    def boom(*_values: object) -> None:
        raise ZeroDivisionError

    joined = Joined()
    monkeypatch.setattr(joined.hub.listings[Kind.TOOL], "definitions", boom)
    answer = joined.client().request("tools/list")
    assert error_of(answer).code == INTERNAL_ERROR
    assert error_of(answer).message == "Internal error"
    assert logged_failures.take(ZeroDivisionError)


def test_so_is_one_that_comes_later(
    monkeypatch: pytest.MonkeyPatch, logged_failures: LoggedFailures
) -> None:
    joined = Joined()
    monkeypatch.setattr(joined.hub._settling, "is_settled", lambda *_: False)
    monkeypatch.setattr(joined.hub._settling, "settled", lambda *_: fail(ZeroDivisionError()))
    answer = joined.client().request("tools/list")
    assert error_of(answer).code == INTERNAL_ERROR
    assert logged_failures.take(ZeroDivisionError)


def test_all_calls_in_flight_end_when_the_device_is_lost() -> None:
    """At once, each with its outcome; a device of another user goes on."""
    joined, hers, his = Joined(), MemoryServer("s", {"t": None}), MemoryServer("s", {"t": None})
    agent = joined.agent(hers, user="alice")
    joined.agent(his, user="bob")
    answers = [joined.client("alice").call("s__t", request_id=n) for n in range(20)]
    other = joined.client("bob").call("s__t")
    joined.lose(agent)
    assert {answer.value["_meta"]["mcptunnel/outcome"] for answer in answers} == {"unknown"}
    assert not other.is_over
    his.calls[0].answer("fine")
    joined.settle()
    assert other.text == "fine"


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["alice", "bob"]), st.sampled_from([1, "1", 2]), st.integers(0, 99)
        ),
        min_size=1,
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_the_same_id_at_the_same_time_never_crosses_answers(
    calls: list[tuple[str, int | str, int]], random: Any
) -> None:
    """Two clients of one user and another user, ids that collide, answers in any order."""
    joined = Joined()
    servers = {user: MemoryServer("s", {"t": None}) for user in ("alice", "bob")}
    for user, server in servers.items():
        joined.agent(server, user=user)
    asked = []
    for number, (user, request_id, value) in enumerate(calls):
        client = joined.client(user, key_id=f"key{number % 2}")
        arguments = {"who": user, "value": value, "number": number}
        asked.append(
            (arguments, client.call("s__t", arguments, request_id=request_id, progress_token=1))
        )
    waiting = [call for server in servers.values() for call in server.calls]
    random.shuffle(waiting)
    for call in waiting:
        call.progress(call.arguments["number"])
        call.answer(str(call.arguments))
        joined.settle()
    for arguments, answer in asked:
        assert answer.text == str(arguments)
        (news,) = answer.notifications
        assert bytes(news.params["progress"]) == str(arguments["number"]).encode()


# Calls that come before the tools are known.


def starting() -> tuple[Joined, MemoryServer, Answer]:
    """Return a call that came while its server was starting."""
    joined, server = Joined(), MemoryServer("s", {"t": None})
    server.become(ServerState.STARTING)
    joined.agent(server)
    return joined, server, joined.client().call("s__t", {"a": 1})


def test_a_call_waits_until_its_tool_is_known() -> None:
    joined, server, answer = starting()
    joined.wait_s(1)
    server.become(ServerState.READY)
    joined.settle()
    assert server.calls[0].arguments == {"a": 1}
    server.calls[0].answer("done")
    joined.settle()
    assert answer.text == "done"


def test_it_does_not_wait_for_ever() -> None:
    joined, _, answer = starting()
    joined.wait_s(HubConfig().server_timeout_s)
    assert error_of(answer).message == "Unknown tool: s__t"


def test_it_can_be_given_up_while_it_waits_and_while_it_runs() -> None:
    joined, server, answer = starting()
    answer.hold(True)
    answer.cancel("enough")
    server.become(ServerState.READY)
    joined.settle()
    assert not server.calls

    joined, server, answer = starting()
    server.become(ServerState.READY)
    joined.settle()
    answer.hold(True)
    answer.hold(False)
    answer.cancel("enough")
    assert server.calls[0].cancelled == "enough"
    answer.cancel("again")


def test_our_own_tools_wait_for_nobody() -> None:
    joined, _, answer = starting()
    assert "starting" in joined.client().call("status").text
    assert not answer.is_over
