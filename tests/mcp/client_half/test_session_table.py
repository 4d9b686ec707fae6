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


def test_the_same_client_with_another_credential_goes_on_with_its_session() -> None:
    """From then on it is that one's, also in the store: who ends the older one does not end the session."""
    keeper = Keeper()
    held = McpSessions(lambda count: bytes(range(count)), 10, keeper, lambda *_: True)
    held.add(session("s1"), 0.0)
    assert held.get("s1", access("bob"), 1.0) is None
    assert held.get("s1", access("alice", "k2"), 1.0) == session("s1", key="k2")
    (kept,) = keeper.kept.values()
    assert kept[0].asker == access("alice", "k2")
    held.end_those(lambda asker: asker == access())
    assert held.get("s1", access("alice", "k2"), 1.0) is not None
    held.end_those(lambda asker: asker == access("alice", "k2"))
    assert held.get("s1", access("alice", "k2"), 1.0) is None


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


class Keeper:
    """Notes what a store would keep (`sessions.Keeper`)."""

    def __init__(self) -> None:
        self.kept: dict[bytes, tuple[McpSession, float]] = {}
        self.notes = 0

    def keep(self, id_hash: bytes, session: McpSession, used_s: float) -> None:
        self.kept[id_hash] = (session, used_s)
        self.notes += 1

    def drop(self, id_hash: bytes) -> None:
        del self.kept[id_hash]

    def restored(self) -> McpSessions:
        """Return sessions after a new start: nobody knows their ids."""
        held = sessions()
        rows = sorted(self.kept.items(), key=lambda row: row[1][1])
        held.restore((key, replace(one, id=""), used_s) for key, (one, used_s) in rows)
        return held


def kept_sessions(most: int = 10) -> tuple[McpSessions, Keeper]:
    keeper = Keeper()
    return McpSessions(lambda count: bytes(range(count)), most, keeper), keeper


def test_a_session_goes_on_after_a_new_start() -> None:
    """As it was last, for its own client alone, and known by no more than the hash of its id."""
    held, keeper = kept_sessions()
    held.add(session("s1"), 1.0)
    held.add(session("s2"), 2.0)
    held.change(replace(session("s1"), subscriptions=("file:///x",)))
    held.end("s2")
    assert b"s1" not in b"".join(keeper.kept)
    held = keeper.restored()
    assert held.get("s1", access("bob"), 3.0) is None
    assert held.get("s2", access(), 3.0) is None
    for _ in range(2):
        assert held.get("s1", access(), 3.0) == replace(session("s1"), subscriptions=("file:///x",))
    assert held.get(next(iter(keeper.kept)).hex(), access(), 3.0) is None


def test_use_is_told_to_the_store_now_and_then() -> None:
    held, keeper = kept_sessions()
    held.add(session("s1"), 0.0)
    for now_s in range(0, 7200, 10):
        held.get("s1", access(), float(now_s))
    assert keeper.notes == 2
    ((_, used_s),) = keeper.kept.values()
    assert used_s == 3600.0


def test_restored_sessions_are_bounded_and_expire() -> None:
    held, keeper = kept_sessions()
    for number in range(10):
        held.add(session(f"s{number}"), float(number))
    few = McpSessions(lambda count: bytes(range(count)), 3)
    few.restore((key, replace(one, id=""), used_s) for key, (one, used_s) in keeper.kept.items())
    assert [few.get(f"s{n}", access(), 20.0) is not None for n in (6, 7, 8, 9)] == [
        False,
        True,
        True,
        True,
    ]
    assert keeper.restored().get("s9", access(), IDLE_S + 10) is None


def test_an_open_stream_counts_as_use() -> None:
    """The session neither expires nor gives way, unless all the others have streams, too."""
    held, _ = kept_sessions(2)
    held.is_open = lambda session_id: session_id == "s1"
    held.add(session("s1"), 0.0)
    held.add(session("s2"), 1.0)
    held.add(session("s3"), 2.0)
    assert held.get("s2", access(), 2.0) is None
    held.add(session("s4"), 2 * IDLE_S)
    assert len(held) == 2
    assert held.get("s3", access(), 2 * IDLE_S) is None
    assert held.get("s1", access(), 4 * IDLE_S) is not None
    held.is_open = lambda _session_id: True
    held.add(session("s5"), 4 * IDLE_S)
    assert len(held) == 2
    held.is_open = lambda _session_id: False
    held.add(session("s6"), 6 * IDLE_S)
    assert len(held) == 1


def test_all_sessions_of_somebody_end() -> None:
    held, keeper = kept_sessions()
    held.add(session("s1"), 0.0)
    held.add(session("s2", key="k2"), 0.0)
    told: list[str] = []
    held.when_ended = told.append
    held.end_those(lambda asker: asker.client == "key:k1")
    assert told == ["s1"]
    assert len(held) == len(keeper.kept) == 1
    keeper.restored().end_those(lambda _: True)  # of which nobody keeps more
