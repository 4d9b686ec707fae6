"""URIs: as they are where that is possible, always one meaning, and found back from every form."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mcptunnel.mcp import uris as module
from mcptunnel.mcp.names import Row, Target
from mcptunnel.mcp.uris import UriTable

SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")
"""RFC 3986, section 3.1."""


def test_a_uri_stays_what_it_is_until_two_servers_list_it() -> None:
    table = UriTable()
    assert table.expose("d1", "files", "file:///a") == "file:///a"
    assert table.expose("d1", "files", "file:///a") == "file:///a"
    second = table.expose("d2", "my_files", "file:///a")
    assert second is not None
    assert re.fullmatch(r"mcptunnel\+my-files:[a-z2-7]{8}/file:///a", second)
    assert SCHEME.match(second)
    assert table.resolve("file:///a") == Target("d1", "files", "file:///a")
    assert table.resolve(second) == Target("d2", "my_files", "file:///a")


def test_a_uri_too_long_to_be_remembered_finds_back_by_itself() -> None:
    table = UriTable()
    uri = "file:///" + "a" * 3000
    told = table.mention("d1", "files", uri)
    assert told != uri
    assert table.resolve(told) == Target("d1", "files", uri)
    assert not table._seen
    assert table.mention("d1", "files", f"https://{uri}") == f"https://{uri}"


def test_wrapped_forms_are_the_same_in_every_process() -> None:
    """Clients keep them: these values must never change."""
    table = UriTable()
    table.expose("d1", "files", "file:///a")
    assert table.expose("d2", "files", "file:///a") == "mcptunnel+files:6bbfckqb/file:///a"


def test_a_wrapped_template_makes_uris_that_find_back() -> None:
    table = UriTable()
    table.expose("d1", "files", "file:///{+path}")
    template = table.expose("d2", "files", "file:///{+path}")
    assert template is not None
    made = template.replace("{+path}", "home/x?y#z")
    assert table.resolve(made) == Target("d2", "files", "file:///home/x?y#z")


def test_pages_of_apps_stay_in_their_scheme() -> None:
    table = UriTable()
    table.expose("d1", "charts", "ui://charts/main.html")
    second = table.expose("d2", "charts", "ui://charts/main.html")
    assert second is not None
    assert second.startswith("ui://mcptunnel-charts-")
    assert second.endswith("/charts/main.html")
    assert table.resolve(second) == Target("d2", "charts", "ui://charts/main.html")


def test_what_the_whole_world_means_is_never_wrapped() -> None:
    table = UriTable()
    assert table.expose("d1", "a", "https://x.test/") == "https://x.test/"
    assert table.expose("d1", "b", "https://x.test/") is None
    assert table.mention("d1", "b", "https://x.test/") == "https://x.test/"
    assert table.resolve("https://x.test/") == Target("d1", "a", "https://x.test/")


def test_a_link_belongs_to_the_server_that_mentioned_it() -> None:
    table = UriTable()
    assert table.mention("d1", "a", "x:1") == "x:1"
    other = table.mention("d1", "b", "x:1")
    assert other != "x:1"
    assert table.resolve("x:1") == Target("d1", "a", "x:1")
    assert table.resolve(other) == Target("d1", "b", "x:1")


def test_what_was_mentioned_first_stays_what_it_was_when_another_lists_it() -> None:
    """The list has it by a name of its own, which finds the server that lists it."""
    table = UriTable()
    assert table.mention("d1", "a", "x:1") == "x:1"
    listed = table.expose("d1", "b", "x:1")
    assert listed is not None
    assert listed != "x:1"
    assert table.resolve(listed) == Target("d1", "b", "x:1")
    assert table.resolve("x:1") == Target("d1", "a", "x:1")
    again = UriTable.from_rows(table.take_bound())
    assert again.resolve("x:1") == Target("d1", "a", "x:1")


def test_links_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SEEN", 3)
    table = UriTable()
    for number in range(5):
        table.mention("d1", "a", "x:kept")
        table.mention("d1", "a", f"x:{number}")
    assert table.resolve("x:0") is None
    assert table.resolve("x:kept") is not None
    assert table.resolve("x:4") is not None


@pytest.mark.parametrize("uri", ["mcptunnel+b:zzzzzzzz/x:1", "ui://mcptunnel-b-zzzzzzzz/x"])
def test_a_server_cannot_list_what_looks_like_anothers(uri: str) -> None:
    table = UriTable()
    for name in (table.expose("d1", "a", uri), table.mention("d1", "a", uri)):
        assert name is not None
        assert name != uri
        assert table.resolve(name) == Target("d1", "a", uri)
    assert table.resolve(uri) is None


@pytest.mark.parametrize("uri", ["", "x:", "mcptunnel+", "ui://mcptunnel-", "mcptunnel+a:b"])
def test_what_was_never_seen_is_nowhere(uri: str) -> None:
    assert UriTable().resolve(uri) is None


def test_only_what_is_contested_is_stored() -> None:
    table = UriTable()
    table.expose("d1", "a", "x:1")
    table.expose("d1", "a", "x:2")
    assert table.take_bound() == []
    wrapped = table.expose("d2", "b", "x:1")
    table.expose("d2", "b", "x:2")
    rows = table.take_bound()
    assert [row[1:] for row in rows] == [
        ("d1", "a", "x:1"),
        ("d2", "b", ""),
        ("d1", "a", "x:2"),
    ]
    later = UriTable.from_rows(rows)
    assert later.expose("d2", "b", "x:1") == wrapped
    assert later.resolve("x:1") == Target("d1", "a", "x:1")


def test_forgetting_takes_places_that_are_gone_first_and_nothing_that_is_listed() -> None:
    table = UriTable()
    for number in range(4):
        table.expose("there" if number % 2 else "gone", "a", f"x:{number}")
    forgotten = table.forget(2, listed={"x:0"}, is_there=lambda at: at.device_key == "there")
    assert forgotten == ["x:2", "x:1"]
    assert len(table) == 2
    assert table.expose("d9", "b", "x:2") == "x:2"


def test_the_uris_of_a_forgotten_device_are_free() -> None:
    table = UriTable()
    table.expose("d1", "a", "x:1")
    table.expose("d2", "a", "x:2")
    table.forget_device("d1")
    assert table.resolve("x:1") is None
    assert table.expose("d2", "a", "x:1") == "x:1"
    assert table.resolve("x:2") is not None


class Uris(RuleBasedStateMachine):
    """Whatever is listed, mentioned and restored, a URI means what it meant first."""

    def __init__(self) -> None:
        super().__init__()
        self.table = UriTable()
        self.rows: list[Row] = []
        self.meanings: dict[str, Target] = {}

    @rule(
        device_key=st.sampled_from(["d1", "d2"]),
        server=st.sampled_from(["a", "A", "a_", "b"]),
        uri=st.sampled_from(["x:1", "x:{1}", "ui://a/b", "mcptunnel+a:aaaaaaaa/x:1", "é"]),
        listed=st.booleans(),
    )
    def show(self, device_key: str, server: str, uri: str, listed: bool) -> None:
        name = (self.table.expose if listed else self.table.mention)(device_key, server, uri)
        assert name is not None
        target = Target(device_key, server, uri)
        assert self.meanings.setdefault(name, target) == target

    @rule()
    def restore(self) -> None:
        """What nobody contested is not stored, and may be another's then."""
        self.rows += self.table.take_bound()
        self.table = UriTable.from_rows(self.rows)
        stored = {row[0] for row in self.rows}
        self.meanings = {
            name: target
            for name, target in self.meanings.items()
            if name in stored or name != target.item
        }

    @invariant()
    def every_uri_means_what_it_meant(self) -> None:
        for name, target in self.meanings.items():
            assert self.table.resolve(name) == target


Uris.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestUris = Uris.TestCase


@given(st.text(max_size=20), st.sampled_from(["files", "A_b-C", "x" * 64]))
def test_any_uri_is_found_back_when_it_is_wrapped(uri: str, server: str) -> None:
    table = UriTable()
    table.expose("d1", "first", uri)
    name = table.expose("d2", server, uri)
    if name is not None:
        assert table.resolve(name) == Target("d2", server, uri)
