"""Sessions of legacy clients: each its own client's, bounded, ended when idle."""

from dataclasses import replace

from msgspec import Raw

from mcptunnel.mcp.client_half.session import McpSession
from mcptunnel.mcp.client_half.session_table import IDLE_S, MAX_PER_USER, McpSessions
from mcptunnel.mcp.service import Asker


def access(user: str = "alice", key: str = "k1") -> Asker:
    return Asker(f"local|{user}", f"key:{key}")


def session(session_id: str, user: str = "alice", key: str = "k1") -> McpSession:
    return McpSession(session_id, access(user, key), "2025-11-25", Raw(b"{}"))


def sessions(most: int = 10) -> McpSessions:
    return McpSessions(lambda count: bytes(range(count)), most)


def test_a_session_is_its_own_clients_only() -> None:
    """To another user, and to another key of the same user, it does not exist."""
    held = sessions()
    held.add(session("s1"), 0.0)
    assert held.get("s1", access(), 1.0) == session("s1")
    assert held.get("s1", access("bob"), 1.0) is None
    assert held.get("s1", access("alice", "k2"), 1.0) is None
    assert held.get("s2", access(), 1.0) is None


def test_ids_cannot_be_guessed() -> None:
    held = sessions()
    assert len(held.new_id()) >= 43


def test_an_idle_session_ends() -> None:
    held = sessions()
    held.add(session("s1"), 0.0)
    held.add(session("s2"), 0.0)
    assert held.get("s1", access(), IDLE_S) is not None
    assert held.get("s2", access(), IDLE_S + 1) is None
    assert held.get("s1", access(), IDLE_S + 1) is not None
    held.add(session("s3"), 3 * IDLE_S)
    assert len(held) == 1


def test_the_ones_idle_longest_give_way() -> None:
    held = sessions(2)
    held.add(session("s1"), 0.0)
    held.add(session("s2"), 1.0)
    held.get("s1", access(), 2.0)
    held.add(session("s3"), 3.0)
    assert len(held) == 2
    assert held.get("s2", access(), 4.0) is None
    assert held.get("s1", access(), 4.0) is not None


def test_a_user_with_many_sessions_drives_out_only_their_own() -> None:
    held = sessions(3)
    held.add(session("b", "bob"), 0.0)
    for number in range(10):
        held.add(session(f"a{number}"), 1.0 + number)
    assert len(held) == 3
    assert held.get("b", access("bob"), 20.0) is not None
    held.add(session("c", "carol"), 21.0)
    assert held.get("c", access("carol"), 22.0) is not None
    assert len(held) == 3


def test_whoever_keeps_more_is_told_of_the_end_once() -> None:
    held, told = sessions(), list[str]()
    held.when_ended = told.append
    held.add(session("s1"), 0.0)
    held.end("s1")
    held.end("s1")
    assert told == ["s1"]
    assert len(held) == 0


def test_a_session_can_change() -> None:
    """But one that has ended stays so."""
    held = sessions()
    held.add(session("s1"), 0.0)
    changed = replace(session("s1"), log_level="info", subscriptions=("file:///x",))
    held.change(changed)
    assert held.get("s1", access(), 1.0) == changed
    held.end("s1")
    held.change(changed)
    assert held.get("s1", access(), 1.0) is None


def test_a_user_may_have_so_many_and_no_more() -> None:
    held = sessions(10 * MAX_PER_USER)
    held.add(session("b", "bob"), 0.0)
    for number in range(MAX_PER_USER + 5):
        held.add(session(f"a{number}"), 1.0)
    assert len(held) == MAX_PER_USER + 1
    assert held.get("a4", access(), 2.0) is None
    assert held.get("a5", access(), 2.0) is not None
    assert held.get("b", access("bob"), 2.0) is not None
    held.add(session("last"), 3.0)
    assert held.get("a5", access(), 4.0) is not None
    assert held.get("a6", access(), 4.0) is None


def test_the_only_session_there_is_room_for_gives_way_to_the_next() -> None:
    held = sessions(1)
    for number in range(3):
        held.add(session(f"a{number}"), 0.0)
        assert held.get(f"a{number}", access(), 0.0) is not None
    assert len(held) == 1


def test_of_a_session_that_gives_way_its_keeper_is_told() -> None:
    held, told = sessions(1), list[str]()
    held.when_ended = told.append
    held.add(session("s1"), 0.0)
    held.add(session("s2"), 1.0)
    assert told == ["s1"]
    assert held.get("s2", access(), IDLE_S + 2) is None
    assert told == ["s1", "s2"]


def test_nothing_is_kept_of_users_whose_sessions_ended() -> None:
    held = sessions()
    held.add(session("s1"), 0.0)
    held.end("s1")
    assert not held._own
