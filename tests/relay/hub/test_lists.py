"""Lists: pages that end, cursors that nobody else can use, and how long they hold."""

from typing import Any

import pytest

from mcptunnel.mcp.jsonrpc import INVALID_PARAMS
from mcptunnel.mcp.kinds import Kind
from mcptunnel.relay.hub import lists
from mcptunnel.relay.hub.seals import CURSOR_S
from mcptunnel.testing.joined import Joined
from mcptunnel.testing.local_server import MemoryServer
from tests.relay.hub.servers import with_prompts, with_resources


def many(count: int = 8) -> Joined:
    joined = Joined()
    joined.agent(MemoryServer("a", dict.fromkeys(f"t{n}" for n in range(count))))
    return joined


def pages(joined: Joined, method: str = "tools/list") -> list[dict[str, Any]]:
    """Return all pages, from the first to the last."""
    client = joined.client()
    found = [client.request(method).value]
    while "nextCursor" in found[-1]:
        found.append(client.request(method, {"cursor": found[-1]["nextCursor"]}).value)
    return found


def names(page: dict[str, Any]) -> list[str]:
    return [tool["name"] for tool in page["tools"]]


def test_pages_hold_everything_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lists.PAGE_ITEMS, Kind.TOOL, 4)
    found = pages(many())
    assert [len(names(page)) for page in found] == [4, 4, 2]
    every = [name for page in found for name in names(page)]
    assert every == ["restart", "status", *(f"a__t{n}" for n in range(8))]
    assert {page["cacheScope"] for page in found} == {"private"}


def test_a_page_has_a_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "PAGE_BYTES", 200)
    found = pages(many())
    assert len(found) > 3
    assert sum(len(names(page)) for page in found) == 10


def test_a_list_that_fits_has_one_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lists.PAGE_ITEMS, Kind.TOOL, 10)
    assert len(pages(many())) == 1
    assert pages(Joined(), "prompts/list") == [
        {
            "prompts": [],
            "resultType": "complete",
            "ttlMs": 0,
            "cacheScope": "private",
            "_meta": {
                "io.modelcontextprotocol/serverInfo": Joined()
                .client()
                .request("tools/list")
                .value["_meta"]["io.modelcontextprotocol/serverInfo"]
            },
        }
    ]


@pytest.mark.parametrize("cursor", ["", "2", "x" * 60, 5, True, {}])
def test_a_cursor_that_is_not_ours(cursor: Any) -> None:
    failure = many().client().request("tools/list", {"cursor": cursor}).failure
    assert failure is not None
    assert failure.code == INVALID_PARAMS


def test_a_cursor_is_good_for_its_client_and_its_list_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(lists.PAGE_ITEMS, Kind.TOOL, 4)
    joined = many()
    cursor = joined.client().request("tools/list").value["nextCursor"]
    asked = [
        joined.client("bob").request("tools/list", {"cursor": cursor}),
        joined.client("alice", "other").request("tools/list", {"cursor": cursor}),
        joined.client().request("prompts/list", {"cursor": cursor}),
    ]
    assert len(names(joined.client().request("tools/list", {"cursor": cursor}).value)) == 4
    joined.clock.rightNow += CURSOR_S
    asked.append(joined.client().request("tools/list", {"cursor": cursor}))
    assert [one.failure.code for one in asked if one.failure] == [INVALID_PARAMS] * 4


def test_a_cursor_beyond_a_list_that_shrank_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lists.PAGE_ITEMS, Kind.TOOL, 4)
    joined = many()
    client = joined.client()
    second = client.request("tools/list").value["nextCursor"]
    third = client.request("tools/list", {"cursor": second}).value["nextCursor"]
    joined.devices.everyone()[0].servers.clear()
    last = client.request("tools/list", {"cursor": third}).value
    assert (last["tools"], "nextCursor" in last) == ([], False)


def test_a_list_holds_as_long_as_the_one_that_holds_the_shortest() -> None:
    joined = Joined()
    one, other = with_prompts("a"), with_prompts("b")
    one.offer_list("prompts/list", "prompts", ttlMs=60_000)
    other.offer_list("prompts/list", "prompts", ttlMs=30_000)
    joined.agent(one, other, with_resources("c"))
    assert joined.client().request("prompts/list").value["ttlMs"] == 30_000
    joined.clock.advance(10)
    assert joined.client().request("prompts/list").value["ttlMs"] == 20_000
    assert joined.client().request("resources/list").value["ttlMs"] == 0
    joined.agent(with_prompts("d"), name="tower")
    assert joined.client().request("prompts/list").value["ttlMs"] == 0
