"""Agents that flood a relay, over real links: each is thrown out with a code and nobody else notices."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count

import pytest

from mcptunnel.wire.codec import encode
from mcptunnel.wire.constants import MAX_MESSAGE_FRAMES, MAX_WINDOW_BYTES, ErrorCode
from mcptunnel.wire.frames import (
    Ack,
    Data,
    End,
    Frame,
    Goaway,
    Hello,
    Open,
    Ping,
    Pong,
    Reset,
    Unknown,
    Window,
)
from tests.programs.client import Client
from tests.programs.hostile import ANNOUNCING, PING, HostileAgent, websocket_frame
from tests.programs.process import eventually, finished
from tests.programs.programs import COMMAND, Agent, Estate, Relay
from tests.programs.test_agent_loss import connected, long_call

GROWTH_BYTES = 24 * 1024 * 1024
"""So much may the relay's memory grow at its peak; what is sent at it is more than that, or endless."""

MOST_FRAMES = 1_000_000
CALL_S = 5.0
QUICK = "[tunnel]\nping_after_s = 0.2\ndead_after_s = 1\n"
CANCEL = ErrorCode.CANCEL


class Victim:
    """A user who calls all the time, while somebody else attacks the relay."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._stopping = threading.Event()
        self.calls = 0
        self.slowest_s = 0.0
        self.wrong: list[object] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            started_s = time.monotonic()
            try:
                said = self._client.call("demo__add", a=self.calls, b=1).text
            except Exception as error:  # noqa: BLE001 - whatever it is, the test tells
                self.wrong.append(error)
                return
            if said != f'{{"sum": {self.calls + 1}}}':
                self.wrong.append(said)
            self.slowest_s = max(self.slowest_s, time.monotonic() - started_s)
            self.calls += 1

    def check(self) -> None:
        """Let a few more calls be made, and assert that every one had its right answer in time."""
        enough = self.calls + 3
        eventually(lambda: self.wrong or self.calls >= enough, 3 * CALL_S, "calls")
        self._stopping.set()
        self._thread.join(CALL_S * 2)
        assert not self._thread.is_alive()
        assert not self.wrong
        assert self.slowest_s < CALL_S


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, free_ports: Callable[[int], list[int]]
) -> Iterator[tuple[Relay, Client, str]]:
    """A relay with alice's agent and client, and the key of mallory's agent."""
    estate = Estate(tmp_path_factory.mktemp("f"), free_ports)
    try:
        relay = estate.relay().start()
        _, client = connected(estate, relay, "alice")
        yield relay, client, relay.key("mallory", "agent")
        estate.close()
    finally:
        estate.clean_up()


def _on_gone(frame: Frame) -> Iterator[Frame]:
    yield Open(2, ANNOUNCING)
    yield Reset(2, CANCEL)
    while True:
        yield frame


STORMS: dict[str, Callable[[], Iterable[Frame]]] = {
    "ping": lambda: map(Ping, count()),
    "goaway": lambda: (Goaway(0, CANCEL) for _ in count()),
    "open and reset": lambda: (
        frame for i in count(2, 2) for frame in (Open(i, ANNOUNCING), Reset(i, CANCEL))
    ),
    "open beyond the limit": lambda: (Open(i, ANNOUNCING) for i in count(2, 2)),
    "reset": lambda: _on_gone(Reset(2, CANCEL)),
    "data": lambda: _on_gone(Data(2, b"x")),
    "end": lambda: _on_gone(End(2)),
    "window": lambda: _on_gone(Window(2, 5000)),
    "unknown": lambda: (Unknown(100, 7) for _ in count()),
    "pong": lambda: map(Pong, count()),
    "ack": lambda: (Ack(0) for _ in count()),
}


@pytest.mark.parametrize("name", STORMS)
def test_a_storm_is_ended_and_costs_nobody_else(site: tuple[Relay, Client, str], name: str) -> None:
    """The relay says why, its memory stays, and alice's calls go on with right answers."""
    relay, client, key = site
    victim = Victim(client)
    with HostileAgent(relay.port, key) as hostile:
        relay.program.reset_peak()
        before = relay.program.rss_bytes
        sent = hostile.flood(STORMS[name](), MOST_FRAMES)
        assert sent < MOST_FRAMES
        assert hostile.ended_with() == (ErrorCode.FLOOD, 1002)
    victim.check()
    assert relay.program.peak_bytes - before < GROWTH_BYTES


