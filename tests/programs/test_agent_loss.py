"""An agent that dies: what its clients hear, what becomes of its servers, and its return."""

import signal
import sys
import time

import pytest

from tests.programs.client import LEGACY, MODERN, Answer, Client, Json, tunnel_state
from tests.programs.conftest import Stage
from tests.programs.process import CHECKOUT, eventually, is_gone
from tests.programs.programs import Agent, Estate, Relay

DEFAULT_HELD_S = 10.0
"""The session of a killed agent is held for so long."""

HELD_S = 1.0
HELD = f"[tunnel]\nresume_window_s = {HELD_S:g}\n"
OFF = "[tunnel]\nresume_window_s = 0\n"

ASKING_SERVER = (sys.executable, str(CHECKOUT / "tests/agent/servers/asking_server.py"))
MAY_BE_ASKED: Json = {"_meta": {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}}

IMPATIENT = "[tunnel]\ndrain_s = 0\n"

SILENCE = "[tunnel]\nping_after_s = 1\ndead_after_s = 2\n"
SILENCE_NOTICED_S = 4.0


def connected(
    estate: Estate, relay: Relay, user: str, version: str = MODERN, extra: str = ""
) -> tuple[Agent, Client]:
    """Return an agent and a client of a user's, who knows the tools by now."""
    agent = estate.agent(relay, relay.key(user, "agent"), extra=extra).start()
    client = Client(relay.port, relay.key(user, "mcp"), version).connect()
    assert "demo__add" in client.tools()  # waits until the server has told its tools
    return agent, client


def alone(estate: Estate, extra: str = "", version: str = MODERN) -> tuple[Relay, Agent, Client]:
    """Return a relay of its own, with one agent and a client."""
    relay = estate.relay(extra).start()
    return relay, *connected(estate, relay, "alice", version, extra)


def long_call(client: Client) -> tuple[int, Answer]:
    """Start a call that runs for a minute, and wait until it does."""
    request_id, answer = client.start_call("demo__countdown", {"n": 1000, "interval": 0.05}, "mine")
    answer.wait_for_progress()
    return request_id, answer


@pytest.mark.parametrize(
    ("version", "extra", "held_s"),
    [
        (MODERN, "", DEFAULT_HELD_S),
        (LEGACY[-1], HELD, HELD_S),
        (MODERN, HELD, HELD_S),
        (MODERN, OFF, 0.0),
    ],
)
def test_a_call_of_a_killed_agent_fails_when_it_is_not_back_in_time(
    estate: Estate, version: str, extra: str, held_s: float
) -> None:
    """The caller has a result that says what happened and that it may have run.

    Another that was made meanwhile has one that says that it did not run.
    """
    _, agent, client = alone(estate, extra, version)
    started = long_call(client)
    killed_s = time.monotonic()
    agent.program.kill()
    late = client.call("demo__add", a=1, b=2)
    failed = client.outcome(*started)
    assert held_s - 0.5 < failed.at_s - killed_s < held_s + 1
    assert failed.is_error
    assert failed.outcome == "unknown"
    assert "laptop" in failed.text
    assert "may have run" in failed.text
    assert late.is_error
    assert late.at_s - killed_s < held_s + 1
    assert late.outcome == "not_delivered"
    assert "laptop" in late.text
    assert "safe to try again" in late.text


def test_a_killed_agent_is_offline_and_comes_back(estate: Estate) -> None:
    """Clients hear soon that it is away; its servers end by themselves; a new process takes over."""
    relay, agent, client = alone(estate, HELD)
    assert tunnel_state(relay.port) == "connected"
    (server,) = agent.program.children()
    agent.program.kill()
    eventually(lambda: tunnel_state(relay.port) == "disconnected", HELD_S + 1, "/health to know")
    eventually(lambda: is_gone(server), 2, "the end of the server whose stdin closed")
    asked_s = time.monotonic()
    away = client.call("demo__add", a=1, b=2)
    assert away.at_s - asked_s < 0.5
    assert away.is_error
    assert away.outcome == "not_delivered"
    assert "'laptop' is offline" in away.text
    relay.program.stop()
    relay.start()  # the store knows the device
    assert "laptop: offline, last seen" in client.call("status").text
    agent.start()
    assert tunnel_state(relay.port) == "connected"
    assert set(client.tools()) >= {"demo__add"}
    assert client.call("demo__add", a=1, b=2).text == '{"sum": 3}'


