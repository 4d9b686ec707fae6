"""Exchanges of the hub, over a local server that does what the test says."""

import json
from typing import Any, cast

import pytest
from msgspec.structs import replace

from mcptunnel.agent.endpoint import MAX_UNSENT_BYTES, PIECE_BYTES, HubCall, RequestRoom
from mcptunnel.agent.held_news import MAX_HELD
from mcptunnel.agent.servers.interfaces import LocalCall, LocalServer
from mcptunnel.mcp import sse
from mcptunnel.mcp.calls import CallFailure, CallReceiver
from mcptunnel.mcp.jsonrpc import Notification, Request, Response, raw
from mcptunnel.mcp.service import NOBODY, Asker
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Outcome, RequestHead, ResponseHead, header
from mcptunnel.net.exchange import Exchange, ExchangeFailure
from mcptunnel.wire.constants import ErrorCode

CALL = b'{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"add"}}'


class FakeExchange:
    """What an agent sees of an exchange."""

    def __init__(self) -> None:
        self.request = RequestHead("a", "POST", "/mcp", principal="local|ken", client="key-1")
        self.head: ResponseHead | None = None
        self.body = b""
        self.consumed_bytes = 0
        self.is_whole = False
        self.unsent_bytes = 0
        self.was_reset: tuple[ErrorCode, str] | None = None

    def send_head(self, head: ResponseHead) -> None:
        assert self.head is None
        self.head = head

    def write(self, data: bytes) -> int:
        assert self.head is not None
        self.body += data
        return self.unsent_bytes

    def end(self) -> None:
        assert not self.is_whole
        self.is_whole = True

    def consumed(self, count_bytes: int) -> None:
        self.consumed_bytes += count_bytes

    def reset(self, code: ErrorCode, text: str = "") -> None:
        self.was_reset = code, text


