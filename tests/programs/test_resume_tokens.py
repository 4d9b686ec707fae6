"""Resume tokens that were stolen on the way, or are not the newest: none of them opens anything."""

import os
from collections.abc import Callable

import pytest

from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.frames import Frame, Goaway, Hello, Welcome
from tests.programs.network import Network
from tests.programs.programs import Agent, Estate, Relay
from tests.programs.raw_agent import RawAgent, welcomes
from tests.programs.test_resume import PATIENT, behind

STEPS = 60
OTHER_INSTALLATION = "0123456789abcdef0123456789abcdef"


def captured(network: Network) -> list[str]:
    """Return the tokens that went through the network, the newest last."""
    return [welcome.resume_token for heard in network.heard for welcome in welcomes(bytes(heard))]


def installation_of(agent: Agent) -> str:
    return (agent.folder / "state" / "installation-id").read_text().strip()


def shown_to(relay: Relay, key: str, installation_id: str, token: str, count: int = 0) -> Frame:
    """Show a token; return what the relay says."""
    hello = Hello(installation_id, "thief", "1", resume_token=token, last_received=count)
    with RawAgent(relay.port, key) as thief:
        return thief.greet(hello)


def check_secret(relay: Relay, tokens: list[str], *logs: str) -> None:
    """Assert that a relay has written no token anywhere, and that logs show none."""
    assert all(len(token) == 64 for token in tokens)
    kept = [path.read_bytes() for path in relay.state_dir.rglob("*") if path.is_file()]
    for place in (*kept, *(log.encode() for log in (*logs, relay.program.log))):
        assert not [token for token in tokens if token.encode() in place]


def no_cut(_: Network) -> None:
    """Leave the session connected."""


def cut(network: Network) -> None:
    """Have the session held until the network is back."""
    network.is_away = True
    network.cut("close")


@pytest.mark.parametrize("before", [no_cut, cut], ids=["connected", "held"])
def test_a_stolen_token_opens_nothing_and_ends_nothing(
    estate: Estate, before: Callable[[Network], None]
) -> None:
    """Not with another user's key, nor another key of the same user, nor on another installation.

    The session from which it was stolen goes on, with a call in it.
    """
    relay, network, agent, client = behind(estate, 1)
    (token,), own = captured(network), installation_of(agent)
    started = client.start_call("demo__countdown", {"n": STEPS, "interval": 0.05}, "p")
    started[1].wait_for_progress()
    before(network)
    first_key, second_key = relay.key_texts[0], relay.key("alice", "agent")
    for key, installation_id in (
        (relay.key("mallory", "agent"), own),
        (relay.key("mallory", "agent"), OTHER_INSTALLATION),
        (second_key, OTHER_INSTALLATION),
        (first_key, OTHER_INSTALLATION[::-1]),
    ):
        said = shown_to(relay, key, installation_id, token)
        assert isinstance(said, Welcome)
        assert not said.resumed
        assert said.resume_token != token
    said = shown_to(relay, second_key, own, token)
    assert isinstance(said, Goaway)
    assert said.code is ErrorCode.REPLACED
    relay.program.wait_for("refused a resume token")
    network.is_away = False
    network.cut("close")
    counted = client.outcome(*started)
    assert not counted.is_error
    assert len(counted.progress) == STEPS - 1
    agent.program.wait_for("resumed")
    assert agent.program.is_running
    check_secret(relay, captured(network), agent.program.log)


def test_a_stale_token_begins_anew(estate: Estate) -> None:
    """Used before, of a session that has ended, or from before a restart of the relay."""
    relay = estate.relay(PATIENT).start()
    key, own = relay.key("alice", "agent"), OTHER_INSTALLATION
    tokens = [os.urandom(32).hex()]

    def shown(token: str) -> bool:
        said = shown_to(relay, key, own, token)
        assert isinstance(said, Welcome)
        tokens.append(said.resume_token)
        return said.resumed

    assert not shown(tokens[0])
    assert shown(tokens[1])
    assert shown(tokens[1]), "the WELCOME with the next one may have been lost"
    assert shown(tokens[3])
    assert not shown(tokens[1]), "a later one has been shown"
    assert not shown(tokens[4]), "its session has ended"
    assert shown(tokens[-1])
    assert len(set(tokens)) == len(tokens)
    check_secret(relay, tokens)
    relay.program.kill()
    relay.start()
    assert not shown(tokens[-1])
    assert shown(tokens[-1])
    check_secret(relay, tokens)


def test_an_agent_whose_token_is_stale_begins_anew(estate: Estate) -> None:
    """The relay has given its session up meanwhile; nobody need do anything."""
    brief = "[tunnel]\nresume_window_s = 0.2\n"
    relay, network, agent, client = behind(estate, 1, brief)
    servers, start = agent.program.children(), len(agent.program.log)
    network.is_away = True
    network.cut("close")
    relay.program.wait_for("device laptop disconnected")
    network.is_away = False
    agent.program.wait_for("the relay did not resume the session", start=start)
    agent.program.wait_for("connected to", start=start)
    assert client.call("demo__add", a=1, b=2).text == '{"sum": 3}'
    assert agent.program.children() == servers
