"""Announcements come from agents, which may be hostile: whatever the bytes, bounded servers or no."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.mcp.announcement import ServerStatus
from mcptunnel.net.errors import SHOWN_CHARS
from mcptunnel.relay.announcement import MAX_SERVERS, MAX_WORD_CHARS, BadAnnouncement, read


def body(*servers: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"servers": list(servers)})


def server(name: str = "files", **members: Any) -> dict[str, Any]:
    return {"name": name, "kind": "stdio", "state": "ready", "revision": 1, **members}


def test_servers_are_read_by_name() -> None:
    found = read(body(server("a", prefix="x"), server("b", detail="fine", newer="field")))
    assert found == {
        "a": ServerStatus("a", "stdio", "ready", 1, "x"),
        "b": ServerStatus("b", "stdio", "ready", 1, detail="fine"),
    }
    assert read(body()) == {}


@pytest.mark.parametrize("name", ["", "a__b", "a b", "ä", "a" * 65, "@relay", "a\n"])
def test_unusable_names_are_refused(name: str) -> None:
    with pytest.raises(BadAnnouncement, match="name"):
        read(body(server(name)))


def test_a_name_stands_once() -> None:
    with pytest.raises(BadAnnouncement, match="name"):
        read(body(server("a"), server("a")))


def test_a_prefix_may_be_empty_but_not_odd() -> None:
    assert read(body(server(prefix="")))["files"].prefix == ""
    with pytest.raises(BadAnnouncement, match="prefix"):
        read(body(server(prefix="a b")))


def test_there_is_a_most() -> None:
    names = [f"s{number}" for number in range(MAX_SERVERS + 1)]
    assert len(read(body(*map(server, names[1:])))) == MAX_SERVERS
    with pytest.raises(BadAnnouncement, match="more than"):
        read(body(*map(server, names)))


def test_texts_are_cut() -> None:
    long = "x" * 10_000
    found = read(body(server(detail=long, version=long, kind=long, state=long, era=long)))["files"]
    assert found.detail == "x" * SHOWN_CHARS + "…"
    words = (found.version, found.kind, found.state, found.era)
    assert set(words) == {"x" * MAX_WORD_CHARS + "…"}


def test_texts_have_no_control_characters() -> None:
    odd = "a\x1b[2J\rb\u202e"
    found = read(body(server(detail=odd, version=odd, kind=odd, state=odd, era=odd)))["files"]
    words = (found.detail, found.version, found.kind, found.state, found.era)
    assert set(words) == {"a [2J b"}


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"[]",
        b"{}",
        b'{"servers":[1]}',
        b"\xff",
        b'{"servers":[{"name":"a"}]}',
        b'{"servers":{}}',
    ],
)
def test_what_is_no_announcement_is_refused(broken: bytes) -> None:
    with pytest.raises(BadAnnouncement):
        read(broken)


@given(st.binary() | st.recursive(st.none(), st.lists).map(msgspec.json.encode))
def test_whatever_the_bytes_nothing_else_is_raised(junk: bytes) -> None:
    try:
        found = read(junk)
    except BadAnnouncement:
        return
    assert isinstance(found, dict)
