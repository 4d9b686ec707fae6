"""Answers that take a while: sent once, to whoever is still there."""

import pytest
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

from mcptunnel.relay.web.answers import send_json
from mcptunnel.relay.web.later import Send, answer_later
from mcptunnel.relay.web.request import RelayRequest
from tests.conftest import LoggedFailures
from tests.relay.web.site import HOST, Connection, MemorySite, head_of


class Slow(Resource):
    """Answers when `ready` fires."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.ready: Deferred[None] = Deferred()
        self.is_over = False

    def render(self, request: RelayRequest) -> int:
        return answer_later(request, self._answer(), lambda: say(500))

    async def _answer(self) -> Send:
        await self.ready
        self.is_over = True
        return say(200)


def say(status: int) -> Send:
    return lambda request: send_json(request, status, {})


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def connection(slow: Slow) -> Connection:
    site = MemorySite()
    site.root.putChild(b"slow", slow)
    connection = site.connection()
    connection.send(head_of("GET", "/slow", {"host": HOST}))
    assert not connection.answers
    return connection


def test_the_answer_comes_when_it_is_ready(slow: Slow, connection: Connection) -> None:
    slow.ready.callback(None)
    assert connection.answer.status == 200


def test_what_was_begun_ends_also_when_the_client_is_gone(
    slow: Slow, connection: Connection
) -> None:
    connection.hang_up()
    slow.ready.callback(None)
    assert slow.is_over
    assert not connection.answers


def test_a_failure_is_told_and_logged(
    slow: Slow, connection: Connection, logged_failures: LoggedFailures
) -> None:
    slow.ready.errback(ValueError("x"))
    assert connection.answer.status == 500
    assert logged_failures.take(ValueError)


def test_a_failure_is_logged_when_the_client_is_gone(
    slow: Slow, connection: Connection, logged_failures: LoggedFailures
) -> None:
    connection.hang_up()
    slow.ready.errback(ValueError("x"))
    assert not connection.answers
    assert logged_failures.take(ValueError)
