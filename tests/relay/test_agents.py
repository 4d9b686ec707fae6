"""Agents come in: greeted, named, known, announced, and let go."""

from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail

from mcptunnel.auth.keys import Scope
from mcptunnel.config.tunnel import TunnelConfig
from mcptunnel.model import ExchangeKind, RequestHead
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.devices import MAX_DEVICES, Device
from mcptunnel.testing.joined import Answer, Joined, MemoryAgent
from mcptunnel.testing.local_server import MemoryServer
from mcptunnel.wire.codec import encode
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.frames import Data, Goaway, Hello
from tests.conftest import Log, LoggedFailures
from tests.net.tunnels import FakeLink

INSTALLATION = "installation-0001"
SERVERS = RequestHead("@relay", "POST", "/servers", kind=ExchangeKind.CONTROL)


def notice_to(agent: MemoryAgent) -> Any:
    assert agent.welcome is not None
    return agent.welcome.notice


# HELLO.


def test_an_agent_becomes_a_device() -> None:
    joined = Joined()
    agent = joined.agent(name="laptop", key_id="k1")
    (device,) = joined.devices.everyone()
    assert (device.name, device.is_connected) == ("laptop", True)
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


@pytest.mark.parametrize("said", ["x" * 15, "x" * 65, "-" + "h" * 15, "a laptop of alice"])
def test_an_installation_id_that_cannot_be_used_is_refused(said: str) -> None:
    """Whoever runs the relay reads it in a list, and writes it into a command."""
    joined = Joined()
    agent = joined.agent(installation_id=said)
    assert agent.notices[0].text == "unusable installation id"
    assert joined.devices.everyone() == []
    joined.agent(installation_id="_" * 16)
    assert len(joined.devices.everyone()) == 1


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
    joined.lose(agents[7])
    assert joined.agent().welcome is not None
    assert [device.installation_id for device in joined.forgotten] == ["installation-0008"]
    assert len(joined.devices.of(joined.client().access.principal)) == MAX_DEVICES


# Resume.


def shown(agent: MemoryAgent, token: str, **changed: Any) -> MemoryAgent:
    """Let an agent say a token that is perhaps not its own."""
    agent.resume_token = token
    agent._hello = replace(agent._hello, **changed)
    return agent


def device_of(joined: Joined) -> Device:
    (device,) = joined.devices.everyone()
    return device


def test_an_agent_that_comes_back_in_time_goes_on() -> None:
    """The same tunnel, the same name, another token each time; its calls never hear of it."""
    joined = Joined()
    server = MemoryServer("files", {"read": lambda _: "text"})
    agent = joined.agent(server)
    relay_end, agent_end = device_of(joined).tunnel, agent.tunnel
    tokens = {agent.resume_token}
    for _ in range(3):
        joined.cut(agent)
        assert device_of(joined).is_connected
        assert (joined.devices.connected_count, joined.devices.resuming_count) == (1, 1)
        waiting = joined.client().call("files__read")
        assert not waiting.is_over
        joined.wait_s(9)
        joined.connect(agent)
        assert waiting.text == "text"
        assert agent.welcome is not None
        assert agent.welcome.resumed
        tokens.add(agent.resume_token)
    assert len(tokens) == 4
    assert (device_of(joined).tunnel, agent.tunnel) == (relay_end, agent_end)
    assert joined.devices.resuming_count == 0
    assert len(joined.remembered) == 1


def test_a_relay_that_holds_no_sessions_gives_no_token() -> None:
    """Who wants calls to end with their link gets that, even if the relay has not noticed the loss."""
    joined = Joined(tunnel=TunnelConfig(resume_window_s=0))
    agent = joined.agent(MemoryServer("files", {"read": lambda _: "text"}))
    assert agent.resume_token == ""
    older = device_of(joined).tunnel
    joined.connect(agent)
    assert agent.welcome is not None
    assert not agent.welcome.resumed
    assert device_of(joined).tunnel is not older


def test_an_agent_that_comes_back_too_late_begins_anew() -> None:
    joined = Joined()
    agent = joined.agent()
    joined.cut(agent)
    joined.wait_s(10)
    assert not device_of(joined).is_connected
    assert (joined.devices.connected_count, joined.devices.resuming_count) == (0, 0)
    joined.connect(agent)
    assert agent.welcome is not None
    assert not agent.welcome.resumed
    assert device_of(joined).is_connected


def test_a_device_that_does_not_come_back_was_last_seen_when_it_was() -> None:
    joined = Joined()
    agent = joined.agent()
    joined.wait_s(5)
    joined.cut(agent)
    lost_s = joined.clock.seconds()
    joined.wait_s(10)
    assert device_of(joined).last_seen_s == lost_s


