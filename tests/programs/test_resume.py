"""Calls survive a network that cuts, silences, delays and truncates links; the client sees delay."""

import random
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.programs.client import MODERN, Client, Outcome, get, tunnel_state
from tests.programs.network import WAYS, Network
from tests.programs.process import eventually
from tests.programs.programs import Agent, Estate, Relay
from tests.programs.test_agent_loss import OFF, long_call

PATIENT = """[tunnel]
ping_after_s = 1
dead_after_s = 2
resume_window_s = 60
closed_link_window_s = 60
"""
LARGE_BYTES = 1_000_000


def behind(
    estate: Estate, seed: int, extra: str = PATIENT, agent_extra: str = PATIENT, **options: Any
) -> tuple[Relay, Network, Agent, Client]:
    """Return a relay, a network that is still good, an agent behind it, and a client.

    `options` are those of the agent, and `least_bytes` of the network. What the agent hears is kept
    until a test wants that no more.
    """
    relay = estate.relay(extra).start()
    network = estate.network(relay, seed, least_bytes=options.pop("least_bytes", 4000))
    network.is_heard = True
    key = relay.key("alice", "agent")
    agent = estate.agent(relay, key, extra=agent_extra, origin=network.origin, **options).start()
    client = Client(relay.port, relay.key("alice", "mcp"), MODERN, timeout_s=90.0).connect()
    assert "demo__add" in client.tools()
    return relay, network, agent, client


class Calling(threading.Thread):
    """Makes calls, one after the other, and keeps what came."""

    def __init__(self, call: Callable[[], Outcome], count: int) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._count = count
        self.outcomes: list[Outcome] = []
        self.start()

    def run(self) -> None:
        for _ in range(self._count):
            self.outcomes.append(self._call())


