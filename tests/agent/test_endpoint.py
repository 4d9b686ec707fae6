"""Exchanges of the hub, over a local server that does what the test says."""

import json
from typing import Any, cast

import pytest

from mcptunnel.agent import endpoint
from mcptunnel.agent.endpoint import HubCall
from mcptunnel.agent.servers.interfaces import Cancel, LocalServer
from mcptunnel.mcp import sse
from mcptunnel.mcp.calls import CallFailure, CallReceiver
from mcptunnel.mcp.jsonrpc import Notification, Request, Response, raw
from mcptunnel.model import Outcome, ResponseHead, header
from mcptunnel.net.exchange import Exchange, ExchangeFailure
from mcptunnel.wire.constants import ErrorCode

CALL = b'{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"add"}}'


class FakeExchange:
    """What an agent sees of an exchange."""

    def __init__(self) -> None:
        self.head: ResponseHead | None = None
        self.body = b""
        self.consumed_bytes = 0
        self.is_whole = False
        self.was_reset: tuple[ErrorCode, str] | None = None

    def send_head(self, head: ResponseHead) -> None:
        assert self.head is None
        self.head = head

    def write(self, data: bytes) -> int:
        assert self.head is not None
        self.body += data
        return 0

    def end(self) -> None:
        assert not self.is_whole
        self.is_whole = True

    def consumed(self, count_bytes: int) -> None:
        self.consumed_bytes += count_bytes

    def reset(self, code: ErrorCode, text: str = "") -> None:
        self.was_reset = code, text


class FakeServer:
    """A local server: the test gives the answers."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.cancelled: list[str] = []
        self.receiver: Any = None

    def call(self, request: Request, receiver: CallReceiver) -> Cancel:
        self.requests.append(request)
        self.receiver = receiver
        return self.cancelled.append


class Bench:
    def __init__(self) -> None:
        self.exchange = FakeExchange()
        self.server = FakeServer()
        self.call = HubCall(cast("Exchange", self.exchange), cast("LocalServer", self.server))

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
    server.receiver.response(Response(5, raw({"content": []})))
    assert bench.content_type == "application/json"
    assert json.loads(bench.exchange.body)["result"] == {"content": []}
    assert bench.exchange.is_whole
    assert bench.exchange.consumed_bytes == len(CALL)


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


def test_a_request_without_end_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "MAX_REQUEST_BYTES", 10)
    bench.call.data_received(b"x" * 10)
    assert bench.exchange.was_reset is None
    bench.call.data_received(b"x")
    assert bench.exchange.was_reset == (
        ErrorCode.REFUSED_STREAM,
        "The request is larger than 10 bytes.",
    )


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