def test_a_link_that_nobody_knew_to_be_dead_makes_no_difference() -> None:
    """The agent changed networks: its new link comes before the old one's end."""
    joined = Joined()
    agent = joined.agent(MemoryServer("files", {"read": lambda _: "text"}))
    assert agent.tunnel is not None
    assert agent.pair is not None
    for end in (agent.pair.left, agent.pair.right):
        end.hold()
    waiting = joined.client().call("files__read")
    joined.connect(agent)
    assert agent.welcome is not None
    assert agent.welcome.resumed
    assert waiting.text == "text"
    assert joined.devices.connected_count == 1


@pytest.mark.parametrize("case", ["guessed", "stale", "foreign installation"])
def test_a_token_that_is_not_the_sessions_resumes_nothing(case: str) -> None:
    """Another session begins; if it is that installation's, the old one ends, unanswered."""
    joined = Joined()
    victim = joined.agent(
        MemoryServer("files", {"read": lambda _: "secret"}),
        installation_id=INSTALLATION,
        key_id="k1",
    )
    stale = victim.resume_token
    joined.cut(victim)
    joined.connect(victim, key_id="k1")
    joined.client().call("files__read")
    thief = joined.agent(name="thief", installation_id="installation-0666", key_id="k1")
    token = {"guessed": "0" * 64, "stale": stale}.get(case, victim.resume_token)
    installation_id = "installation-9999" if case == "foreign installation" else INSTALLATION
    shown(thief, token, installation_id=installation_id)
    joined.cut(thief)
    joined.connect(thief, key_id="k1")
    assert thief.welcome is not None
    assert not thief.welcome.resumed
    ended = [notice.code for notice in victim.notices]
    assert ended == ([] if case == "foreign installation" else [ErrorCode.REPLACED])


def test_a_token_with_another_key_is_refused_and_ends_nothing() -> None:
    """Even of the same user and the same installation."""
    joined = Joined()
    victim = joined.agent(MemoryServer("files", {"read": None}), installation_id=INSTALLATION)
    waiting = joined.client().call("files__read")
    thief = joined.agent(name="thief", installation_id="installation-0666", key_id="k2")
    joined.cut(thief)
    shown(thief, victim.resume_token, installation_id=INSTALLATION)
    joined.connect(thief, key_id="k2")
    assert thief.welcome is None
    assert [notice.code for notice in thief.notices] == [ErrorCode.REPLACED]
    assert victim.lost is None
    assert not waiting.is_over
    joined.cut(victim)
    joined.connect(victim)
    assert victim.welcome is not None
    assert victim.welcome.resumed


def test_another_users_token_resumes_nothing_and_ends_nothing() -> None:
    joined = Joined()
    victim = joined.agent(installation_id=INSTALLATION)
    thief = joined.agent(user="mallory", installation_id=INSTALLATION)
    joined.cut(thief)
    joined.connect(shown(thief, victim.resume_token), user="mallory")
    assert thief.welcome is not None
    assert not thief.welcome.resumed
    assert victim.lost is None


def test_impossible_numbers_end_the_session_and_the_link() -> None:
    joined = Joined()
    agent = joined.agent(installation_id=INSTALLATION)
    joined.cut(agent)
    assert agent.tunnel is not None
    agent.tunnel.session._acks.received_count = 1000
    joined.connect(agent)
    assert agent.notices[0].code is ErrorCode.PROTOCOL_ERROR
    assert joined.devices.connected_count == 0
    joined.wait_s(60)
    joined.connect(agent)
    assert device_of(joined).is_connected


def test_a_new_process_ends_the_session_that_waits_at_once() -> None:
    """Calls of the old one fail now, not when its time is over."""
    joined = Joined()
    server = MemoryServer("files", {"read": lambda _: "text"})
    old = joined.agent(server, installation_id=INSTALLATION)
    joined.cut(old)
    waiting = joined.client().call("files__read")
    joined.agent(server, installation_id=INSTALLATION)
    assert "another process" in waiting.text
    assert joined.devices.connected_count == 1
    assert joined.devices.resuming_count == 0
    assert joined.client().call("files__read").text == "text"


def test_revoking_a_key_ends_the_sessions_that_wait_and_the_links_that_greet() -> None:
    joined = Joined()
    agent = joined.agent(key_id="k1")
    joined.cut(agent)
    link, other = FakeLink(), FakeLink()
    joined.agents.receiver(joined.access("alice", Scope.AGENT, "k1")).link_made(link)
    kept = joined.agents.receiver(joined.access("alice", Scope.AGENT, "k2"))
    kept.link_made(other)
    joined.in_use.end(Revoked(grant_id="k1"))
    assert joined.devices.connected_count == 0
    ((said,),) = link.take()
    assert isinstance(said, Goaway)
    assert said.code is ErrorCode.REVOKED
    assert other.closed == []
    kept.part()


