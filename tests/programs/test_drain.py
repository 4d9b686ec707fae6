"""SIGTERM lets calls finish, within a deadline; SIGINT and a second signal end at once."""

import http.client
import json
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.programs import bulk_server
from tests.programs.client import LEGACY, MODERN, Answer, Client, get
from tests.programs.network import Network
from tests.programs.process import Program, eventually, finished, is_gone
from tests.programs.programs import COMMAND, DEMO_SERVER, Agent, Estate, Relay
from tests.programs.test_agent_loss import long_call

AT_ONCE_S = 3.0
SOON_S = 1.0
"""For what takes a relay 0.02 s, and an agent with a server 0.1 s, while nothing else runs."""

STEPS = 40
"""Of 0.05 s each: how long a call lasts that may finish."""

RESUMING = "resume_window_s = 60\nclosed_link_window_s = 60\n"


@dataclass(frozen=True, slots=True)
class Scene:
    relay: Relay
    agent: Agent
    client: Client

    @property
    def programs(self) -> dict[str, Program]:
        return {"relay": self.relay.program, "agent": self.agent.program}


def scene(
    estate: Estate,
    *,
    drain_s: float = 10,
    top: str = "",
    tunnel: str = "",
    network: bool = False,
    version: str = MODERN,
    **servers: Any,
) -> tuple[Scene, Network | None]:
    """Return a relay, an agent and a client who knows the tools; perhaps a network between them."""
    section = f"[tunnel]\ndrain_s = {drain_s:g}\n{tunnel}"
    relay = estate.relay(f"{top}[hub]\nserver_timeout_s = 0.5\n{section}").start()
    between = estate.network(relay, 1) if network else None
    agent = estate.agent(
        relay,
        relay.key("alice", "agent"),
        extra=section,
        origin=between.origin if between else "",
        servers={"demo": DEMO_SERVER, **servers},
    ).start()
    client = Client(relay.port, relay.key("alice", "mcp"), version, timeout_s=30).connect()
    assert "demo__add" in client.tools()
    return Scene(relay, agent, client), between


def calling(client: Client, steps: int = STEPS) -> tuple[int, Answer]:
    """Start a call that lasts for so many steps, and wait until it runs."""
    started = client.start_call("demo__countdown", {"n": steps, "interval": 0.05}, "mine")
    started[1].wait_for_progress()
    return started


def stop(program: Program, number: signal.Signals = signal.SIGTERM) -> float:
    """Send a signal; return when."""
    sent_s = time.monotonic()
    program.signal(number)
    return sent_s


def finished_well(client: Client, started: tuple[int, Answer]) -> float:
    """Assert that a call has its whole result; return when that came."""
    counted = client.outcome(*started)
    assert not counted.is_error, counted.result
    assert counted.result["structuredContent"] == {"steps": STEPS}
    assert len(counted.progress) == STEPS - 1
    return counted.at_s


def ended(program: Program, within_s: float, number: signal.Signals = signal.SIGTERM) -> float:
    """Assert that a program ends by a signal, in time and in order; return when."""
    assert program.exit_code(within_s) == -number, program.told()
    assert "Traceback" not in program.log, program.told()
    return time.monotonic()


def test_a_relay_with_nothing_to_do_ends_at_once(estate: Estate) -> None:
    """An idle agent, with a connection that a client keeps open, holds nobody up."""
    here, _ = scene(estate, drain_s=30)
    idle = http.client.HTTPConnection("127.0.0.1", here.relay.port, timeout=5)
    idle.request("GET", "/health")
    assert idle.getresponse().read()
    stop(here.relay.program)
    ended(here.relay.program, SOON_S)
    assert "draining" not in here.relay.program.log
    here.agent.program.wait_for("going away: SHUTDOWN the relay is stopping")
    idle.close()


def refused_call(connection: http.client.HTTPConnection, key: str, path: str) -> tuple[Any, Any]:
    """Make a legacy call; return the response and its JSON."""
    body = {"jsonrpc": "2.0", "id": "late", "method": "tools/list", "params": {}}
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    connection.request("POST", path, json.dumps(body), headers)
    response = connection.getresponse()
    return response, json.loads(response.read())


