"""Two windows of one client, with one key: each session has its own process, and its own questions."""

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.programs.client import LEGACY, MODERN, Answer, Client
from tests.programs.programs import Agent, Estate, Relay

ASKABLE: dict[str, Any] = {"elicitation": {}}
ACCEPTED = {"action": "accept", "content": {"name": "Ken"}}


class Site:
    """A relay and an agent with two servers: of `own` each client has a process, `both` is shared."""

    def __init__(self, estate: Estate) -> None:
        self.relay: Relay = estate.relay().start()
        command = [sys.executable, "-m", "tests.programs.window_server"]
        agent_key = self.relay.key("ken", "agent")
        servers = {"both": command, "own": command}
        settings = {"own": 'isolation = "session"'}
        agent = estate.agent(self.relay, agent_key, servers=servers, settings=settings)
        self.agent: Agent = agent.start()
        self.key = self.relay.key("ken", "mcp")

    def window(self, version: str = LEGACY[-1], path: str = "/mcp") -> Client:
        """Begin a session with the one key."""
        client = Client(self.relay.port, self.key, version, path=path, capabilities=ASKABLE)
        return client.connect()


@pytest.fixture
def site(estate: Estate) -> Site:
    return Site(estate)


def told(client: Client, tool: str, **arguments: Any) -> Any:
    return json.loads(client.call(tool, **arguments).text)


def wait(client: Client, server: str, **arguments: Any) -> tuple[int, Answer]:
    """Begin a call that lasts until it is cancelled; return its id and its stream."""
    request_id, answer = client.start_call(f"{server}__wait", arguments, "w")
    answer.wait_for_progress()
    return request_id, answer


def cancel(client: Client, call: tuple[int, Answer]) -> None:
    request_id, answer = call
    assert client.notify("notifications/cancelled", {"requestId": request_id}) == 202
    answer.close()


def asked(client: Client, tool: str) -> tuple[int, Answer, Any]:
    """Begin a call that asks; return its id, its stream and the question that came on it."""
    request_id, answer = client.start_call(tool, {})
    question = next(answer.messages()).message
    assert question["method"] == "elicitation/create"
    return request_id, answer, question["id"]


def test_each_session_has_a_process_of_its_own_at_the_hub(site: Site) -> None:
    """The same one for all its calls, also after the relay has started anew; modern clients share one."""
    windows = [site.window(), site.window(LEGACY[0])]
    pids = [told(window, "own__pid")["pid"] for window in windows]
    assert len(set(pids)) == 2
    assert [told(window, "own__pid")["pid"] for window in windows] == pids
    modern = {told(site.window(MODERN), "own__pid")["pid"] for _ in range(2)}
    assert len({*pids, *modern}) == 3
    assert len({told(window, "both__pid")["pid"] for window in windows}) == 1
    start = len(site.agent.program.log)
    site.relay.program.stop()
    site.relay.start()
    site.agent.program.wait_for("connected to", start=start)
    assert [told(window, "own__pid")["pid"] for window in windows] == pids


@pytest.mark.parametrize(("path", "tool"), [("/mcp", "own__"), ("/servers/own/mcp", "")])
def test_a_question_comes_in_the_window_whose_call_it_is_of(
    site: Site, path: str, tool: str
) -> None:
    """While the other one has a call under way in its own process, and hears nothing."""
    one, other = site.window(path=path), site.window(path=path)
    request_id, others = other.start_call(f"{tool}wait", {}, "w")
    others.wait_for_progress()
    mine, stream, question = asked(one, f"{tool}ask")
    assert other.reply(question, ACCEPTED) == 202, "which is passed over"
    assert one.reply(question, ACCEPTED) == 202
    found = json.loads(one.outcome(mine, stream).text)
    assert found["told"] == ACCEPTED
    assert found["pid"] == told(one, f"{tool}pid")["pid"] != told(other, f"{tool}pid")["pid"]
    cancel(other, (request_id, others))


def test_a_question_of_a_shared_process_is_refused_while_both_have_calls(site: Site) -> None:
    """And while the other's cancelled call is not answered; then it is known whose it is again."""
    one, other = site.window(), site.window()
    others = wait(other, "both", answers=True)
    assert 'isolation = "session"' in told(one, "both__ask")["told"]["message"]
    cancel(other, others)
    answer_one(one)
    cancel(other, wait(other, "both"))
    assert 'isolation = "session"' in told(one, "both__ask")["told"]["message"]


def answer_one(client: Client) -> None:
    """Let a shared process ask, and answer it; the cancelled call may take a moment to be over."""
    for _ in range(100):
        request_id, answer = client.start_call("both__ask", {})
        first = next(answer.messages()).message
        if "method" in first:
            assert client.reply(first["id"], ACCEPTED) == 202
            assert json.loads(client.outcome(request_id, answer).text)["told"] == ACCEPTED
            return
        answer.close()
    raise AssertionError("the question was always refused")


def test_a_question_that_comes_too_late_reaches_nobody_else(site: Site) -> None:
    """The other window has the only call that is left; it is not asked what was never its affair."""
    one, other = site.window(), site.window()
    mine = wait(one, "both", answers=True)
    cancel(other, wait(other, "both", late=True))
    late = until(lambda: told(other, "both__pid")["late"])
    assert 'isolation = "session"' in late["message"]
    cancel(one, mine)


def until(look: Callable[[], Any]) -> Any:
    """Look again and again until something is there."""
    for _ in range(1000):
        found = look()
        if found is not None:
            return found
    raise AssertionError("nothing came")
