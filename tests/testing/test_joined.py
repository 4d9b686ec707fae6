"""The test kit: hub, tunnel and agents in memory do what the real ones do, at once."""

import pytest

from mcptunnel.mcp.jsonrpc import METHOD_NOT_FOUND, JsonRpcError
from mcptunnel.testing.joined import Joined
from mcptunnel.testing.local_server import MemoryServer, text_result


def test_a_call_reaches_the_server_and_comes_back() -> None:
    joined = Joined()
    joined.agent(MemoryServer("files", {"read": lambda arguments: f"read {arguments['path']}"}))
    client = joined.client()
    assert client.tools() == ["files__read"]
    assert client.call("files__read", {"path": "a"}).text == "read a"


def test_a_waiting_call_is_answered_when_the_test_likes() -> None:
    joined, server = Joined(), MemoryServer("files", {"read": None})
    joined.agent(server)
    answer = joined.client().call("files__read", progress_token=7)
    with pytest.raises(LookupError):
        _ = answer.value
    server.calls[0].progress(0.5)
    server.calls[0].answer("done")
    joined.settle()
    assert [message.method for message in answer.notifications] == ["notifications/progress"]
    assert answer.is_over
    assert answer.text == "done"


def test_giving_up_is_heard_by_the_server() -> None:
    joined, server = Joined(), MemoryServer("files", {"read": None})
    joined.agent(server)
    answer = joined.client().call("files__read")
    answer.cancel("enough")
    assert server.calls[0].cancelled == "enough"
    server.calls[0].answer("late")
    joined.settle()
    assert not answer.is_over
    joined.client().request("tools/list").cancel()


def test_a_slow_client_does_not_lose_its_answer() -> None:
    joined, server = Joined(), MemoryServer("files", {"read": None})
    joined.agent(server)
    answer = joined.client().call("files__read")
    answer.hold(True)
    server.calls[0].answer("x" * 300_000)
    joined.settle()
    answer.hold(False)
    assert len(answer.text) == 300_000
    joined.client().request("tools/list").hold(True)


def test_an_error_is_raised_where_it_is_looked_at() -> None:
    answer = Joined().client().request("no/such/method")
    with pytest.raises(JsonRpcError) as caught:
        _ = answer.value
    assert caught.value.code == METHOD_NOT_FOUND


def test_a_cut_link_can_be_made_again() -> None:
    """A call meanwhile waits for it."""
    joined = Joined()
    agent = joined.agent(MemoryServer("files", {"read": lambda _: "text"}))
    joined.cut(agent)
    waiting = joined.client().call("files__read")
    assert not waiting.is_over
    joined.connect(agent)
    assert waiting.text == "text"


def test_a_lost_agent_can_come_back() -> None:
    joined = Joined()
    agent = joined.agent(MemoryServer("files", {"read": lambda _: "text"}))
    joined.lose(agent)
    assert "offline" in joined.client().call("files__read").text
    joined.connect(agent)
    assert agent.lost is None
    assert joined.client().call("files__read").text == "text"
    assert [device.name for device, _ in joined.remembered] == ["laptop"] * 3


def test_an_unknown_target_is_refused_before_anything_runs() -> None:
    """An agent whose servers went away while the relay still knew them."""
    joined = Joined()
    agent = joined.agent(MemoryServer("files", {"read": lambda _: "text"}))
    agent.servers.clear()
    result = joined.client().call("files__read").value
    assert result["isError"]
    assert result["_meta"] == {"mcptunnel/outcome": "not_delivered"}


def test_time_passes_only_when_the_test_says_so() -> None:
    """Heartbeats keep an idle tunnel up; a distance to the agent takes its time both ways."""
    joined = Joined()
    joined.agent(MemoryServer("files", {"read": lambda _: "text"}))
    before_s = joined.clock.seconds()
    joined.wait_s(3600)
    assert joined.clock.seconds() == before_s + 3600
    assert joined.client().call("files__read").text == "text"

    far = Joined()
    far.agent(MemoryServer("files", {"read": lambda _: "text"}), delay_s=0.1)
    far.wait_s(1)
    answer = far.client().call("files__read")
    far.wait_s(0.19)
    assert not answer.is_over
    far.wait_s(0.02)
    assert answer.text == "text"


def test_users_do_not_see_each_other() -> None:
    joined = Joined()
    joined.agent(MemoryServer("files", {"read": lambda _: "hers"}), user="alice")
    joined.agent(MemoryServer("files", {"read": lambda _: "his"}), user="bob")
    assert joined.client("alice").call("files__read").text == "hers"
    assert joined.client("bob").call("files__read").text == "his"


def test_two_answers_to_one_request_are_a_mistake() -> None:
    answer = Joined().client().request("tools/list")
    with pytest.raises(AssertionError):
        answer.error(JsonRpcError(METHOD_NOT_FOUND, "again"))


def test_restart_reaches_the_servers() -> None:
    joined, server = Joined(), MemoryServer("files", {"read": None})
    joined.agent(server)
    answer = joined.client().call("files__read")
    assert "restarting files" in joined.client().call("restart").text
    assert server.status.restarts == 1
    assert "was stopped" in answer.text
    assert text_result("a")["content"][0]["text"] == "a"