def test_a_relay_that_stops_lets_a_call_finish_and_begins_nothing(estate: Estate) -> None:
    """GOAWAY; requests get 503 and Retry-After, on connections old and new; it says that it drains."""
    web = estate.free_port()
    here, _ = scene(estate, top="retry_after_s = 3\n", web=f"http://127.0.0.1:{web}/")
    relay, port = here.relay.program, here.relay.port
    key = here.relay.key("alice", "mcp")
    kept = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    kept.request("GET", "/ready")
    ready = kept.getresponse()
    assert (ready.status, json.loads(ready.read())) == (200, {"status": "ready"})
    started = calling(here.client)
    stop(relay)
    relay.wait_for("draining: 1 call running, until 10 s")
    here.agent.program.wait_for("going away: NO_ERROR the relay is stopping")
    for connection in (kept, http.client.HTTPConnection("127.0.0.1", port, timeout=5)):
        for path in ("/mcp", "/servers/web/mcp"):
            response, told = refused_call(connection, key, path)
            assert response.status == 503
            assert response.headers["retry-after"] == "3"
            assert response.headers["connection"] == "close"
            assert told["id"] == "late"
            assert told["error"]["data"] == {"outcome": "not_delivered"}
            assert "stopping" in told["error"]["message"]
    assert get(port, "/health") == (200, {**get(port, "/health")[1], "status": "draining"})
    assert get(port, "/ready") == (503, {"status": "draining"})
    status = (*COMMAND, "status", "--config", str(here.relay.config), "--json")
    told = json.loads(finished(status, here.relay.folder).stdout)
    (device,) = told.pop("devices")
    assert told == {"state": "draining", "calls": 1}
    assert (device["name"], device["state"]) == ("laptop", "stopping")
    done_s = finished_well(here.client, started)
    assert ended(relay, SOON_S) - done_s < SOON_S
    assert "drained: all calls have finished" in relay.log
    here.relay.program.check_no_sockets()


@pytest.mark.parametrize("which", ["relay", "agent"])
def test_a_call_that_does_not_finish_ends_at_the_deadline(estate: Estate, which: str) -> None:
    """And its client knows what happened."""
    here, _ = scene(estate, drain_s=1)
    started = long_call(here.client)
    sent_s = stop(here.programs[which])
    failed = here.client.outcome(*started)
    assert 0.9 < failed.at_s - sent_s < 1 + SOON_S
    assert failed.is_error
    assert failed.outcome == "unknown"
    assert f"the {which} is stopping" in failed.text
    ended(here.programs[which], SOON_S)
    assert "stopping with 1 call running" in here.programs[which].log


@pytest.mark.parametrize("which", ["relay", "agent"])
@pytest.mark.parametrize(
    "signals",
    [
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGTERM, signal.SIGINT),
        (signal.SIGTERM, signal.SIGHUP),
        (signal.SIGINT,),
        (signal.SIGHUP,),
    ],
    ids=lambda signals: "+".join(one.name for one in signals),
)
def test_sigint_and_a_second_signal_end_at_once(
    estate: Estate, which: str, signals: tuple[signal.Signals, ...], tmp_path: Path
) -> None:
    """Whatever runs: a call, and on the agent children that ignore everything; the client is told."""
    log = tmp_path / "stubborn"
    here, _ = scene(estate, drain_s=60, stubborn=stubborn(log))
    eventually(lambda: len(notes(log)) == 2, 5, "both stubborn processes")
    family = here.agent.program.children()
    started = long_call(here.client)
    program = here.programs[which]
    for number in signals[:-1]:
        stop(program, number)
        program.wait_for("draining: 1 call running, until 60 s")
    sent_s = stop(program, signals[-1])
    failed = here.client.outcome(*started)
    assert failed.at_s - sent_s < SOON_S
    assert failed.outcome == "unknown"
    ended(program, AT_ONCE_S, signals[0])
    if which == "agent":
        assert all(map(is_gone, family))
    assert time.monotonic() - sent_s < AT_ONCE_S


def stubborn(log: Path) -> tuple[str, ...]:
    return (*DEMO_SERVER[:2], "tests.programs.stubborn_server", str(log))


