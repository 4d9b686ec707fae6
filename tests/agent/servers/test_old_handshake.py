"""Greeting a server of 2024-11-05, over a client of the test's."""

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from mcptunnel.agent.servers.http_handshake import Unusable
from mcptunnel.agent.servers.old_channel import OldChannel
from mcptunnel.agent.servers.old_handshake import agree_old
from tests.agent import CLIENT_INFO, done, error_of
from tests.agent.servers.http_client import Asked, FakeClient

RESULT = {"protocolVersion": "2024-11-05", "capabilities": {"tools": {}}}


class Bench:
    def __init__(self) -> None:
        self.client = FakeClient()
        self.channel = OldChannel(self.client.as_client, "http://127.0.0.1:1/sse", ())
        self.agreeing: Deferred[Any] = Deferred.fromCoroutine(agree_old(self.channel, CLIENT_INFO))
        self.stream = self.client.last
        self.stream.head()
        self.stream.receiver.data_received(b"event: endpoint\ndata: /messages\n\n")

    def asked(self, method: str) -> list[Asked]:
        posts = [asked for asked in self.client.asked if asked.method == "POST"]
        return [post for post in posts if post.message.get("method") == method]

    def say(self, **members: Any) -> None:
        self.stream.event({"jsonrpc": "2.0", **members})


def test_the_server_is_greeted_on_the_channel() -> None:
    bench = Bench()
    (greeting,) = bench.asked("initialize")
    greeting.status(202)
    bench.say(method="notifications/message")
    bench.say(id="p", method="ping")
    assert bench.client.last.message == {"jsonrpc": "2.0", "id": "p", "result": {}}
    bench.say(id=99, result={})
    assert not done(bench.agreeing)
    bench.say(id=greeting.message["id"], result=RESULT)
    agreed: Any = bench.agreeing.result
    assert (agreed.info.version, agreed.session) == ("2024-11-05", None)
    (told,) = bench.asked("notifications/initialized")
    told.fail()


def test_a_server_that_cannot_read_the_offer_gets_a_lesser_one() -> None:
    bench = Bench()
    error = {"code": -32602, "message": "?"}
    for _ in range(2):
        bench.say(id=1, error=error)
    offers = [post.message["params"]["capabilities"] for post in bench.asked("initialize")]
    assert [len(offer) for offer in offers] == [4, 3, 0]
    bench.say(id=1, error=error)
    assert "refused initialize" in str(error_of(bench.agreeing))


def test_a_greeting_that_is_not_taken_is_told() -> None:
    bench = Bench()
    (greeting,) = bench.asked("initialize")
    greeting.status(404)
    bench.say(id=1, result=RESULT)
    assert str(error_of(bench.agreeing)) == "answered with HTTP 404"


def test_a_stream_that_ends_before_the_answer_is_told() -> None:
    bench = Bench()
    bench.stream.end()
    with pytest.raises(Unusable, match="ended its stream"):
        raise error_of(bench.agreeing) or AssertionError


def test_it_can_be_cancelled() -> None:
    bench = Bench()
    bench.agreeing.cancel()
    assert isinstance(error_of(bench.agreeing), CancelledError)
    bench.say(id=1, result=RESULT)
