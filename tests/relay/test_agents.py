"""Agents come in: greeted, named, known, announced, and let go."""

from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred, fail

from mcptunnel.auth.keys import KeyId, Scope
from mcptunnel.model import ExchangeKind, RequestHead
from mcptunnel.net.memory import MemoryPair
from mcptunnel.net.tunnel import Tunnel
from mcptunnel.relay.announcement import MAX_ANNOUNCEMENT_BYTES
from mcptunnel.relay.devices import (
    ANNOUNCEMENTS_BURST,
    ANNOUNCEMENTS_PER_S,
    MAX_DEVICES,
    Device,
)
from mcptunnel.testing.joined import Joined, MemoryAgent
from mcptunnel.testing.local_server import MemoryServer
from mcptunnel.wire.codec import encode
from mcptunnel.wire.constants import ErrorCode, Role
from mcptunnel.wire.frames import Data, Goaway, Hello
from mcptunnel.wire.session import Session
from mcptunnel.wire.settings import Settings
from tests.conftest import Log, LoggedFailures
from tests.net.tunnels import FakeLink, Owner, Receiver

INSTALLATION = "installation-0001"
SERVERS = RequestHead("@relay", "POST", "/servers", kind=ExchangeKind.CONTROL)


class RawAgent:
    """An agent that says what the test wants."""

    def __init__(self, joined: Joined, says: Hello) -> None:
        self._joined = joined
        self.owner = Owner(Role.AGENT, says=says)
        session = Session(Role.AGENT, Settings(), joined.clock.seconds())
        self.tunnel = Tunnel(joined.clock, session, self.owner)
        relay = joined.agents.receiver(joined.access("alice", Scope.AGENT))
        self.pair = MemoryPair(relay, self.tunnel, reactor=joined.clock)
        self.pair.open()
        joined.settle()

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


def notice_to(agent: MemoryAgent) -> Any:
    assert agent.welcome is not None
    return agent.welcome.notice


# HELLO.


def test_an_agent_becomes_a_device() -> None:
    joined = Joined()
    agent = joined.agent(name="laptop", key_id="k1")
    (device,) = joined.devices.everyone()
    assert (device.name, device.key_id, device.is_connected) == ("laptop", "k1", True)
    assert joined.remembered == [(device, joined.clock.seconds())]
    assert notice_to(agent) == ""
    assert agent.welcome is not None
    assert agent.welcome.device_name == "laptop"


def test_a_taken_name_is_told() -> None:
    joined = Joined()
    joined.agent(name="laptop")
    second = joined.agent(name="laptop")
    assert notice_to(second) == (
        "The name 'laptop' belongs to another device; this device is called 'laptop-2'."
    )


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("my laptop", "my-laptop"),
        ("-..laptop.-", "laptop"),
        ("\U0001f4bb", "device"),
        ("x" * 200, "x" * 64),
        ("\U0010ffff" * 256, "device"),
    ],
)
def test_a_name_that_cannot_be_used_is_changed_and_told(said: str, name: str) -> None:
    joined = Joined()
    agent = joined.agent(name=said)
    assert joined.devices.everyone()[0].name == name
    assert "cannot be used (only A-Z a-z 0-9 _ - . can)" in notice_to(agent)


def test_who_comes_is_logged_and_whose_link_is_replaced(log: Log) -> None:
    joined = Joined()
    for _ in range(2):
        joined.agent(installation_id=INSTALLATION)
    joined.agent(name="my laptop", installation_id=INSTALLATION[:-1] + "2")
    first, second, third = (line for line in log.lines if " connected from " in line)
    assert first.startswith("device laptop of alice connected from ")
    assert first.endswith("memory:right")
    assert second == f"{first}, in place of its older link"
    assert "The name 'my laptop' cannot be used" in third


@pytest.mark.parametrize(
    "installation_id", ["", "short", "x" * 65, "installation 0001", "../../etc/0001x"]
)
def test_an_odd_installation_is_refused(installation_id: str) -> None:
    joined = Joined()
    agent = joined.agent(installation_id=installation_id or "?")
    assert agent.notices[0].code is ErrorCode.PROTOCOL_ERROR
    assert not joined.devices.everyone()
    assert joined.devices.connected_count == 0


def test_a_broken_greeting_leaves_nothing_behind() -> None:
    """HELLO and nonsense in one message: no device, and no older tunnel of it is ended."""
    joined = Joined()
    joined.agent(installation_id=INSTALLATION)
    link = FakeLink()
    relay = joined.agents.receiver(joined.access("alice", Scope.AGENT))
    relay.link_made(link)
    relay.message_received(encode(Hello(INSTALLATION, "evil", "1")) + encode(Data(2, b"x")))
    (message,) = link.take()
    assert isinstance(message[0], Goaway)
    (device,) = joined.devices.everyone()
    assert device.name == "laptop"
    assert device.is_connected
    assert joined.devices.connected_count == 1