class FakeServer:
    """A local server, and the one call on it: the test gives the answers."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.cancelled: list[str] = []
        self.pauses: list[str] = []
        self.askers: list[Asker] = []
        self.receiver: Any = None

    def call(self, request: Request, receiver: CallReceiver, asker: Asker = NOBODY) -> LocalCall:
        self.requests.append(request)
        self.askers.append(asker)
        self.receiver = receiver
        return self

    def cancel(self, reason: str) -> None:
        self.cancelled.append(reason)

    def pause(self) -> None:
        self.pauses.append("pause")

    def resume(self) -> None:
        self.pauses.append("resume")


class Bench:
    def __init__(self, room: RequestRoom | None = None) -> None:
        self.room = room or RequestRoom()
        self.exchange = FakeExchange()
        self.server = FakeServer()
        self.call = HubCall(
            cast("Exchange", self.exchange), cast("LocalServer", self.server), self.room
        )

    def ask(self, body: bytes = CALL) -> FakeServer:
        self.call.data_received(body[:9])
        self.call.data_received(body[9:])
        self.call.ended()
        return self.server

    @property
    def content_type(self) -> str | None:
        assert self.exchange.head is not None
        return header(self.exchange.head.headers, "content-type")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_answer_that_comes_alone_is_json(bench: Bench) -> None:
    server = bench.ask()
    assert server.requests == [Request(5, "tools/call", {"name": raw("add")})]
    assert server.askers == [Asker("local|ken", "key-1")]
    server.receiver.response(Response(5, raw({"content": []})))
    assert bench.content_type == "application/json"
    assert json.loads(bench.exchange.body)["result"] == {"content": []}
    assert bench.exchange.is_whole
    assert bench.exchange.consumed_bytes == len(CALL)


def test_the_server_is_told_which_era_the_client_speaks(bench: Bench) -> None:
    head = bench.exchange.request
    bench.exchange.request = replace(head, headers=(("a", "b"), ("mcptunnel-client-era", "legacy")))
    assert bench.ask().askers == [Asker("local|ken", "key-1", Era.LEGACY)]


def test_an_answer_after_notifications_is_an_event_stream(bench: Bench) -> None:
    server = bench.ask()
    server.receiver.notification(Notification("notifications/progress"))
    assert bench.content_type == "text/event-stream"
    assert not bench.exchange.is_whole
    server.receiver.notification(Notification("notifications/progress"))
    server.receiver.response(Response(5, raw({})))
    events = [json.loads(event.data) for event in sse.Parser(1000).feed(bench.exchange.body)]
    assert [event.get("method") for event in events] == ["notifications/progress"] * 2 + [None]
    assert bench.exchange.is_whole


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"[]", -32600),
        (b'{"jsonrpc":"2.0","method":"notifications/cancelled"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"result":{}}', -32600),
    ],
)
def test_what_is_no_request_is_refused_here(bench: Bench, body: bytes, code: int) -> None:
    assert not bench.ask(body).requests
    assert bench.exchange.head is not None
    assert bench.exchange.head.status == 400
    assert json.loads(bench.exchange.body)["error"]["code"] == code
    assert bench.exchange.is_whole


NO_ROOM = (
    ErrorCode.REFUSED_STREAM,
    "The device has no room for the request beside those that it works on.",
)
ROOM_BYTES = 1000


def test_unfinished_requests_share_the_room_and_the_one_too_many_is_refused() -> None:
    """However small the pieces: each takes up more than its bytes."""
    room = RequestRoom(ROOM_BYTES)
    first, second = Bench(room), Bench(room)
    first.call.data_received(b"x" * (ROOM_BYTES - 2 * PIECE_BYTES - 1))
    first.call.data_received(b"x")
    assert (first.exchange.was_reset, room.free_bytes) == (None, 0)
    second.call.data_received(b"x")
    assert second.exchange.was_reset == NO_ROOM
    first.call.data_received(b"x")
    assert first.exchange.was_reset == NO_ROOM
    assert room.free_bytes == ROOM_BYTES


@pytest.mark.parametrize(
    "end",
    [
        lambda bench: bench.server.receiver.response(Response(5, raw({}))),
        lambda bench: bench.server.receiver.call_failed(CallFailure("no", Outcome.UNKNOWN)),
        lambda bench: bench.call.failed(ExchangeFailure(None, "", Outcome.UNKNOWN)),
    ],
)
def test_a_request_takes_up_room_until_its_call_is_over(end: Any) -> None:
    bench = Bench(RequestRoom(ROOM_BYTES))
    bench.ask()
    assert bench.room.free_bytes == ROOM_BYTES - len(CALL) - 2 * PIECE_BYTES
    end(bench)
    assert bench.room.free_bytes == ROOM_BYTES


def test_what_is_refused_takes_up_no_room() -> None:
    bench = Bench(RequestRoom(ROOM_BYTES))
    bench.ask(b"this is no request")
    assert bench.room.free_bytes == ROOM_BYTES


def test_a_client_that_reads_too_slowly_loses_progress_and_not_the_answer(bench: Bench) -> None:
    """And a server that can be held back for one call is."""
    server = bench.ask()
    progress = Notification("notifications/progress", {"message": raw("x" * 1000)})
    bench.exchange.unsent_bytes = MAX_UNSENT_BYTES
    server.receiver.notification(progress)
    assert server.pauses == []
    bench.exchange.unsent_bytes += 1
    for _ in range(100):
        server.receiver.notification(progress)
    assert bench.exchange.body.count(b"data:") == 2
    assert server.pauses == ["pause"]
    bench.exchange.unsent_bytes = 0
    bench.call.drained()
    server.receiver.notification(progress)
    assert bench.exchange.body.count(b"data:") == 3
    assert server.pauses == ["pause", "resume"]
    bench.exchange.unsent_bytes = MAX_UNSENT_BYTES + 1
    server.receiver.notification(progress)
    server.receiver.notification(progress)
    server.receiver.response(Response(5, raw({})))
    assert bench.exchange.body.count(b"data:") == 5
    assert bench.exchange.is_whole


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome.NOT_DELIVERED, ErrorCode.REFUSED_STREAM),
        (Outcome.UNKNOWN, ErrorCode.UNREACHABLE),
    ],
)
def test_a_failed_call_says_whether_it_may_have_run(
    bench: Bench, outcome: Outcome, code: ErrorCode
) -> None:
    bench.ask().receiver.call_failed(CallFailure("The server 'a' exited.", outcome))
    assert bench.exchange.was_reset == (code, "The server 'a' exited.")


@pytest.mark.parametrize(("text", "said"), [("too slow", "too slow"), ("", "the caller is gone")])
def test_who_gives_up_cancels_the_call(bench: Bench, text: str, said: str) -> None:
    server = bench.ask()
    bench.call.failed(ExchangeFailure(ErrorCode.CANCEL, text, Outcome.UNKNOWN))
    assert server.cancelled == [said]


def test_who_gives_up_before_the_request_is_whole_has_asked_nothing(bench: Bench) -> None:
    bench.call.data_received(CALL[:9])
    bench.call.failed(ExchangeFailure(ErrorCode.CANCEL, "", Outcome.UNKNOWN))
    assert not bench.server.requests
    assert not bench.server.cancelled


def test_a_listener_that_reads_too_slowly_hears_of_each_change_once_and_later(bench: Bench) -> None:
    server = bench.ask(b'{"jsonrpc":"2.0","id":5,"method":"subscriptions/listen"}')
    tools = Notification("notifications/tools/list_changed")
    bench.exchange.unsent_bytes = MAX_UNSENT_BYTES + 1
    server.receiver.notification(tools)
    for _ in range(100):
        server.receiver.notification(tools)
        server.receiver.notification(Notification("notifications/prompts/list_changed"))
    assert bench.exchange.body.count(b"data:") == 1
    for number in range(MAX_HELD):
        server.receiver.notification(Notification("n", {"number": raw(number)}))
    bench.exchange.unsent_bytes = 0
    bench.call.drained()
    assert bench.exchange.body.count(b"data:") == 1 + MAX_HELD
    assert bench.exchange.body.count(b"tools/list_changed") == 2
    assert bench.exchange.body.count(b"prompts/list_changed") == 1
    assert server.pauses == ["pause", "resume"]
    server.receiver.notification(tools)
    bench.call.drained()
    assert bench.exchange.body.count(b"data:") == 2 + MAX_HELD
    server.receiver.response(Response(5, raw({})))
    assert bench.exchange.is_whole
