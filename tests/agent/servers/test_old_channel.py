"""The two ends of HTTP+SSE, over a client of the test's."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mcptunnel.agent.servers.http_handshake import Unusable
from mcptunnel.agent.servers.old_channel import MAX_HELD, MAX_POSTS, OldChannel, root_of
from mcptunnel.mcp.jsonrpc import Message
from tests.agent import done, error_of
from tests.agent.servers.http_client import FakeClient

URL = "http://127.0.0.1:8000/app/sse?x=1"
CHANGED = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}


class Bench:
    def __init__(self, endpoint: str | None = "/messages/?session_id=5") -> None:
        self.client = FakeClient()
        self.channel = OldChannel(self.client.as_client, URL, (("x-mine", "yes"),))
        self.opening = Deferred.fromCoroutine(self.channel.open())
        self.stream = self.client.last
        self.messages: list[Message] = []
        self.closed: list[str] = []
        self.failed: list[tuple[str, bool]] = []
        if endpoint is not None:
            self.stream.head()
            self.stream.receiver.data_received(f"event: endpoint\ndata: {endpoint}\n\n".encode())

    def attend(self) -> "Bench":
        self.channel.attend(self.messages.append, self.closed.append)
        return self

    def post(self) -> Any:
        self.channel.post(b"{}", lambda *why: self.failed.append(why))
        return self.client.last


def test_the_stream_is_asked_for_at_the_url() -> None:
    bench = Bench(None)
    assert (bench.stream.method, bench.stream.path) == ("GET", "/app/sse?x=1")
    assert bench.stream.fields == {"x-mine": "yes", "accept": "text/event-stream"}
    assert not done(bench.opening)
    assert root_of(URL) == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ("/messages/?session_id=5", "/messages/?session_id=5"),
        ("messages", "/app/messages"),
        ("?session=5", "/app/sse?session=5"),
        ("http://127.0.0.1:8000/other", "/other"),
        ("http://127.0.0.1:8000", "/"),
    ],
)
def test_messages_go_to_the_endpoint_that_the_stream_names(endpoint: str, path: str) -> None:
    bench = Bench(endpoint)
    assert done(bench.opening)
    post = bench.post()
    assert (post.method, post.path, post.body) == ("POST", path, b"{}")
    assert post.fields == {"x-mine": "yes", "content-type": "application/json"}


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:8001/messages",
        "https://127.0.0.1:8000/messages",
        "http://example.org/",
        "//example.org/",
        "http://me@127.0.0.1:8000/",
        "http://127.0.0.1:99999/",
        "javascript:alert(1)",
    ],
)
def test_an_endpoint_on_another_host_is_not_used(endpoint: str) -> None:
    bench = Bench(endpoint)
    error = error_of(bench.opening)
    assert isinstance(error, Unusable)
    assert str(error) == "names an endpoint on another host"
    assert bench.stream.aborted
    assert not bench.channel.was_open


def test_a_second_endpoint_changes_nothing() -> None:
    bench = Bench("/one").attend()
    bench.stream.receiver.data_received(b"event: endpoint\ndata: /two\n\nevent: ping\ndata: x\n\n")
    assert bench.post().path == "/one"


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (lambda stream: stream.status(404), "ended its stream (HTTP status 404)"),
        (lambda stream: stream.fail("gone"), "closed its stream: gone"),
    ],
)
def test_a_server_without_an_endpoint_cannot_be_used(end: Any, said: str) -> None:
    bench = Bench(None)
    end(bench.stream)
    assert str(error_of(bench.opening)) == said


def test_what_cannot_be_asked_is_told() -> None:
    client = FakeClient()
    client.refusal = "no"
    channel = OldChannel(client.as_client, URL, ())
    opening = Deferred.fromCoroutine(channel.open())
    assert str(error_of(opening)) == "cannot be asked: no"


def test_messages_wait_until_somebody_attends() -> None:
    bench = Bench()
    bench.stream.event(CHANGED)
    bench.attend()
    bench.stream.event(CHANGED)
    assert len(bench.messages) == 2
    bench.channel.hold()
    for _ in range(MAX_HELD + 10):
        bench.stream.event(CHANGED)
    assert len(bench.messages) == 2
    bench.attend()
    assert len(bench.messages) == 2 + MAX_HELD


def test_the_end_of_the_stream_is_told_once_also_to_who_comes_late() -> None:
    bench = Bench().attend()
    bench.stream.fail("gone")
    bench.stream.end()
    assert bench.closed == ["closed its stream: gone"]
    late = Bench()
    late.stream.end()
    late.attend()
    assert late.closed == ["ended its stream (HTTP status 200)"]
    late.post()
    assert late.failed == [("ended its stream (HTTP status 200)", False)]


def test_a_message_that_is_not_taken_is_told() -> None:
    bench = Bench().attend()
    bench.post().status(202)
    assert bench.failed == []
    bench.post().status(404)
    bench.post().fail("broke", may_have_run=True)
    bench.client.refusal = "no"
    bench.post()
    assert bench.failed == [
        ("answered with HTTP 404", False),
        ("gave no answer: broke", True),
        ("cannot be asked: no", False),
    ]


def test_a_server_that_takes_no_messages_gets_no_more() -> None:
    bench = Bench().attend()
    for _ in range(MAX_POSTS + 1):
        bench.post()
    assert bench.failed == [("takes no more messages", False)]


def test_closing_drops_everything_and_nobody_hears_of_it() -> None:
    bench = Bench().attend()
    post = bench.post()
    post.receiver.data_received(b"Accepted")
    assert done(Deferred.fromCoroutine(bench.channel.close()))
    assert (bench.stream.aborted, post.aborted, bench.client.is_closed) == (True, True, True)
    bench.stream.end()
    assert (bench.closed, bench.failed) == ([], [])