def notes(log: Path) -> list[list[str]]:
    """Return what the stubborn processes noted, in order: who, what, process id, time."""
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def test_the_children_of_an_agent_end_in_order(estate: Estate, tmp_path: Path) -> None:
    """Stdin closes, then SIGTERM to the group, then SIGKILL to the group, each after a while."""
    log = tmp_path / "stubborn"
    here, _ = scene(estate, stubborn=stubborn(log))
    eventually(lambda: len(notes(log)) == 2, 5, "both stubborn processes")
    family = here.agent.program.children()
    sent_s = stop(here.agent.program)
    ended(here.agent.program, AT_ONCE_S)
    killed_s = time.monotonic()
    assert all(map(is_gone, family))
    said = [(who, what) for who, what, _, _ in notes(log)[2:]]
    assert said[0] == ("child", "EOF")
    assert sorted(said[1:]) == [("child", "TERM"), ("grandchild", "TERM")]
    eof_s, *term_s = [float(at_s) - sent_s for _, _, _, at_s in notes(log)[2:]]
    assert eof_s < SOON_S
    assert 0.9 < min(term_s) <= max(term_s) < 1 + SOON_S
    assert 1.9 < killed_s - sent_s < 2 + SOON_S


def test_an_agent_that_stops_finishes_and_is_asked_nothing_new(estate: Estate) -> None:
    """New calls hear at once that the device goes away; the running one has its result."""
    web = estate.free_port()
    here, _ = scene(estate, web=f"http://127.0.0.1:{web}/")
    key = here.relay.key("alice", "mcp")
    family = here.agent.program.children()
    started = calling(here.client)
    stop(here.agent.program)
    here.relay.program.wait_for("device laptop is stopping")
    asked_s = time.monotonic()
    refused = here.client.call("demo__add", a=1, b=2)
    assert refused.at_s - asked_s < SOON_S
    assert refused.is_error
    assert refused.outcome == "not_delivered"
    assert "'laptop' is going away" in refused.text
    assert "laptop: stopping" in here.client.call("status").text
    connection = http.client.HTTPConnection("127.0.0.1", here.relay.port, timeout=5)
    response, told = refused_call(connection, key, "/servers/web/mcp")
    connection.close()
    assert response.status == 503
    assert response.headers["retry-after"]
    assert told["id"] == "late"
    assert "'laptop' is going away" in told["error"]["message"]
    done_s = finished_well(here.client, started)
    assert ended(here.agent.program, SOON_S) - done_s < SOON_S
    assert all(map(is_gone, family))
    assert "laptop: offline" in here.client.call("status").text
    here.agent.start()
    assert here.client.call("demo__add", a=1, b=2).text == '{"sum": 3}'


def test_a_large_result_at_the_end_arrives_whole(estate: Estate) -> None:
    """The agent waits until the relay has it all, and the relay until the client has."""
    for which in ("agent", "relay"):
        here, _ = scene(estate)
        slow = here.client.start_call("demo__echo", {"text": "x" * 3_000_000})[1]
        beside = calling(here.client)
        large = here.client.send(
            "tools/call", {"name": "demo__echo", "arguments": {"size": 9_000_000}}
        )
        stop(here.programs[which])
        here.programs[which].wait_for("draining")
        time.sleep(0.3)  # a client that reads late
        assert len(here.client.outcome(*large).text) == 9_000_000
        slow.close()
        finished_well(here.client, beside)
        ended(here.programs[which], SOON_S)


def test_streams_that_would_last_end_at_once(estate: Estate) -> None:
    """In order, so that the client comes back; while a call goes on."""
    for which in ("relay", "agent"):
        port = estate.free_port()
        estate.program("bulk", bulk_server.command(port)).wait_for("ready")
        here, _ = scene(estate, bulk=f"http://127.0.0.1:{port}/")
        key = here.relay.key("alice", "mcp")
        connection = http.client.HTTPConnection("127.0.0.1", here.relay.port, timeout=10)
        headers = {"Authorization": f"Bearer {key}", "x-events": "1000", "x-interval": "0.1"}
        connection.request("GET", "/servers/bulk/mcp", headers=headers)
        stream = connection.getresponse()
        assert stream.readline() == b"id: 0\n"
        started = calling(here.client)
        stop(here.programs[which])
        assert stream.read().endswith(b"\n\n")  # IncompleteRead if it were cut off
        over_s = time.monotonic()
        assert finished_well(here.client, started) > over_s, "the call went on"
        ended(here.programs[which], SOON_S)
        connection.close()


