"""Asking a server for all of its tools."""

import pytest
from twisted.internet.task import Clock

from mcptunnel.agent.servers.tool_listing import LISTING_S, Annotated, ToolListing
from mcptunnel.net.timers import ReactorTimers
from mcptunnel.testing.local_server import MemoryServer


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.server = MemoryServer("files", {"one": None, "two": None, "three": None}, page_size=1)
        self.told: list[Annotated | None] = []
        self.listing = ToolListing(self.server, ReactorTimers(self.clock), self.told.append)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def page(name: str, cursor: str | None = None) -> dict[str, object]:
    """Return a page with one tool that annotates its argument `a`."""
    schema = {"properties": {"a": {"type": "string", "x-mcp-header": name}}}
    more = {} if cursor is None else {"nextCursor": cursor}
    return {"tools": [{"name": name, "inputSchema": schema}], **more}


def test_all_pages_are_asked_for(bench: Bench) -> None:
    bench.listing.begin()
    assert bench.told == [{}]
    assert len(bench.server.requests) == 3
    assert not bench.clock.getDelayedCalls()


def test_what_any_page_annotates_is_told(bench: Bench) -> None:
    bench.server.holds_lists = True
    bench.listing.begin()
    for name, cursor in (("one", "2"), ("two", None)):
        bench.server.calls.pop().answer(page(name, cursor))
    (annotated,) = bench.told
    assert annotated is not None
    assert {name: found[0].header for name, found in annotated.items()} == {
        "one": "mcp-param-one",
        "two": "mcp-param-two",
    }


@pytest.mark.parametrize("how", ["late", "stopped", "failed", "refused"])
def test_one_that_is_not_listed_is_told_once(bench: Bench, how: str) -> None:
    bench.server.holds_lists = True
    bench.listing.begin()
    (call,) = bench.server.calls
    if how == "late":
        bench.clock.advance(LISTING_S)
    elif how == "stopped":
        bench.listing.stop()
    elif how == "failed":
        call.fail("It ended.")
    else:
        call.error(-32601, "Method not found")
    assert bench.told == [None]
    assert (call.cancelled is not None) == (how in ("late", "stopped"))
    bench.listing.stop()
    assert bench.told == [None]
    assert not bench.clock.getDelayedCalls()