@pytest.mark.parametrize("seed", [1, 2])
def test_calls_survive_any_number_of_cuts(estate: Estate, seed: int) -> None:
    """Small calls, a large request with a large result, and reports of progress, over some twenty links."""
    _, network, agent, client = behind(estate, seed, least_bytes=8000)
    servers = agent.program.children()
    network.is_heard = False
    network.is_bad = True
    small = Calling(lambda: client.call("demo__add", a=1, b=2), 50)
    body = random.Random(seed).randbytes(LARGE_BYTES // 2).hex()
    large = Calling(lambda: client.call("demo__echo", text=body), 1)
    slow = Calling(lambda: client.call("demo__countdown", "p", n=60, interval=0.05), 1)
    for calling in (small, large, slow):
        calling.join(120)
        assert not calling.is_alive(), network.ends
    assert {outcome.text for outcome in small.outcomes} == {'{"sum": 3}'}
    assert [outcome.text == body for outcome in large.outcomes] == [True]
    (counted,) = slow.outcomes
    assert not counted.is_error
    steps = [one.message["params"]["progress"] for one in counted.progress]
    assert steps == sorted(set(steps))
    assert len(steps) == 60
    while sum(network.ends[way] for way in WAYS) < 5:  # chance cut less often meanwhile
        assert client.call("demo__echo", text=body).text == body
    assert agent.program.children() == servers
    assert "resumed" in agent.program.log


@pytest.mark.parametrize("way", ["reset", "close"])
def test_nothing_has_to_be_switched_on(estate: Estate, way: str) -> None:
    """Without a word about it in any configuration a call survives the loss of its link."""
    _, network, agent, client = behind(estate, 1, "", "")
    started = client.start_call("demo__countdown", {"n": 30, "interval": 0.05}, "p")
    started[1].wait_for_progress()
    network.cut(way)
    counted = client.outcome(*started)
    assert not counted.is_error
    assert len(counted.progress) == 29
    assert "resumed" in agent.program.log


@pytest.mark.parametrize("way", WAYS)
def test_a_call_in_flight_goes_on_over_the_next_link(estate: Estate, way: str) -> None:
    """Each way to lose a link; meanwhile /health says so, and a new call waits."""
    relay, network, agent, client = behind(estate, 1)
    request_id, answer = client.start_call("demo__countdown", {"n": 60, "interval": 0.05}, "p")
    answer.wait_for_progress()
    cut_at = len(agent.program.log)
    network.cut(way)
    if way == "silence":
        agent.program.wait_for("fell silent", start=cut_at)
    else:
        eventually(lambda: tunnel_state(relay.port) == "resuming", 1, "/health to know")
        assert get(relay.port, "/health")[1]["devices"] == 0
    assert client.call("demo__add", a=1, b=2).text == '{"sum": 3}'
    counted = client.outcome(request_id, answer)
    assert not counted.is_error
    assert len(counted.progress) == 59
    agent.program.wait_for("resumed", start=cut_at)
    assert tunnel_state(relay.port) == "connected"


def test_late_bytes_of_an_older_link_count_for_nothing(estate: Estate) -> None:
    """The relay believes that the link lives; what it carried arrives after the agent has resumed."""
    relay, network, agent, client = behind(estate, 1, "")
    started = client.start_call("demo__countdown", {"n": 120, "interval": 0.05}, "p")
    started[1].wait_for_progress()
    stalled_at = len(agent.program.log)
    network.stall()
    waiting = client.start_call("demo__countdown", {"n": 1, "interval": 0.01}, "q")
    agent.program.wait_for("resumed", start=stalled_at)
    assert network.release() > 1000
    late = client.outcome(*waiting)
    counted = client.outcome(*started)
    assert not late.is_error
    assert len(late.progress) == 1
    assert not counted.is_error
    steps = [one.message["params"]["progress"] for one in counted.progress]
    assert steps == list(range(2, 121))
    assert client.call("demo__add", a=1, b=2).text == '{"sum": 3}'
    assert relay.program.log.count("resumed from") == 1
    assert "lost its link" not in relay.program.log
    for program in (relay.program, agent.program):
        assert "broke the protocol" not in program.log


def test_a_laptop_that_slept_goes_on(estate: Estate) -> None:
    """Its relay has heard nothing for too long and waits; the call is finished after all."""
    relay, _, agent, client = behind(estate, 1)
    started = client.start_call("demo__countdown", {"n": 20, "interval": 0.05}, "p")
    started[1].wait_for_progress()
    agent.program.signal(signal.SIGSTOP)
    relay.program.wait_for("has lost its link and may resume: the peer fell silent")
    agent.program.signal(signal.SIGCONT)
    counted = client.outcome(*started)
    assert not counted.is_error
    assert [one.message["params"]["progress"] for one in counted.progress] == list(range(2, 21))


@pytest.mark.parametrize("extra", ["", PATIENT])
def test_a_restarted_agent_ends_the_calls_of_the_one_before_at_once(
    estate: Estate, extra: str
) -> None:
    """They need not wait for the end of the time in which a killed agent might resume."""
    _, _, agent, client = behind(estate, 1, extra, extra)
    started = long_call(client)
    agent.program.kill()
    agent.start()
    started_s = time.monotonic()
    failed = client.outcome(*started)
    assert failed.at_s - started_s < 1
    assert failed.outcome == "unknown"
    assert "another process" in failed.text
    assert client.call("demo__add", a=1, b=2).text == '{"sum": 3}'


def test_a_killed_relay_resumes_nothing_and_the_agent_begins_anew(estate: Estate) -> None:
    """The next relay knows no token; the agent's servers run on."""
    relay, _, agent, client = behind(estate, 1)
    servers = agent.program.children()
    start = len(agent.program.log)
    relay.program.kill()
    relay.start()
    agent.program.wait_for("the relay did not resume the session", start=start)
    agent.program.wait_for("connected to", start=start)
    assert client.call("demo__add", a=1, b=2).text == '{"sum": 3}'
    assert agent.program.children() == servers


@pytest.mark.parametrize(("extra", "agent_extra"), [(OFF, ""), ("", OFF)], ids=["relay", "agent"])
def test_either_side_can_switch_it_off(estate: Estate, extra: str, agent_extra: str) -> None:
    """Then a cut link ends its calls: at once, or when the agent is back."""
    _, network, _, client = behind(estate, 1, extra, agent_extra)
    started = long_call(client)
    cut_s = time.monotonic()
    network.cut("close")
    failed = client.outcome(*started)
    assert failed.at_s - cut_s < (1 if extra else 2.5)
    assert failed.outcome == "unknown"
    assert "may have run" in failed.text