def test_a_new_process_of_an_installation_ends_the_old_one() -> None:
    joined = Joined()
    old = joined.agent(MemoryServer("a"), installation_id=INSTALLATION)
    new = joined.agent(MemoryServer("b"), installation_id=INSTALLATION)
    assert old.notices[0].code is ErrorCode.REPLACED
    assert old.lost is not None
    assert new.lost is None
    (device,) = joined.devices.everyone()
    assert list(device.servers) == ["b"]
    assert joined.devices.connected_count == 1


def test_a_device_too_many_is_refused_while_all_are_connected() -> None:
    joined = Joined()
    agents = [joined.agent() for _ in range(MAX_DEVICES)]
    refused = joined.agent()
    assert refused.notices[0].code is ErrorCode.LIMIT_EXCEEDED
    assert f"{MAX_DEVICES} devices" in refused.notices[0].text
    assert joined.agent(user="bob").welcome is not None
    joined.cut(agents[7])
    assert joined.agent().welcome is not None
    assert [device.installation_id for device in joined.forgotten] == ["installation-0008"]
    assert len(joined.devices.of(joined.client().access.principal)) == MAX_DEVICES


def test_an_agents_version_is_shown_without_control_characters() -> None:
    joined = Joined()
    RawAgent(joined, Hello(INSTALLATION, "laptop", "1.0\u202eevil" + "x" * 100))
    (device,) = joined.devices.everyone()
    assert device.agent_version == "1.0 evil" + "x" * 32 + "…"


# What an agent may ask.


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


# The end.


def test_a_lost_agent_is_offline_and_remembered() -> None:
    joined = Joined()
    agent = joined.agent()
    joined.wait_s(5)
    joined.cut(agent)
    (device,) = joined.devices.everyone()
    assert not device.is_connected
    assert device.last_seen_s == joined.clock.seconds()
    assert [now_s for _, now_s in joined.remembered] == [device.last_seen_s - 5, device.last_seen_s]


def test_an_agent_that_goes_away_by_itself_is_let_go() -> None:
    joined = Joined()
    agent = joined.agent()
    assert agent.tunnel is not None
    agent.tunnel.close(ErrorCode.SHUTDOWN, "the agent is stopping")
    joined.settle()
    assert joined.devices.connected_count == 0


def test_revoking_a_key_closes_its_links_and_no_other() -> None:
    joined = Joined()
    revoked, kept = joined.agent(key_id="k1"), joined.agent(key_id="k2")
    joined.agents.revoked(KeyId("k1"))
    joined.settle()
    assert revoked.notices[0].code is ErrorCode.REVOKED
    assert revoked.lost is not None
    assert kept.lost is None


def test_stopping_tells_everybody_and_takes_nobody_in() -> None:
    joined = Joined()
    agent = joined.agent()
    stopped: list[object] = []
    Deferred.fromCoroutine(joined.agents.stop()).addCallback(stopped.append)
    joined.settle()
    assert stopped == [None]
    assert agent.notices[0].code is ErrorCode.SHUTDOWN
    assert agent.notices[0].retry_after_s == 1.0
    late = joined.agent()
    assert late.notices[0].code is ErrorCode.SHUTDOWN
    assert joined.devices.connected_count == 0


def test_stopping_waits_for_what_is_being_written(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = Joined()
    writes: list[Deferred[None]] = []

    def write(_device: Device, _now_s: float) -> Deferred[None]:
        writes.append(Deferred())
        return writes[-1]

    monkeypatch.setattr(joined.agents, "_write", write)
    joined.agent()
    stopped: list[object] = []
    Deferred.fromCoroutine(joined.agents.stop()).addCallback(stopped.append)
    assert len(writes) == 2
    for writing in writes:
        assert not stopped
        writing.callback(None)
    assert stopped


def test_a_device_that_cannot_be_remembered_works_all_the_same(
    monkeypatch: pytest.MonkeyPatch, logged_failures: LoggedFailures
) -> None:
    joined = Joined()
    monkeypatch.setattr(joined.agents, "_write", lambda _device, _now_s: fail(OSError("full")))
    agent = joined.agent(MemoryServer("files", {"read": lambda _: "text"}))
    assert joined.client().call("files__read").text == "text"
    assert agent.lost is None
    assert logged_failures.take(OSError)