def test_stopping_ends_sessions_that_wait_and_refuses_links_that_greet() -> None:
    joined = Joined()
    joined.cut(joined.agent())
    link = FakeLink()
    joined.agents.receiver(joined.access("alice", Scope.AGENT)).link_made(link)
    Deferred.fromCoroutine(joined.agents.stop())
    ((said,),) = link.take()
    assert isinstance(said, Goaway)
    assert said.code is ErrorCode.SHUTDOWN
    assert joined.devices.connected_count == 0
    assert all(end.link is None or end.tunnel is None for end in joined.agents._greeting)


# The end.


def test_a_lost_agent_is_offline_and_remembered() -> None:
    joined = Joined()
    agent = joined.agent()
    joined.wait_s(5)
    joined.lose(agent)
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
    joined.in_use.end(Revoked(grant_id="k1"))
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

    monkeypatch.setattr(joined, "device_seen", write)
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
    monkeypatch.setattr(joined, "device_seen", lambda _device, _now_s: fail(OSError("full")))
    agent = joined.agent(MemoryServer("files", {"read": lambda _: "text"}))
    assert joined.client().call("files__read").text == "text"
    assert agent.lost is None
    assert logged_failures.take(OSError)


def calling(joined: Joined) -> tuple[MemoryAgent, MemoryServer, Answer]:
    """Return an agent with a call that waits for its server."""
    server = MemoryServer("files", {"read": None})
    agent = joined.agent(server)
    return agent, server, joined.client().call("files__read")


def test_going_away_lets_calls_finish_and_begins_nothing() -> None:
    joined = Joined()
    agent, server, answer = calling(joined)
    joined.draining.retry_after_s = 7.0
    joined.agents.go_away()
    joined.settle()
    (notice,) = agent.notices
    assert (notice.code, notice.retry_after_s) == (ErrorCode.NO_ERROR, 7.0)
    assert notice.text == "the relay is stopping"
    late = joined.client().call("files__read")
    assert late.text.startswith("The relay is stopping.")
    assert late.value["_meta"] == {"mcptunnel/outcome": "not_delivered"}
    assert joined.agents.stream_count == 1
    server.calls[0].answer({"content": [{"type": "text", "text": "done"}]})
    joined.settle()
    assert answer.text == "done"
    assert joined.agents.stream_count == 0


def test_while_it_goes_away_a_session_is_resumed_and_no_new_one_begins() -> None:
    joined = Joined()
    agent, server, answer = calling(joined)
    joined.agents.go_away()
    joined.cut(agent)
    joined.connect(agent)
    assert agent.welcome is not None
    assert agent.welcome.resumed
    other = joined.agent(name="tower")
    (refusal,) = other.notices
    assert (refusal.code, refusal.retry_after_s) == (ErrorCode.SHUTDOWN, 1.0)
    server.calls[0].answer({"content": [{"type": "text", "text": "done"}]})
    joined.settle()
    assert answer.text == "done"


def test_an_agent_that_is_stopping_is_asked_nothing_new(log: Log) -> None:
    joined = Joined()
    agent, server, answer = calling(joined)
    joined.wait_s(2000)
    assert agent.tunnel is not None
    agent.tunnel.go_away(ErrorCode.NO_ERROR, "the agent is stopping")
    joined.settle()
    assert "device laptop is stopping" in log
    (device,) = joined.devices.everyone()
    assert device.is_stopping
    assert not device.is_connected
    late = joined.client().call("files__read")
    assert late.text.startswith("The device 'laptop' is going away: its agent is stopping.")
    assert joined.client().tools() == ["files__read"], "a restart does not make tools vanish"
    status = joined.client().call("status")
    assert status.text.startswith("laptop: stopping, and takes no new calls")
    server.calls[0].answer({"content": [{"type": "text", "text": "done"}]})
    joined.settle()
    assert answer.text == "done"


def test_the_name_of_a_device_that_is_stopping_is_still_its_own() -> None:
    joined = Joined()
    agent = joined.agent(name="laptop")
    assert agent.tunnel is not None
    agent.tunnel.go_away(ErrorCode.NO_ERROR, "the agent is stopping")
    joined.settle()
    other = joined.agent(name="laptop")
    assert other.welcome is not None
    assert other.welcome.device_name == "laptop-2"
