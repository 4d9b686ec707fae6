"""Agents hear who may come no more."""

import pytest

from mcptunnel.model import ExchangeKind, Principal
from mcptunnel.net.exchange import Exchange
from mcptunnel.relay.revoking import tell_agents
from mcptunnel.testing.joined import Joined, MemoryAgent
from mcptunnel.testing.local_server import MemoryServer
from mcptunnel.wire.constants import ErrorCode
from tests.conftest import Log

ALICE = Principal("local", "alice")
HERS = (ALICE, "installation-0001", "key:1")


@pytest.fixture
def joined() -> Joined:
    return Joined()


@pytest.fixture
def agent(joined: Joined) -> MemoryAgent:
    return joined.agent(MemoryServer("files"))


def told(agent: MemoryAgent) -> list[Exchange]:
    return [one for one in agent.opened if one.request.kind is ExchangeKind.CONTROL]


def tell(joined: Joined, *gone: tuple[Principal, str, str]) -> None:
    tell_agents(joined.devices, gone)
    joined.settle()


def test_an_agent_hears_whose_sessions_end(joined: Joined, agent: MemoryAgent, log: Log) -> None:
    tell(joined, HERS)
    (order,) = told(agent)
    assert (order.request.path, order.request.principal) == ("/revoked", "local|alice")
    assert order.request.client == "key:1"
    assert "keeps" not in log
    assert agent.tunnel is not None
    assert agent.tunnel.session.stream_count == 0


def test_devices_that_are_not_there_hear_nothing(joined: Joined, agent: MemoryAgent) -> None:
    joined.lose(agent)
    tell(joined, HERS, (ALICE, "unknown-installation", "key:1"), (Principal("", ""), "x", ""))
    assert not told(agent)


def test_an_agent_that_does_not_obey_is_told_of(
    joined: Joined, agent: MemoryAgent, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is older knows no such order."""

    def refuse(exchange: Exchange) -> None:
        exchange.reset(ErrorCode.REFUSED_STREAM, "no such thing")

    monkeypatch.setattr(agent.exchanges, "accept", refuse)
    tell(joined, HERS)
    assert "device laptop keeps a client's sessions: no such thing" in log


def test_an_agent_that_goes_away_cannot_be_told(
    joined: Joined, agent: MemoryAgent, log: Log
) -> None:
    assert agent.tunnel is not None
    agent.tunnel.go_away(ErrorCode.SHUTDOWN, "stopping", 0.0)
    joined.settle()
    tell(joined, HERS)
    assert "cannot be told of a revocation" in log