def test_agents_come_back_to_a_restarted_relay_after_the_time_given(estate: Estate) -> None:
    """Not before; with the same processes of servers; a client's next call works."""
    here, _ = scene(estate, top="retry_after_s = 1.5\n")
    agent, start = here.agent.program, len(here.agent.program.log)
    servers = agent.children()
    started = calling(here.client)
    stop(here.relay.program)
    done_s = finished_well(here.client, started)
    agent.wait_for("the tunnel is gone", start=start)
    ended(here.relay.program, SOON_S)
    here.relay.start()
    agent.wait_for("connected to", start=start)
    assert time.monotonic() - done_s > 1.5
    assert here.client.call("demo__add", a=1, b=2).text == '{"sum": 3}'
    assert agent.children() == servers


def test_a_new_agent_is_refused_meanwhile_and_comes_back(estate: Estate) -> None:
    """However long it takes to start: the relay drains until it is told to stop at once."""
    here, _ = scene(estate, drain_s=60, top="retry_after_s = 0.5\n")
    started = long_call(here.client)
    stop(here.relay.program)
    here.relay.program.wait_for("draining")
    other = estate.agent(here.relay, here.relay.key("alice", "agent"), name="tower")
    program = other.spawn()
    program.wait_for("going away: SHUTDOWN the relay is stopping")
    stop(here.relay.program)
    assert here.client.outcome(*started).outcome == "unknown"
    ended(here.relay.program, AT_ONCE_S)
    here.relay.start()
    program.wait_for("connected to")


def test_a_legacy_client_can_still_cancel(estate: Estate) -> None:
    here, _ = scene(estate, drain_s=20, version=LEGACY[-1])
    request_id, answer = long_call(here.client)
    stop(here.relay.program)
    here.relay.program.wait_for("draining")
    assert here.client.notify("notifications/cancelled", {"requestId": request_id}) == 202
    assert not [one for one in answer.messages() if "id" in one.message]
    answer.close()
    ended(here.relay.program, SOON_S)


@pytest.fixture(params=["reset", "close"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("which", ["relay", "agent"])
def test_a_link_that_breaks_meanwhile_is_resumed(estate: Estate, which: str, way: str) -> None:
    """GOAWAY is sent, the link breaks with the call in flight, the call has its result."""
    here, network = scene(estate, tunnel=RESUMING, network=True)
    assert network is not None
    started = calling(here.client)
    stop(here.programs[which])
    told = "going away: NO_ERROR" if which == "relay" else "device laptop is stopping"
    other = here.agent.program if which == "relay" else here.relay.program
    other.wait_for(told)
    start = len(here.agent.program.log)
    network.cut(way)
    done_s = finished_well(here.client, started)
    assert "resumed" in here.agent.program.log[start:]
    assert ended(here.programs[which], SOON_S) - done_s < SOON_S


@pytest.mark.parametrize("which", ["relay", "agent"])
def test_a_stop_without_a_link_is_told_over_the_next(estate: Estate, which: str) -> None:
    """The session waits for its link when the order comes."""
    here, network = scene(estate, tunnel=RESUMING, network=True)
    assert network is not None
    started = calling(here.client)
    network.cut("reset")
    stop(here.programs[which])
    finished_well(here.client, started)
    ended(here.programs[which], SOON_S)
    assert "resumed" in here.agent.program.log


@pytest.mark.parametrize("which", ["relay", "agent"])
def test_a_link_that_does_not_come_back_holds_nobody_longer(estate: Estate, which: str) -> None:
    """The deadline counts, and the time in which a session can be resumed does not."""
    here, network = scene(estate, drain_s=1.5, tunnel=RESUMING, network=True)
    assert network is not None
    started = long_call(here.client)
    outcomes = []
    waiting = threading.Thread(target=lambda: outcomes.append(here.client.outcome(*started)))
    waiting.start()
    sent_s = stop(here.programs[which])
    here.programs[which].wait_for("draining")
    estate.networks.remove(network)
    network.close()
    code_s = ended(here.programs[which], 1.5 + SOON_S) - sent_s
    assert 1.4 < code_s < 1.5 + SOON_S
    if which == "agent":  # the relay holds the session for its own time
        stop(here.relay.program, signal.SIGINT)
    waiting.join(5)
    assert [one.outcome for one in outcomes] == ["unknown"]
    ended(here.relay.program, AT_ONCE_S, signal.SIGINT if which == "agent" else signal.SIGTERM)
