"""A relay that goes away, for a while or in silence: the agent comes back by itself."""

import signal
import time

from tests.programs.client import LEGACY, Client, get, tunnel_state
from tests.programs.programs import Estate
from tests.programs.test_agent_loss import IMPATIENT, SILENCE, SILENCE_NOTICED_S, alone, long_call


def test_an_agent_outlives_a_restart_of_the_relay(estate: Estate) -> None:
    """SIGTERM ends a call that gets no time with a word; the same processes of agent and server serve the new relay.

    A legacy client goes on with its session, which the store kept.
    """
    relay, agent, client = alone(estate, IMPATIENT, LEGACY[-1])
    started = long_call(client)
    servers, start = agent.program.children(), len(agent.program.log)
    relay.program.stop()
    failed = client.outcome(*started)
    assert failed.is_error
    assert failed.outcome == "unknown"
    agent.program.wait_for("the tunnel is gone", start=start, timeout_s=1)
    relay.start()
    agent.program.wait_for("connected to", start=start)
    assert client.call("demo__add", a=1, b=2).text == '{"sum": 3}'
    assert agent.program.children() == servers


def test_an_agent_outlives_a_crash_of_the_relay(estate: Estate) -> None:
    """SIGKILL leaves the control socket behind; the next relay starts all the same."""
    relay, agent, client = alone(estate)
    start = len(agent.program.log)
    relay.program.kill()
    assert (relay.state_dir / "control.sock").is_socket()
    relay.start()
    agent.program.wait_for("connected to", start=start)
    # A client that listed the tools before does not do so again; the call waits for their names.
    assert client.call("demo__add", a=1, b=2).text == '{"sum": 3}'
    assert "demo__add" in client.tools()


def test_an_agent_waits_for_its_relay(estate: Estate) -> None:
    """Started first, it tries again and again, and its servers are ready by then."""
    relay = estate.relay()
    agent_key, mcp_key = relay.key("alice", "agent"), relay.key("alice", "mcp")
    agent = estate.agent(relay, agent_key)
    program = agent.spawn()
    program.wait_for("cannot reach the relay")
    program.wait_for("server demo is ready")
    relay.start()
    program.wait_for("connected to")
    client = Client(relay.port, mcp_key)
    assert "demo__add" in client.tools()
    assert client.call("demo__add", a=1, b=2).text == '{"sum": 3}'


def test_a_stopped_relay_process_is_noticed_by_its_silence(estate: Estate) -> None:
    """Pings keep a quiet link; without them the agent gives it up, and is back when the relay is."""
    relay, agent, client = alone(estate, SILENCE)
    time.sleep(2.5)  # the silence is the point
    assert tunnel_state(relay.port) == "connected"
    assert agent.program.log.count("connected to") == 1
    start = len(agent.program.log)
    relay.program.signal(signal.SIGSTOP)
    stopped_s = time.monotonic()
    lost = agent.program.wait_for("fell silent", start=start)
    assert time.monotonic() - stopped_s < SILENCE_NOTICED_S
    relay.program.signal(signal.SIGCONT)
    agent.program.wait_for("connected to|resumed", start=lost)
    assert "demo__add" in client.tools()
    assert client.call("demo__add", a=1, b=2).text == '{"sum": 3}'
    assert get(relay.port, "/health")[1]["devices"] == 1
