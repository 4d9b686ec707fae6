"""Names: legal, stable, and never two places."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mcptunnel.mcp.names import MIN_MAX_LENGTH, NameTable, Row, Target

LEGAL = re.compile(r"[A-Za-z0-9_-]{1,64}")
parts = st.text(st.characters(codec="utf-8"), min_size=1) | st.text("ab_.", min_size=1, max_size=3)
labels = st.sampled_from(["laptop", "Peter's Laptop", "l" * 80])
prefixes = st.none() | st.sampled_from(["", "x", "files"])


def bare(table: NameTable, tool: str, server: str = "files", device: str = "d1") -> str:
    return table.expose(device, "laptop", server, tool, with_device=False)


def test_the_usual_names() -> None:
    table = NameTable()
    assert bare(table, "read_file") == "files__read_file"
    assert table.expose("d1", "laptop", "files", "read", with_device=True) == "laptop__files__read"
    assert table.expose("d1", "laptop", "files", "read", with_device=False, prefix="f") == "f__read"
    assert table.expose("d1", "laptop", "files", "read", with_device=True, prefix="") == "read"
    for name in ("f__read", "laptop__files__read", "read"):
        assert table.resolve(name) == Target("d1", "files", "read")


def test_what_was_never_exposed_is_nowhere() -> None:
    table = NameTable()
    bare(table, "read")
    for name in ("", "read", "files__rea", "files__read ", "FILES__READ", "status"):
        assert table.resolve(name) is None


def test_foreign_characters_become_underscores() -> None:
    table = NameTable()
    assert bare(table, "file.read/all: now") == "files__file_read_all_now"
    label = table.expose("d1", "Peter's MacBook", "files", "read", with_device=True)
    assert label == "Peter_s_MacBook__files__read"


def test_a_second_device_never_takes_the_first_ones_name() -> None:
    table = NameTable()
    first = bare(table, "read", device="d1")
    second = bare(table, "read", device="d2")
    assert first == "files__read"
    assert re.fullmatch(r"files__read_[a-z2-7]{8}", second)
    assert table.resolve(first) == Target("d1", "files", "read")
    assert table.resolve(second) == Target("d2", "files", "read")
    assert (bare(table, "read", device="d2"), bare(table, "read")) == (second, first)


def test_names_that_only_sanitising_makes_equal_stay_apart() -> None:
    table = NameTable()
    names = [bare(table, tool) for tool in ("a.b", "a/b", "a_b", "a b")]
    assert names[0] == "files__a_b"
    assert len(set(names)) == 4


def test_joiners_inside_names_do_not_confuse() -> None:
    """(`a`, `b__c`) and (`a__b`, `c`) want one name."""
    table = NameTable()
    one, other = bare(table, "b__c", server="a"), bare(table, "c", server="a__b")
    assert one == "a__b__c"
    assert table.resolve(one) == Target("d1", "a", "b__c")
    assert table.resolve(other) == Target("d1", "a__b", "c")


def test_a_long_name_is_cut_in_front_and_keeps_its_tool() -> None:
    name = NameTable().expose(
        "d1",
        "peters-macbook-pro-2021",
        "sequential-thinking",
        "sequentialthinking2",
        with_device=True,
    )
    assert re.fullmatch(
        r"peters-macb\w*__sequential-thinking__sequentialthinking2_[a-z2-7]{8}", name
    )
    assert len(name) == 64


def test_a_name_of_the_exact_length_is_not_cut() -> None:
    table = NameTable(max_length=32)
    assert bare(table, "x" * 25) == "files__" + "x" * 25
    cut = bare(table, "x" * 26)
    assert len(cut) == 32
    assert cut.startswith("files__" + "x" * 16 + "_")


def test_a_cut_name_does_not_depend_on_the_device() -> None:
    """A laptop that was installed anew keeps its names; only two at once need two."""
    long = "t" * 99
    assert bare(NameTable(), long, device="d1") == bare(NameTable(), long, device="d2")
    table = NameTable()
    assert bare(table, long, device="d1") != bare(table, long, device="d2")


def test_names_are_the_same_in_every_process() -> None:
    """Clients keep permissions by name: these values must never change."""
    table = NameTable()
    assert bare(table, "t" * 99) == "files__" + "t" * 48 + "_lchbqlqn"
    bare(table, "read")
    assert bare(table, "read", device="d2") == "files__read_yx4iueyk"


def test_reserved_names_are_never_given_to_a_tool() -> None:
    table = NameTable()
    for tool in ("status", "restart"):
        name = table.expose("d1", "laptop", "files", tool, with_device=False, prefix="")
        assert re.fullmatch(tool + "_[a-z2-7]{8}", name)
        assert table.resolve(tool) is None
    old = NameTable.from_rows([("restart", "d1", "files", "restart")])
    assert old.resolve("restart") is None


def test_a_tool_that_is_called_like_our_hash_does_not_win_nor_lose() -> None:
    probe = NameTable()
    bare(probe, "read", device="d1")
    hashed = bare(probe, "read", device="d2")
    table = NameTable()
    squatter = table.expose("d3", "x", "y", hashed, with_device=False, prefix="")
    assert squatter == hashed
    bare(table, "read", device="d1")
    evaded = bare(table, "read", device="d2")
    assert evaded not in {hashed, "files__read"}
    assert table.resolve(hashed) == Target("d3", "y", hashed)
    assert table.resolve(evaded) == Target("d2", "files", "read")
    assert bare(table, "read", device="d2") == evaded


def test_the_order_decides_only_who_gets_a_contested_name() -> None:
    tools = [("d1", "a.b"), ("d2", "a_b"), ("d1", "a/b"), ("d2", "other")]
    seen: dict[tuple[str, str], set[str]] = {}
    for order in itertools.permutations(tools):
        table = NameTable()
        for device, tool in order:
            seen.setdefault((device, tool), set()).add(bare(table, tool, device=device))
    assert seen.pop(("d2", "other")) == {"files__other"}
    for names in seen.values():
        assert len(names) == 2
        assert "files__a_b" in names


def test_rows_that_contradict_are_refused() -> None:
    rows = [("a", "d1", "s", "t"), ("a", "d2", "s", "t")]
    with pytest.raises(ValueError, match="two places"):
        NameTable.from_rows(rows)


def test_a_length_without_room_for_the_hash_is_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        NameTable(max_length=MIN_MAX_LENGTH - 1)


@given(parts, parts, parts, st.booleans(), prefixes, st.integers(MIN_MAX_LENGTH, 128))
def test_any_place_gets_a_legal_name(
    label: str, server: str, tool: str, with_device: bool, prefix: str | None, max_length: int
) -> None:
    table = NameTable(max_length=max_length)
    name = table.expose("d1", label, server, tool, with_device=with_device, prefix=prefix)
    assert re.fullmatch(rf"[A-Za-z0-9_-]{{1,{max_length}}}", name)
    assert table.resolve(name) == Target("d1", server, tool)


class Names(RuleBasedStateMachine):
    """Whatever is exposed, restored and exposed again, a name means what it meant first."""

    def __init__(self) -> None:
        super().__init__()
        self.table = NameTable()
        self.rows: list[Row] = []
        self.meanings: dict[str, Target] = {}
        self.names: dict[tuple[object, ...], str] = {}

    @rule(
        device_key=st.sampled_from(["d1", "d2", "d3"]),
        device_label=labels,
        server=st.sampled_from(["a", "a__a", "a.a", "s" * 70]),
        item=st.sampled_from(
            ["a", "a__a", "a.a", "a_a", "status", "t" * 70, "t" * 71, "\u65e5", "\u672c"]
        ),
        with_device=st.booleans(),
        prefix=prefixes,
    )
    def expose(self, **wanted: str) -> None:
        name = self.table.expose(**wanted)  # type: ignore[arg-type]  # the rule gives the right ones
        target = Target(wanted["device_key"], wanted["server"], wanted["item"])
        assert self.meanings.setdefault(name, target) == target
        assert self.names.setdefault(tuple(wanted.values()), name) == name

    @rule()
    def restore(self) -> None:
        self.rows += self.table.take_bound()
        self.table = NameTable.from_rows(self.rows)
        assert len(self.table) == len(self.rows)
        assert self.table.take_bound() == []

    @rule(
        name=st.sampled_from(["a", "a__a", "a__a__a", "files__a"]),
        device=st.sampled_from(["d4", "d5"]),
    )
    def expose_a_name_as_it_stands(self, name: str, device: str) -> None:
        """A server may call its tools like names of ours."""
        self.meanings.setdefault(
            self.table.expose(device, "x", "y", name, with_device=False, prefix=""),
            Target(device, "y", name),
        )

    @invariant()
    def every_name_means_what_it_meant(self) -> None:
        for name, target in self.meanings.items():
            assert LEGAL.fullmatch(name)
            assert self.table.resolve(name) == target
        assert len(self.table) == len(self.meanings)
        assert not self.meanings.keys() & {"status", "restart"}


Names.TestCase.settings = settings(max_examples=40, stateful_step_count=30)
TestNames = Names.TestCase


def test_forgetting_takes_places_that_are_gone_first_and_nothing_that_is_listed() -> None:
    table = NameTable()
    names = [bare(table, f"t{n}", device="there" if n % 2 else "gone") for n in range(6)]

    def forget(count: int) -> list[str]:
        table.forget(count, listed={names[0]}, is_there=lambda target: target.device_key == "there")
        return [name for name in names if table.resolve(name) is not None]

    assert forget(0) == names
    assert forget(1) == [names[0], *names[1:2], *names[3:]]
    assert forget(2) == [names[0], names[3], names[5]]
    assert forget(99) == [names[0]]
    assert len(table) == 1


def test_a_forgotten_name_can_be_given_again() -> None:
    table = NameTable()
    bare(table, "read", device="d1")
    table.forget(1, listed=(), is_there=lambda _: False)
    assert bare(table, "read", device="d2") == "files__read"


def test_the_names_of_a_forgotten_device_are_free() -> None:
    """Those of others stay; what was bound and not stored yet is not stored any more."""
    table = NameTable()
    kept = bare(table, "write", device="d2")
    bare(table, "read", device="d1")
    table.forget_device("d1")
    assert [row[0] for row in table.take_bound()] == [kept]
    assert bare(table, "read", device="d2") == "files__read"
