"""Exchanges whose way is not known yet: held, and then complete for whoever takes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.agent.servers.interfaces import Passage, PassageFound
from mcptunnel.agent.transparent.undecided import MAX_LOOKED_BYTES
from mcptunnel.mcp.versions import Era
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.settings import Settings
from tests.agent.local_http import LocalHttp
from tests.agent.transparent.stage import JSON_FIELDS, HttpTold, Server, Stage

LEGACY_ONLY = frozenset({Era.LEGACY})


class SlowServer(Server):
    """A server that says later which clients it serves."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[tuple[Era, PassageFound]] = []

    def find_passage(self, era: Era, found: PassageFound) -> None:
        self.waiting.append((era, found))


class World(Stage):
    """The server says that it serves legacy clients when the test calls `say`."""

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(*(() if settings is None else (settings,)))
        self.slow = SlowServer()
        self.exchanges._servers = {"files": self.slow}
        self.local = LocalHttp()

    def say(self, passage: bool = True) -> None:
        ((_era, found),) = self.slow.waiting
        self.slow.waiting.clear()
        found(Passage(self.local, (), LEGACY_ONLY) if passage else None)
        self.relay.settle()

    def posted(self, *parts: bytes, end: bool = True) -> HttpTold:
        length = str(sum(map(len, parts)))
        told = self.begin("POST", (*JSON_FIELDS, ("content-length", length)))
        assert told.exchange is not None
        for part in parts:
            told.exchange.write(part)
            self.relay.settle()
        if end:
            told.exchange.end()
            self.relay.settle()
        return told


@given(st.lists(st.sampled_from([b"one", b"two", b"three"]), max_size=4), st.booleans())
def test_what_came_before_the_decision_is_not_lost(parts: list[bytes], early: bool) -> None:
    """Nor what comes after it."""
    world = World()
    told = world.posted(*parts, end=early)
    assert not world.local.asked
    world.say()
    if not early:
        assert told.exchange is not None
        told.exchange.end()
        world.relay.settle()
    assert world.local.last.body == b"".join(parts)


def test_a_request_that_is_given_up_is_not_made() -> None:
    world = World()
    told = world.posted(b"{}")
    assert told.exchange is not None
    told.exchange.reset(ErrorCode.CANCEL, "gone")
    world.relay.settle()
    world.say()
    assert not world.local.asked


def test_without_a_passage_the_agent_speaks() -> None:
    world = World()
    told = world.posted(b"nonsense")
    world.say(passage=False)
    assert (told.status, told.json["error"]["code"]) == (400, -32700)


def test_a_claim_in_the_body_is_answered_by_the_agent() -> None:
    """A legacy server would not know what is wrong with it."""
    world = World()
    claim = b'{"jsonrpc":"2.0","id":2,"method":"x","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}'
    told = world.posted(claim[:50], claim[50:])
    world.say()
    assert (told.status, told.json["error"]["code"]) == (400, -32020)
    assert not world.local.asked


@pytest.mark.parametrize("window_bytes", [32 * 1024, 256 * 1024])
def test_a_large_body_is_not_looked_into(window_bytes: int) -> None:
    """It passes as soon as that is clear, whatever the window."""
    settings = Settings(resume_window_s=0, closed_link_window_s=0, window_bytes=window_bytes)
    world = World(settings)
    body = b'{"a":"' + bytes(40 * 1024)
    told = world.posted(body, end=False)
    assert not world.local.asked
    world.say()
    assert told.exchange is not None
    told.exchange.end()
    world.relay.settle()
    assert len(body) > MAX_LOOKED_BYTES
    assert world.local.last.body == body
