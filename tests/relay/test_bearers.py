"""The first bearers of names: told to the store once, the same when they are taken in again, bounded."""

from collections.abc import Collection, Sequence

import pytest

from mcptunnel.mcp.names import Row
from mcptunnel.model import Principal
from mcptunnel.relay import bearers as module
from mcptunnel.relay.bearers import BEARER, Bearers

ALICE, BOB = Principal("local", "alice"), Principal("local", "bob")


class Kept:
    """What a store would have."""

    def __init__(self) -> None:
        self.told: list[tuple[Principal, str, list[Row], list[str]]] = []
        self.bearers = Bearers(self._changed)

    def _changed(
        self, principal: Principal, kind: str, bound: Sequence[Row], gone: Collection[str]
    ) -> None:
        self.told.append((principal, kind, list(bound), list(gone)))


def test_who_comes_first_is_told_once() -> None:
    kept = Kept()
    kept.bearers.announced(ALICE, "i1", ["web", "files"])
    kept.bearers.announced(ALICE, "i1", ["web"])
    kept.bearers.announced(ALICE, "i2", ["web", "db"])
    assert [kept.bearers.first(ALICE, name) for name in ("web", "files", "db", "x")] == [
        "i1",
        "i1",
        "i2",
        None,
    ]
    assert kept.bearers.first(BOB, "web") is None
    assert kept.told == [
        (ALICE, BEARER, [("web", "i1", "web", ""), ("files", "i1", "files", "")], []),
        (ALICE, BEARER, [("db", "i2", "db", "")], []),
    ]


def test_what_a_store_has_comes_back() -> None:
    kept = Kept()
    kept.bearers.announced(ALICE, "i1", ["web"])
    kept.bearers.inherits(ALICE, "i2", "web")
    assert kept.told[-1] == (ALICE, BEARER, [("web", "i2", "web", "")], ["web"])
    later = Kept()
    later.bearers.restore(ALICE, kept.told[-1][2])
    later.bearers.announced(ALICE, "i1", ["web"])
    assert later.bearers.first(ALICE, "web") == "i2"
    assert later.told == []


def test_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BORNE_NAMES", 3)
    kept = Kept()
    kept.bearers.restore(ALICE, [(name, "i1", name, "") for name in ("a", "b")])
    kept.bearers.announced(ALICE, "i1", ["c", "d", "e"])
    kept.bearers.announced(ALICE, "i1", ["f"])
    assert [name for name in "abcdef" if kept.bearers.first(ALICE, name)] == ["a", "b", "c"]
    kept.bearers.restore(BOB, [(name, "i1", name, "") for name in "abcd"])
    assert kept.bearers.first(BOB, "d") is None
