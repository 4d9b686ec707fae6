"""What an agent may ask over its tunnel: to announce its servers, and nothing else."""

import msgspec
import pytest

from mcptunnel.auth.keys import Scope
from mcptunnel.model import ExchangeKind, RequestHead
from mcptunnel.net.memory import MemoryPair
from mcptunnel.relay.agent_tunnel import MAX_ANNOUNCING
from mcptunnel.relay.announcement import MAX_ANNOUNCEMENT_BYTES
from mcptunnel.relay.devices import ANNOUNCEMENTS_BURST, ANNOUNCEMENTS_PER_S
from mcptunnel.testing.joined import Joined
from mcptunnel.wire.constants import ErrorCode, Role
from mcptunnel.wire.frames import Hello
from tests.net.tunnels import Owner, Receiver

INSTALLATION = "installation-0001"
SERVERS = RequestHead("@relay", "POST", "/servers", kind=ExchangeKind.CONTROL)


class RawAgent:
    """An agent that says what the test wants."""

    def __init__(self, joined: Joined, says: Hello) -> None:
        self._joined = joined
        self.owner = Owner(Role.AGENT, says=says)
        self.owner.clock = joined.clock
        relay = joined.agents.receiver(joined.access("alice", Scope.AGENT))
        self.pair = MemoryPair(relay, self.owner.end(), reactor=joined.clock)
        self.pair.open()
        joined.settle()
        assert self.owner.tunnel is not None
        self.tunnel = self.owner.tunnel

    def post(self, body: bytes, head: RequestHead = SERVERS) -> Receiver:
        receiver = Receiver()
        exchange = self.tunnel.open(head, receiver)
        exchange.write(body)
        exchange.end()
        self._joined.settle()
        return receiver


def announcement(*names: str) -> bytes:
    servers = [{"name": name, "kind": "x", "state": "starting", "revision": 1} for name in names]
    return msgspec.json.encode({"servers": servers})


def status_of(receiver: Receiver) -> int:
    (head,) = [event[1] for event in receiver.events if event[0] == "head"]
    status: int = head.status
    return status


def test_announced_servers_are_taken() -> None:
    joined = Joined()
    agent = RawAgent(joined, Hello(INSTALLATION, "laptop", "1.0"))
    assert status_of(agent.post(announcement("a", "b"))) == 204
    assert list(joined.devices.everyone()[0].servers) == ["a", "b"]


def test_a_bad_announcement_changes_nothing() -> None:
    joined = Joined()
    agent = RawAgent(joined, Hello(INSTALLATION, "laptop", "1.0"))
    agent.post(announcement("a"))
    assert status_of(agent.post(b"nonsense")) == 400
    assert list(joined.devices.everyone()[0].servers) == ["a"]
    assert agent.tunnel.is_open


def test_an_endless_announcement_is_cut_off() -> None:
    joined = Joined()
    agent = RawAgent(joined, Hello(INSTALLATION, "laptop", "1.0"))
    receiver = agent.post(bytes(MAX_ANNOUNCEMENT_BYTES + 100_000))
    assert receiver.failure.code is ErrorCode.LIMIT_EXCEEDED
    assert agent.tunnel.is_open


@pytest.mark.parametrize(
    "head",
    [
        RequestHead("files", "POST", "/mcp"),
        RequestHead("@relay", "GET", "/servers"),
        RequestHead("@relay", "POST", "/keys"),
    ],
)
def test_an_agent_can_ask_for_nothing_else(head: RequestHead) -> None:
    joined = Joined()
    agent = RawAgent(joined, Hello(INSTALLATION, "laptop", "1.0"))
    assert agent.post(b"", head).failure.code is ErrorCode.REFUSED_STREAM
    assert agent.tunnel.is_open


def test_an_agents_version_is_shown_without_control_characters() -> None:
    joined = Joined()
    RawAgent(joined, Hello(INSTALLATION, "laptop", "1.0\u202eevil" + "x" * 100))
    (device,) = joined.devices.everyone()
    assert device.agent_version == "1.0 evil" + "x" * 32 + "…"


def test_a_flood_of_announcements_is_not_read() -> None:
    """But the first one of a connection always is: without it the device is of no use."""
    joined = Joined()
    agent = RawAgent(joined, Hello(INSTALLATION, "laptop", "1.0"))
    answers = [status_of(agent.post(announcement(f"s{n}"))) for n in range(30)]
    assert answers == [204] * ANNOUNCEMENTS_BURST + [429] * (30 - ANNOUNCEMENTS_BURST)
    (device,) = joined.devices.everyone()
    assert list(device.servers) == [f"s{ANNOUNCEMENTS_BURST - 1}"]
    again = RawAgent(joined, Hello(INSTALLATION, "laptop", "1.0"))
    assert status_of(again.post(announcement("new"))) == 204
    assert status_of(again.post(announcement("newer"))) == 429
    joined.wait_s(1 / ANNOUNCEMENTS_PER_S)
    assert status_of(again.post(announcement("newer"))) == 204
    assert list(device.servers) == ["newer"]


def test_announcements_that_never_end_are_few() -> None:
    """What an agent can make the relay keep is four of them; with each that ends there is room again."""
    joined = Joined()
    agent = RawAgent(joined, Hello(INSTALLATION, "laptop", "1.0"))
    begun = [agent.tunnel.open(SERVERS, Receiver()) for _ in range(MAX_ANNOUNCING)]
    joined.settle()
    assert agent.post(announcement("a")).failure.code is ErrorCode.LIMIT_EXCEEDED
    begun[0].reset(ErrorCode.CANCEL)
    assert status_of(agent.post(announcement("a"))) == 204
    begun[1].write(bytes(MAX_ANNOUNCEMENT_BYTES + 1))
    begun[2].write(announcement("b"))
    begun[2].end()
    for _ in range(100):
        joined.settle()
    for _ in range(MAX_ANNOUNCING - 1):
        agent.tunnel.open(SERVERS, Receiver())
    assert agent.post(announcement("a")).failure.code is ErrorCode.LIMIT_EXCEEDED
    assert agent.tunnel.is_open
