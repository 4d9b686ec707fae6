"""The tables of names: each of its own, kept by a store, and not without end."""

from collections.abc import Collection, Sequence

import pytest

from mcptunnel.mcp.kinds import Kind
from mcptunnel.mcp.names import Row
from mcptunnel.model import Principal
from mcptunnel.relay.hub import tables as module
from mcptunnel.relay.hub.tables import Tables

ALICE, BOB = Principal("local", "alice"), Principal("local", "bob")


class Bench:
    def __init__(self) -> None:
        self.told: list[tuple[Principal, str, list[Row], list[str]]] = []
        self.tables = Tables(self._changed)

    def _changed(
        self, principal: Principal, kind: str, bound: Sequence[Row], forgotten: Collection[str]
    ) -> None:
        self.told.append((principal, kind, list(bound), list(forgotten)))

    def expose(self, kind: Kind, item: str) -> str:
        names = self.tables.of(ALICE).names(kind)
        return names.expose("d", "laptop", "s", item, with_device=False)


def test_what_was_bound_is_told_once_by_table() -> None:
    bench = Bench()
    bench.expose(Kind.TOOL, "a")
    bench.expose(Kind.PROMPT, "a")
    bench.tables.tell(ALICE)
    bench.tables.tell(ALICE)
    bench.tables.tell(BOB)
    row = ("s__a", "d", "s", "a")
    assert bench.told == [(ALICE, "tool", [row], []), (ALICE, "prompt", [row], [])]


def test_what_is_restored_means_what_it_meant() -> None:
    bench = Bench()
    bench.tables.restore(ALICE, "tool", [("x", "d", "s", "a")])
    bench.tables.restore(ALICE, "prompt", [("status", "d", "s", "b")])
    bench.tables.restore(ALICE, "uri", [("x:1", "d", "s", "x:1")])
    tables = bench.tables.of(ALICE)
    found = [
        tables.tools.resolve("x"),
        tables.prompts.resolve("status"),
        tables.uris.resolve("x:1"),
    ]
    assert [target and target.item for target in found] == ["a", "b", "x:1"]
    assert bench.tables.of(BOB).tools.resolve("x") is None


def test_old_names_make_room_but_none_that_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resources and templates share a table: what either lists stays."""
    monkeypatch.setattr(module, "MAX_NAMES", 5)
    bench = Bench()
    uris = bench.tables.of(ALICE).uris
    for number in range(6):
        uris.expose("d", "s", f"x:{number}")
    bench.tables.listed = {
        Kind.TOOL: lambda _: {"x:2"},
        Kind.RESOURCE: lambda _: {"x:0"},
        Kind.TEMPLATE: lambda _: {"x:1"},
    }
    bench.tables.make_room(ALICE, Kind.RESOURCE, 1, lambda _: True)
    bench.tables.tell(ALICE)
    assert bench.told == [(ALICE, "uri", [], ["x:2", "x:3"])]
    assert uris.resolve("x:0") is not None


def test_the_names_of_a_device_are_forgotten_in_all_tables() -> None:
    """The store forgets them by itself."""
    bench = Bench()
    for table_kind in ("tool", "prompt", "uri"):
        rows = [("x:1", "d", "s", "x:1"), ("x:2", "other", "s", "x:2")]
        bench.tables.restore(ALICE, table_kind, rows)
    bench.tables.forget_device(ALICE, "d")
    bench.tables.tell(ALICE)
    tables = bench.tables.of(ALICE)
    for name, is_there in (("x:1", False), ("x:2", True)):
        found = [table.resolve(name) for table in (tables.tools, tables.prompts, tables.uris)]
        assert [at is not None for at in found] == [is_there] * 3
    assert bench.told == []
