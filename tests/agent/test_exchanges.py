"""Who takes which exchange."""

from typing import Any, cast

import pytest

from mcptunnel.agent.control import ControlCall
from mcptunnel.agent.endpoint import HubCall, RequestRoom
from mcptunnel.agent.exchanges import accept
from mcptunnel.agent.transparent import PassedRequest
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
    exchange: Any = Opened(target, kind)
    accept(exchange, {"web": server, "pipe": MemoryServer("pipe")}, RequestRoom())
    return cast("Opened", exchange)


@pytest.mark.parametrize(
    ("target", "kind", "receiver"),
    [
        ("@agent", ExchangeKind.CONTROL, ControlCall),
        ("web", ExchangeKind.HUB, HubCall),
        ("pipe", ExchangeKind.HUB, HubCall),
        ("web", ExchangeKind.TRANSPARENT, PassedRequest),
    ],
)
def test_each_kind_has_its_own_receiver(target: str, kind: ExchangeKind, receiver: type) -> None:
    exchange = opened(target, kind)
    assert type(exchange.receiver) is receiver
    assert not exchange.resets


@pytest.mark.parametrize(
    ("target", "text"),
    [("gone", "No server is called 'gone'"), ("pipe", "has no transparent endpoint")],
)
def test_what_cannot_be_taken_is_refused_before_anything_runs(target: str, text: str) -> None:
    exchange = opened(target, ExchangeKind.TRANSPARENT)
    ((code, said),) = exchange.resets
    assert code is ErrorCode.REFUSED_STREAM
    assert text in said
