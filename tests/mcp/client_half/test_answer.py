"""One HTTP answer: a body or a stream."""

import pytest

from mcptunnel.mcp.client_half.answer import HttpAnswer
from mcptunnel.mcp.client_half.keep_alive import KeepAlive
from tests.mcp.client_half.stage import FakeHttp, FakeTimers

EXTRA = (("x", "y"),)


class Watcher:
    def __init__(self) -> None:
        self.heard: list[object] = []

    def client_gone(self) -> None:
        self.heard.append("gone")

    def client_slow(self, slow: bool) -> None:
        self.heard.append(slow)

    def access_ended(self, is_revoked: bool) -> None:
        self.heard.append("revoked" if is_revoked else "expired")


def answer_to(
    accepts: tuple[bool, bool] = (True, True),
) -> tuple[HttpAnswer, FakeHttp, FakeTimers]:
    http, timers = FakeHttp("POST", ()), FakeTimers()
    answer = HttpAnswer(http, accepts, KeepAlive(timers))
    answer.headers = EXTRA
    return answer, http, timers


@pytest.mark.parametrize(("status", "sent"), [(200, EXTRA), (404, ())])
def test_a_body(status: int, sent: tuple[tuple[str, str], ...]) -> None:
    answer, http, _ = answer_to()
    answer.respond(status, b"{}")
    assert (http.status, http.body, http.sent) == (status, b"{}", sent)


def test_a_stream() -> None:
    answer, http, _ = answer_to()
    answer.event(b'{"a":1}')
    answer.respond(404, b'{"b":2}')
    assert (http.status, http.sent, http.events) == (200, EXTRA, [{"a": 1}, {"b": 2}])
    assert http.is_over


def test_a_client_that_takes_only_streams() -> None:
    """Gets errors as bodies all the same: the status says more."""
    answer, http, _ = answer_to((False, True))
    answer.respond(200, b"{}")
    assert http.events == [{}]
    answer, http, _ = answer_to((False, True))
    answer.respond(404, b"{}")
    assert (http.status, http.body) == (404, b"{}")


def test_a_client_that_takes_none() -> None:
    answer, http, timers = answer_to((True, False))
    answer.wait(Watcher())
    answer.event(b"{}")
    timers.pass_s(100)
    answer.respond(200, b"{}")
    assert http.json == {}


def test_dropped() -> None:
    answer, http, _ = answer_to()
    answer.drop()
    assert (http.status, http.body) == (202, b"")
    answer, http, _ = answer_to()
    answer.event(b"{}")
    answer.drop()
    assert http.is_over
    assert len(http.events) == 1


def test_the_client_is_watched_until_the_end() -> None:
    """By one at a time, and nobody is left behind."""
    answer, http, timers = answer_to()
    first, second = Watcher(), Watcher()
    answer.wait(first)
    http.slow(True)
    answer.wait(second)
    http.slow(False)
    answer.respond(200, b"{}")
    assert http.watcher is None
    assert (first.heard, second.heard) == ([True], [False])
    timers.pass_s(20)
    assert timers.count == 0


def test_a_client_that_is_gone_is_told_once() -> None:
    answer, http, timers = answer_to()
    watcher = Watcher()
    answer.wait(watcher)
    http.hang_up()
    assert watcher.heard == ["gone"]
    assert http.watcher is None
    timers.pass_s(20)
    assert not http.body


def test_a_stream_without_access_ends() -> None:
    """One that only expired goes on: a call may have its answer."""
    answer, http, timers = answer_to()
    watcher = Watcher()
    answer.wait(watcher)
    answer.event(b"{}")
    answer.access_ended(False)
    over_when_expired = http.is_over
    answer.access_ended(True)
    assert watcher.heard == ["expired", "revoked"]
    assert (over_when_expired, http.is_over) == (False, True)
    assert http.watcher is None
    assert timers.count == 1  # of the keep-alive, which has nothing to look after


def test_an_answer_without_access_is_left_to_who_has_the_connection() -> None:
    answer, http, _ = answer_to()
    answer.wait(Watcher())
    answer.access_ended(True)
    answer.access_ended(True)
    assert (http.status, http.is_over, http.watcher) == (0, False, None)
