"""Sessions on their way to the store, and back."""

from collections.abc import Collection

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from twisted.internet.task import Clock

from mcptunnel.mcp.client_half.session import McpSession
from mcptunnel.mcp.meta import LOG_LEVELS
from mcptunnel.mcp.service import Asker
from mcptunnel.relay.hub.kept_sessions import DELAY_S, KeptSessions, restored
from mcptunnel.store.mcp_sessions import McpSessionRecord

SESSION = McpSession("s", Asker("local|alice", "key:k"), "2025-11-25", Raw(b"{}"))


class Writes:
    def __init__(self) -> None:
        self.kept: list[list[McpSessionRecord]] = []
        self.ended: list[list[bytes]] = []

    def write(self, kept: Collection[McpSessionRecord], ended: Collection[bytes]) -> None:
        self.kept.append(list(kept))
        self.ended.append(list(ended))


def test_changes_are_written_together_and_of_each_the_last() -> None:
    clock, writes = Clock(), Writes()
    sessions = KeptSessions(clock, writes.write)
    sessions.keep(b"a", SESSION, 1.0)
    sessions.keep(b"b", SESSION, 1.0)
    sessions.keep(b"b", SESSION, 2.0)
    sessions.drop(b"a")
    sessions.drop(b"c")
    assert not writes.kept
    clock.advance(DELAY_S)
    assert [record.used_s for record in writes.kept[0]] == [2.0]
    assert writes.ended == [[b"a", b"c"]]
    clock.advance(100)
    assert len(writes.kept) == 1


def test_a_stop_writes_what_is_left() -> None:
    clock, writes = Clock(), Writes()
    sessions = KeptSessions(clock, writes.write)
    sessions.flush()
    assert not writes.kept
    sessions.keep(b"a", SESSION, 1.0)
    sessions.flush()
    assert len(writes.kept) == 1
    assert not clock.getDelayedCalls()


@given(
    st.builds(
        McpSession,
        st.just(""),
        st.builds(Asker, st.text(), st.text()),
        st.sampled_from(["2025-03-26", "2025-11-25"]),
        st.sampled_from([Raw(b"{}"), Raw(b'{"roots":{}}')]),
        st.none() | st.just(Raw(b'{"name":"x"}')),
        st.none() | st.sampled_from(LOG_LEVELS),
        st.lists(st.text(alphabet=st.characters(codec="utf-8"))).map(tuple),
    )
)
def test_a_session_comes_back_as_it_was(session: McpSession) -> None:
    clock, writes = Clock(), Writes()
    sessions = KeptSessions(clock, writes.write)
    sessions.keep(b"a", session, 5.0)
    sessions.flush()
    assert list(restored(writes.kept[0])) == [(b"a", session, 5.0)]
