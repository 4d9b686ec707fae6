"""Sessions of servers whose bytes pass untouched."""

import pytest
from twisted.internet.task import Clock

from mcptunnel.agent.transparent import passed_sessions as module
from mcptunnel.agent.transparent.passed_sessions import DELETE_S, MAX_ID_CHARS, PassedSessions
from mcptunnel.mcp.service import Asker
from mcptunnel.model import Headers, RequestHead, ResponseHead
from mcptunnel.net.timers import ReactorTimers
from tests.agent.local_http import LocalHttp
from tests.conftest import Log

OWN = (("authorization", "of the agent"),)


class Bench:
    def __init__(self) -> None:
        self.clock = Clock()
        self.sessions = PassedSessions(ReactorTimers(self.clock))
        self.local = LocalHttp(OWN)

    def answered(
        self,
        given: str = "",
        *,
        client: str = "key:1",
        method: str = "POST",
        asked: str = "",
        status: int = 200,
    ) -> None:
        request = RequestHead("web", method, "", fields(asked), "local|ken", client)
        self.sessions.answered(request, ResponseHead(status, fields(given)), self.local.passage)

    def end(self, client: str = "key:1") -> list[str]:
        """End a client's sessions; return which the server heard of."""
        before = len(self.local.asked)
        self.sessions.end(Asker("local|ken", client))
        asked = self.local.asked[before:]
        assert all((one.method, one.path, one.body) == ("DELETE", "", b"") for one in asked)
        assert all(one.headers[:-1] == OWN for one in asked)
        return [one.headers[-1][1] for one in asked]


def fields(session_id: str) -> Headers:
    return (("mcp-session-id", session_id),) if session_id else ()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_client_loses_the_sessions_that_it_was_given_or_used(bench: Bench) -> None:
    """Used: it may be older than this agent's process."""
    bench.answered("given")
    bench.answered(asked="used")
    bench.answered("another's", client="key:2")
    assert bench.end() == ["given", "used"]
    assert bench.end() == []
    assert len(bench.sessions) == 1


def test_a_session_is_of_those_to_whom_it_was_given(bench: Bench) -> None:
    """Of one that is not known nobody can say that."""
    for client in ("key:1", "key:2"):
        bench.answered("shared", client=client)
    bench.answered("given")
    others = {
        (session_id, client): bench.sessions.is_of_another(session_id, "local|ken", client)
        for session_id in ("shared", "given", "unknown")
        for client in ("key:1", "key:2")
    }
    assert [place for place, is_so in others.items() if is_so] == [("given", "key:2")]
    assert bench.sessions.is_of_another("given", "local|eve", "key:1")


def test_what_the_server_refused_or_ended_is_no_session(bench: Bench) -> None:
    bench.answered(asked="unknown", status=404)
    bench.answered()
    bench.answered("x" * (MAX_ID_CHARS + 1))
    bench.answered("ended")
    bench.answered(asked="ended", method="DELETE", status=204)
    assert bench.end() == []
    assert len(bench.sessions) == 0


def test_a_session_that_clients_share_stays_to_the_last(bench: Bench) -> None:
    for client in ("key:1", "key:2"):
        bench.answered("only-one", client=client)
    assert bench.end("key:1") == []
    assert bench.end("key:2") == ["only-one"]


def test_those_unused_for_longest_are_forgotten(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SESSIONS", 2)
    for session_id in ("1", "2", "1", "3"):
        bench.answered(asked=session_id)
    assert bench.end() == ["1", "3"]


def test_a_server_need_not_obey(bench: Bench, log: Log) -> None:
    for session_id in ("405", "lost", "refused"):
        bench.answered(session_id, client=session_id)
    bench.end("405")
    bench.local.last.answer(405)
    bench.local.last.send(b"no")
    bench.local.last.end()
    bench.end("lost")
    bench.local.last.fail("gone", may_have_run=True)
    assert "perhaps not ended: gone" in log
    bench.local.refusal = "no such field"
    bench.end("refused")
    assert "cannot be ended: no such field" in log
    assert not bench.clock.getDelayedCalls()


def test_a_server_that_does_not_answer_keeps_no_connection(bench: Bench, log: Log) -> None:
    """Its clients share them: each session that was ended in vain would take one for ever."""
    bench.answered("silent")
    bench.end()
    bench.local.last.answer(200)
    aborted = []
    for wait_s in (DELETE_S - 0.1, 0.1):
        bench.clock.advance(wait_s)
        aborted.append(bench.local.last.aborted)
    assert aborted == [False, True]
    assert "perhaps not ended: no answer" in log
    assert not bench.clock.getDelayedCalls()


def test_nobody_waits_for_it_after_a_stop(bench: Bench) -> None:
    bench.answered("silent")
    bench.end()
    bench.sessions.stop()
    assert bench.local.last.aborted
    assert not bench.clock.getDelayedCalls()
