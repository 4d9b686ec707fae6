"""What the relay knows of a server."""

import pytest

from mcptunnel.mcp.announcement import ServerStatus
from mcptunnel.mcp.features import Features
from mcptunnel.mcp.kinds import Kind
from mcptunnel.relay.remote_server import ABOUT, QUESTIONS, Known, RemoteServer


def made(era: str = "") -> RemoteServer:
    return RemoteServer(ServerStatus("s", "x", "ready", 1, era=era))


def test_a_list_holds_from_when_it_came() -> None:
    known = Known(ttl_ms=5000, fetched_s=100.0)
    assert [known.left_ms(now_s) for now_s in (100.0, 101.5, 105.0, 200.0)] == [5000, 3500, 0, 0]
    assert Known().left_ms(100.0) == 0


def test_nothing_is_known_at_first() -> None:
    server = made()
    assert server.known.keys() == {*Kind, ABOUT} == set(QUESTIONS)
    assert not any(known.fresh for known in server.known.values())
    assert (server.tools, server.note) == ((), "")


def test_tools_are_asked_for_whatever_a_server_says_it_can() -> None:
    server = made()
    assert [kind for kind in Kind if server.has(kind)] == [Kind.TOOL]
    server.features = Features(frozenset({Kind.PROMPT}))
    assert [kind for kind in Kind if server.has(kind)] == [Kind.TOOL, Kind.PROMPT]


def test_a_change_makes_all_of_it_old() -> None:
    server = made()
    for known in server.known.values():
        known.fresh = True
    server.changed()
    assert not any(known.fresh for known in server.known.values())


def test_what_is_wrong_with_the_tools_is_told_first() -> None:
    server = made()
    server.known[ABOUT].note = "mute"
    assert server.note == "mute"
    server.known[Kind.TOOL].note = "broken"
    assert server.note == "broken"


@pytest.mark.parametrize(
    ("era", "features", "is_doubtful", "may_tell"),
    [
        ("legacy", None, False, True),
        ("legacy", Features(), True, True),
        ("legacy", Features(subscribe=True), False, True),
        ("legacy", Features(frozenset({Kind.TOOL})), False, False),
        ("modern", Features(), False, False),
        ("modern", Features(subscribe=True), False, True),
    ],
)
def test_a_server_of_the_older_era_may_tell_of_resources_without_saying_so(
    era: str, features: Features | None, is_doubtful: bool, may_tell: bool
) -> None:
    """Until it refuses; what it refused counts until something about it changes."""
    server = made(era)
    server.features = features
    assert (server.is_doubtful, server.may_tell("x:a")) == (is_doubtful, may_tell)
    server.refused.add("x:a")
    assert server.may_tell("x:a") == (may_tell and not is_doubtful)
    server.changed()
    assert server.may_tell("x:a") == may_tell