NONSENSE: dict[str, tuple[bytes, ErrorCode]] = {
    "data without credit": (
        b"".join(encode(Data(2, bytes(32_768))) for _ in range(7)),
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
    "a window that overflows": (
        encode(Open(2, ANNOUNCING)) + encode(Window(2, MAX_WINDOW_BYTES)),
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
    "a stream that never was": (encode(Data(9, b"x")), ErrorCode.PROTOCOL_ERROR),
    "an id of the relay's": (encode(Open(3, ANNOUNCING)), ErrorCode.PROTOCOL_ERROR),
    "an id used before": (
        encode(Open(4, ANNOUNCING)) + encode(Open(2, ANNOUNCING)),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "no msgpack": (b"\xc1", ErrorCode.PROTOCOL_ERROR),
    "a second greeting": (encode(Hello("i", "d", "1")), ErrorCode.PROTOCOL_ERROR),
    "a message too large": (bytes(300_000), ErrorCode.LIMIT_EXCEEDED),
    "frames too many": (
        encode(Unknown(64, 0)) * (MAX_MESSAGE_FRAMES + 1),
        ErrorCode.LIMIT_EXCEEDED,
    ),
    "an impossible count": (encode(Ack(2**50)), ErrorCode.PROTOCOL_ERROR),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_ended_and_costs_nobody_else(
    site: tuple[Relay, Client, str], name: str
) -> None:
    """A message or two are enough; a call of alice's that is under way goes on."""
    relay, client, key = site
    message, code = NONSENSE[name]
    started = client.start_call("demo__countdown", {"n": 10, "interval": 0.02}, "mine")
    with HostileAgent(relay.port, key) as hostile:
        if name == "data without credit":  # more than fits into one message
            hostile.open(2)
            hostile.send(message)
        hostile.send(message)
        assert hostile.ended_with() == (code, 1002)
    assert not client.outcome(*started).is_error


@pytest.mark.parametrize("opcode", [0, PING])
def test_a_storm_of_websocket_frames_is_ended(site: tuple[Relay, Client, str], opcode: int) -> None:
    """Empty fragments of one message, or pings: the WebSocket itself is closed."""
    relay, client, key = site
    victim = Victim(client)
    with HostileAgent(relay.port, key) as hostile:
        before = relay.program.rss_bytes
        if opcode == 0:
            hostile.send_raw(websocket_frame(2, b"", final=False))
        hostile.send_raw(websocket_frame(opcode, b"", final=opcode == PING) * 5000)
        assert hostile.ended_with() == (None, 1008)
    victim.check()
    assert relay.program.rss_bytes - before < GROWTH_BYTES


# Silence of several kinds, noticed within a second.


def test_an_agent_that_sends_and_never_reads_is_given_up(estate: Estate) -> None:
    """It is heard all the time; that it answers no PING gives it away."""
    relay = estate.relay(QUICK).start()
    _, client = connected(estate, relay, "alice")
    victim = Victim(client)
    key = relay.key("mallory", "agent")
    before, start = relay.program.rss_bytes, len(relay.program.log)
    with HostileAgent(relay.port, key, reads=False) as hostile:
        started_s = time.monotonic()
        sent = hostile.flood(paced(started_s), MOST_FRAMES, per_message=1)
        assert time.monotonic() - started_s < 5
        assert sent > 10
    relay.program.wait_for(
        "hostile has lost its link and may resume: the peer takes nothing", start=start
    )
    victim.check()
    assert relay.program.rss_bytes - before < GROWTH_BYTES


def paced(started_s: float) -> Iterator[Frame]:
    """Give a frame now and then, for five seconds."""
    while time.monotonic() < started_s + 4:
        time.sleep(0.02)  # the pace is the point
        yield Unknown(64, 0)


def test_status_tells_how_far_away_a_device_is(site: tuple[Relay, Client, str]) -> None:
    """On a link that is as new, and as busy, as it likes."""
    relay, _client, _key = site
    told = finished((*COMMAND, "status", "--config", "relay.toml", "--json"), relay.folder)
    (laptop,) = (
        device for device in json.loads(told.stdout)["devices"] if device["user"] == "alice"
    )
    assert laptop["state"] == "connected"
    assert 0 < laptop["round_trip_ms"] < 1000


def test_a_black_hole_is_noticed_by_both_sides(estate: Estate) -> None:
    """The network forgets the connection, and nobody is told: a second later both have given it up."""
    at_once = f"{QUICK}resume_window_s = 0\n"
    relay = estate.relay(at_once).start()
    network = estate.network(relay, seed=1)
    agent: Agent = estate.agent(
        relay, relay.key("alice", "agent"), extra=at_once, origin=network.origin
    ).start()
    client = Client(relay.port, relay.key("alice", "mcp")).connect()
    assert "demo__add" in client.tools()
    started = long_call(client)
    relay_at, agent_at = len(relay.program.log), len(agent.program.log)
    cut_s = time.monotonic()
    network.cut("silence")
    relay.program.wait_for("disconnected: the peer fell silent", start=relay_at, timeout_s=2)
    agent.program.wait_for("the peer fell silent", start=agent_at, timeout_s=2)
    assert time.monotonic() - cut_s < 2
    assert client.outcome(*started).outcome == "unknown"
    agent.program.wait_for("connected to", start=agent_at)
    eventually(lambda: not client.call("demo__add", a=1, b=2).is_error, 5, "the return")