def test_an_agent_that_stops_says_so(stage: Stage, estate: Estate) -> None:
    """SIGTERM in a call that gets no time: the caller hears of it, and the agent is gone."""
    agent, client = connected(estate, stage.relay, "mallory", extra=IMPATIENT)
    started = long_call(client)
    agent.program.stop()
    failed = client.outcome(*started)
    assert failed.is_error
    assert failed.outcome == "unknown"
    assert "the agent is stopping" in failed.text
    assert "laptop: offline" in client.call("status").text


def test_a_stopped_agent_process_is_noticed_by_its_silence(estate: Estate) -> None:
    """SIGSTOP leaves the connection open: only the heartbeat tells. After SIGCONT it is back."""
    relay, agent, client = alone(estate, SILENCE + "resume_window_s = 1\n")
    started = long_call(client)
    agent.program.signal(signal.SIGSTOP)
    stopped_s = time.monotonic()
    failed = client.outcome(*started)
    assert failed.at_s - stopped_s < SILENCE_NOTICED_S + 1
    assert failed.is_error
    assert failed.outcome == "unknown"
    assert "silent" in failed.text
    assert tunnel_state(relay.port) == "disconnected"
    start = len(agent.program.log)
    agent.program.signal(signal.SIGCONT)
    agent.program.wait_for("connected to", start=start)
    assert client.call("demo__add", a=1, b=2).text == '{"sum": 3}'


def announced(client: Client) -> list[str]:
    """Return the names of the tools; the agent tells of its servers just after it is connected."""

    def tools() -> list[str]:
        listed = client.request("tools/list").result.get("tools", ())
        return [tool["name"] for tool in listed]

    return eventually(tools, 10, "the agent's servers")


@pytest.mark.parametrize("how", ["killed", "stopped"])
@pytest.mark.parametrize("path", ["/mcp", "/servers/asking/mcp"])
def test_a_question_from_before_a_restart_leads_to_a_call_that_is_lost(
    estate: Estate, path: str, how: str
) -> None:
    """The retry hears so, and that the call may have run: its server had begun it."""
    relay = estate.relay(HELD).start()
    servers = {"asking": ASKING_SERVER}
    agent = estate.agent(relay, relay.key("alice", "agent"), servers=servers, extra=HELD).start()
    client = Client(relay.port, relay.key("alice", "mcp"), path=path)
    (name,) = (one for one in announced(client) if one.endswith("ask"))
    call: Json = {"name": name, "arguments": {}, **MAY_BE_ASKED}
    asked = client.request("tools/call", call).result
    assert asked["resultType"] == "input_required", asked
    if how == "killed":
        agent.program.kill()
    else:
        agent.program.stop()
    agent.start()
    assert name in announced(client)
    ((key, _),) = asked["inputRequests"].items()
    given = {key: {"action": "accept", "content": {"name": "Ada"}}}
    state = asked["requestState"]
    retried = client.request("tools/call", {**call, "inputResponses": given, "requestState": state})
    text = retried.text if path == "/mcp" else retried.error["message"]
    assert "'asking' ended while the call waited for answers of its client" in text
    assert "may have run" in text
    told = retried.outcome if path == "/mcp" else retried.error["data"]["outcome"]
    assert told == "unknown"
    kept = agent.folder / "state" / "secret"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.read_text().strip() not in agent.program.log
