"""Who takes which exchange."""

from typing import Any, cast

import pytest
from twisted.internet.task import Clock

from mcptunnel.agent.control import ControlCall
from mcptunnel.agent.endpoint import HubCall
from mcptunnel.agent.exchanges import Exchanges
from mcptunnel.agent.transparent.passing import PassedRequest
from mcptunnel.agent.transparent.spoken import SpokenRequest
from mcptunnel.model import ExchangeKind, RequestHead
from mcptunnel.testing.local_server import MemoryServer
from mcptunnel.wire.constants import ErrorCode
from tests.agent.local_http import LocalHttp


class Opened:
    """An exchange that only remembers what became of it."""

    def __init__(self, target: str, kind: ExchangeKind) -> None:
        self.request = RequestHead(target, "POST", "", kind=kind)
        self.receiver: Any = None
        self.resets: list[tuple[ErrorCode, str]] = []

    def reset(self, code: ErrorCode, text: str) -> None:
        self.resets.append((code, text))


def opened(target: str, kind: ExchangeKind) -> Opened:
    server = MemoryServer("web")
    server.passage = LocalHttp().passage
    servers = {"web": server, "pipe": MemoryServer("pipe")}
    exchange: Any = Opened(target, kind)
    Exchanges(Clock(), servers, random=bytes).accept(exchange)
    return cast("Opened", exchange)


@pytest.mark.parametrize(
    ("target", "kind", "receiver"),
    [
        ("@agent", ExchangeKind.CONTROL, ControlCall),
        ("web", ExchangeKind.HUB, HubCall),
        ("pipe", ExchangeKind.HUB, HubCall),
        ("web", ExchangeKind.TRANSPARENT, PassedRequest),
        ("pipe", ExchangeKind.TRANSPARENT, SpokenRequest),
    ],
)
def test_each_kind_has_its_own_receiver(target: str, kind: ExchangeKind, receiver: type) -> None:
    """And a transparent one that of its server: bytes pass to HTTP, for a pipe the agent speaks."""
    exchange = opened(target, kind)
    assert type(exchange.receiver) is receiver
    assert not exchange.resets


@pytest.mark.parametrize("kind", [ExchangeKind.HUB, ExchangeKind.TRANSPARENT])
def test_what_cannot_be_taken_is_refused_before_anything_runs(kind: ExchangeKind) -> None:
    exchange = opened("gone", kind)
    ((code, said),) = exchange.resets
    assert code is ErrorCode.REFUSED_STREAM
    assert "No server is called 'gone'" in said
