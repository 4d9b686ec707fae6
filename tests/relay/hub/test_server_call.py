"""One exchange, read as JSON-RPC: whatever an agent sends, the receiver hears one end."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from mcptunnel.mcp.calls import CallFailure
from mcptunnel.mcp.jsonrpc import Notification, Request, Response
from mcptunnel.model import ExchangeKind, Headers, Outcome, ResponseHead
from mcptunnel.net.exchange import Exchange, ExchangeReceiver
from mcptunnel.relay.devices import Device
from mcptunnel.relay.hub.open_calls import SWEEP_S
from mcptunnel.relay.hub.server_call import _HEADERS, _LEGACY_HEADERS, PATH, ServerCall
from mcptunnel.testing.joined import Joined
from mcptunnel.wire.codec import encode
from mcptunnel.wire.constants import ErrorCode, FrameType
from mcptunnel.wire.frames import Goaway, Open
from mcptunnel.wire.layout import frame_of

MIB = 1024 * 1024
JSON: Headers = (("content-type", "application/json; charset=utf-8"),)
STREAM: Headers = (("content-type", "text/event-stream"),)
RESULT = b'{"jsonrpc":"2.0","id":1,"result":{}}'
NEWS = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{}}'


class Heard:
    """A receiver that remembers (`mcp.calls.CallReceiver`)."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def notification(self, message: Notification) -> None:
        self.events.append(message)

    def response(self, message: Response) -> None:
        self.events.append(message)

    def call_failed(self, failure: CallFailure) -> None:
        self.events.append(failure)

    @property
    def failure(self) -> CallFailure:
        (found,) = self.events
        assert isinstance(found, CallFailure)
        return found


class Agent(ExchangeReceiver):
    """The agent's end of the call, in the hands of the test."""

    def __init__(self) -> None:
        self.body = b""
        self.resets: list[str] = []

    def data_received(self, data: bytes) -> None:
        self.body += data

    def failed(self, failure: Any) -> None:
        self.resets.append(failure.text)


class Bench:
    """One call, from the relay to an agent that the test plays."""

    def __init__(self, max_result_bytes: int = 1000) -> None:
        self.joined = Joined()
        self.calls = self.joined.hub.calls
        self.agent = self.joined.agent()
        self.device: Device = self.joined.devices.everyone()[0]
        self.heard, self.end = Heard(), Agent()
        self.opened: list[Exchange] = []
        self.agent.exchange_opened = self._opened  # type: ignore[method-assign]  # the test plays it
        self.call = ServerCall("files", self.heard, self.calls, max_result_bytes)
        self.call.send(self.device, Request("x", "tools/call"), principal="p", client="c")
        self.joined.settle()

    def _opened(self, exchange: Exchange) -> None:
        exchange.receiver = self.end
        self.opened.append(exchange)

    @property
    def exchange(self) -> Exchange:
        return self.opened[0]

    def answer(self, headers: Headers, *chunks: bytes, end: bool = True, status: int = 200) -> None:
        self.exchange.send_head(ResponseHead(status, headers))
        for chunk in chunks:
            self.exchange.write(chunk)
            self.joined.settle()
        if end:
            self.exchange.end()
        self.joined.settle()


def event(data: bytes) -> bytes:
    return b"event: message\ndata: " + data + b"\n\n"


def test_the_request_as_the_agent_sees_it() -> None:
    bench = Bench()
    head = bench.exchange.request
    assert (head.target, head.method, head.path) == ("files", "POST", "/mcp")
    assert (head.principal, head.client, head.kind) == ("p", "c", ExchangeKind.HUB)
    assert bench.end.body == b'{"jsonrpc":"2.0","id":"x","method":"tools/call"}'


def test_a_json_answer() -> None:
    bench = Bench()
    bench.answer(JSON, RESULT[:10], RESULT[10:])
    (response,) = bench.heard.events
    assert response == Response(1, response.result)
    assert bench.agent.tunnel is not None
    assert bench.agent.tunnel.exchange_count == 0


def test_a_stream_of_news_and_the_answer() -> None:
    bench = Bench()
    bench.answer(STREAM, event(NEWS), b": comment\n\n" + event(NEWS) + event(RESULT))
    kinds = [type(heard) for heard in bench.heard.events]
    assert kinds == [Notification, Notification, Response]


def test_nothing_is_heard_after_the_answer() -> None:
    bench = Bench()
    bench.answer(STREAM, event(RESULT) + event(NEWS), event(RESULT))
    assert [type(heard) for heard in bench.heard.events] == [Response]
    bench.call.cancel("late")
    bench.joined.settle()
    assert bench.end.resets == ["answered"]


@pytest.mark.parametrize("end", [True, False])
def test_an_answered_call_does_not_keep_its_stream(*, end: bool) -> None:
    """An END that comes with the answer is waited for; one that does not come is not."""
    bench = Bench()
    bench.exchange.send_head(ResponseHead(200, STREAM))
    bench.exchange.write(event(RESULT))
    if end:
        bench.exchange.end()
    bench.joined.settle()
    assert [type(heard) for heard in bench.heard.events] == [Response]
    assert bench.end.resets == ([] if end else ["answered"])
    assert bench.device.tunnel is not None
    assert bench.device.tunnel.session.stream_count == 0


def test_many_answered_calls_give_their_streams_back() -> None:
    bench = Bench()
    for number in range(300):
        ServerCall("files", bench.heard, bench.calls, 1000).send(
            bench.device, Request(number, "tools/call"), principal="", client=""
        )
        bench.joined.settle()
        bench.opened[-1].send_head(ResponseHead(200, STREAM))
        bench.opened[-1].write(event(RESULT))
        bench.joined.settle()
    assert all(isinstance(heard, Response) for heard in bench.heard.events)


def test_questions_of_a_server_are_passed_over() -> None:
    """The hub claims no capabilities, so no server may ask."""
    bench = Bench()
    question = b'{"jsonrpc":"2.0","id":5,"method":"sampling/createMessage"}'
    bench.answer(STREAM, event(question) + event(b"") + event(RESULT))
    assert [type(heard) for heard in bench.heard.events] == [Response]


@pytest.mark.parametrize(
    ("headers", "chunks", "detail"),
    [
        (JSON, [b"nonsense"], "no JSON-RPC message"),
        (JSON, [b"[1,2]"], "ended its answer without a result"),
        (JSON, [], "ended its answer without a result"),
        (JSON, [b"x" * 1001], "a result of more than 1000 bytes"),
        (STREAM, [event(NEWS)], "ended its answer without a result"),
        (STREAM, [event(b"nonsense") + event(RESULT)], "no JSON-RPC message"),
        (STREAM, [b"data: " + b"x" * 1001], "an event of more than 1000 bytes"),
        ((("content-type", "text/html"),), [b"<html>"], "HTTP 200 and no JSON"),
        ((), [RESULT], "HTTP 200 and no JSON"),
    ],
)
def test_an_unusable_answer_names_the_server(
    headers: Headers, chunks: list[bytes], detail: str
) -> None:
    """It may have run, the agent is told, and the tunnel lives on."""
    bench = Bench()
    bench.answer(headers, *chunks)
    failure = bench.heard.events[-1]
    assert isinstance(failure, CallFailure)
    assert detail in failure.text
    assert "'files'" in failure.text
    assert failure.outcome is Outcome.UNKNOWN
    assert sum(isinstance(heard, CallFailure) for heard in bench.heard.events) == 1
    assert bench.device.is_connected


def test_an_error_with_an_http_status_is_an_answer() -> None:
    bench = Bench()
    bench.answer(JSON, b'{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}', status=400)
    (response,) = bench.heard.events
    assert response.error is not None


def test_a_lost_tunnel_names_device_and_server() -> None:
    bench = Bench()
    bench.joined.lose(bench.agent)
    assert bench.heard.failure == CallFailure(
        "The tunnel to the device 'laptop' was lost before the server 'files' had answered "
        "(the connection was cut).",
        Outcome.UNKNOWN,
    )


def test_a_tunnel_that_only_closed() -> None:
    bench = Bench()
    bench.joined.lose(bench.agent, "")
    assert "(closed)" in bench.heard.failure.text


@pytest.mark.parametrize(
    ("code", "text", "told", "outcome"),
    [
        (ErrorCode.REFUSED_STREAM, "It is down.", "It is down.", Outcome.NOT_DELIVERED),
        (ErrorCode.UNREACHABLE, "It crashed.", "It crashed.", Outcome.UNKNOWN),
        (ErrorCode.UNREACHABLE, "", "The server 'files' gave no answer.", Outcome.UNKNOWN),
        (ErrorCode.CANCEL, "\x1b[2Ja\r\n", "[2Ja", Outcome.UNKNOWN),
        (ErrorCode.CANCEL, "x" * 1024, "x" * 1000 + "…", Outcome.UNKNOWN),
    ],
)
def test_what_the_agent_says_is_passed_on(
    code: ErrorCode, text: str, told: str, outcome: Outcome
) -> None:
    bench = Bench()
    bench.exchange.reset(code, text)
    bench.joined.settle()
    assert bench.heard.failure == CallFailure(told, outcome)


def test_cancelling_tells_the_agent_and_nobody_else() -> None:
    bench = Bench()
    bench.call.cancel("enough")
    bench.call.cancel("again")
    bench.answer(JSON, RESULT)
    assert bench.end.resets == ["enough"]
    assert not bench.heard.events


def test_a_device_without_a_tunnel_is_not_delivered() -> None:
    bench = Bench()
    bench.joined.lose(bench.agent)
    heard = Heard()
    ServerCall("files", heard, bench.calls, 1000).send(
        bench.device, Request(1, "tools/call"), principal="", client=""
    )
    assert heard.failure == CallFailure(
        "The device 'laptop' is not connected.", Outcome.NOT_DELIVERED
    )


def test_more_calls_than_the_agent_takes_are_not_delivered() -> None:
    bench = Bench()
    calls = []
    for _ in range(300):
        heard = Heard()
        ServerCall("files", heard, bench.calls, 1000).send(
            bench.device, Request(1, "tools/call"), principal="", client=""
        )
        calls.append(heard)
    refused = [heard for heard in calls if heard.events]
    assert len(refused) == 300 - 255
    assert refused[0].failure.outcome is Outcome.NOT_DELIVERED


def test_an_agent_that_goes_away_has_not_seen_the_call() -> None:
    bench = Bench()
    assert bench.device.tunnel is not None
    heard = Heard()
    ServerCall("files", heard, bench.calls, 1000).send(
        bench.device, Request(1, "tools/call"), principal="", client=""
    )
    first = bench.exchange.stream_id
    bench.device.tunnel.message_received(encode(Goaway(first, ErrorCode.SHUTDOWN, "stopping")))
    assert heard.failure.outcome is Outcome.NOT_DELIVERED
    assert not bench.heard.events


def test_while_held_the_agent_gets_no_credit() -> None:
    """At most one window is on its way; another call is not slowed down."""
    bench = Bench(max_result_bytes=10**9)
    bench.call.hold(True)
    news = event(NEWS)
    bench.answer(STREAM, news * 8000, end=False)
    arrived = len(bench.heard.events)
    assert arrived * len(news) <= 256 * 1024
    bench.joined.wait_s(5)
    assert len(bench.heard.events) == arrived
    bench.call.hold(True)
    bench.call.hold(False)
    bench.joined.settle()
    assert len(bench.heard.events) == 8000
    bench.call.hold(False)


def test_holding_after_the_end_is_harmless() -> None:
    bench = Bench()
    bench.call.hold(True)
    bench.answer(STREAM, event(RESULT))
    bench.call.hold(False)
    bench.joined.settle()
    assert len(bench.heard.events) == 1


@given(
    st.lists(st.sampled_from([event(NEWS), event(RESULT), b": c\n\n", b"data: x\n\n", b"\n"])),
    st.data(),
)
def test_however_a_stream_is_cut_and_ended_there_is_one_end(
    events: list[bytes], data: st.DataObject
) -> None:
    """News, then exactly one answer or failure."""
    bench = Bench()
    body = b"".join(events)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=5)))
    chunks = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    bench.answer(STREAM, *[chunk for chunk in chunks if chunk])
    *news, last = bench.heard.events
    assert {type(heard) for heard in news} <= {Notification}
    assert isinstance(last, Response | CallFailure)


# How long, and how much.


def test_a_silent_call_is_given_up() -> None:
    bench = Bench()
    bench.joined.wait_s(bench.calls.timeout_s - SWEEP_S)
    assert not bench.heard.events
    bench.joined.wait_s(3 * SWEEP_S)
    assert bench.heard.failure == CallFailure(
        "The server 'files' has been silent for 3660 s.", Outcome.UNKNOWN
    )
    assert bench.end.resets == ["has been silent for 3660 s"]


def test_a_call_that_makes_progress_is_not() -> None:
    bench = Bench()
    bench.exchange.send_head(ResponseHead(200, STREAM))
    for _ in range(5):
        bench.joined.wait_s(bench.calls.timeout_s - SWEEP_S)
        bench.exchange.write(b": still here\n\n")
        bench.joined.settle()
    assert not bench.heard.events


def test_a_call_without_a_client_goes_on_as_any_other() -> None:
    """To leave is not to cancel (2025-11-25, basic/transports): a tool may be silent for most of an hour."""
    bench = Bench()
    bench.call.client_gone()
    bench.joined.wait_s(bench.calls.timeout_s - SWEEP_S)
    assert not bench.end.resets
    bench.joined.wait_s(3 * SWEEP_S)
    assert bench.end.resets


@pytest.mark.parametrize("headers", [JSON, STREAM])
def test_unfinished_results_of_a_user_have_a_bound(headers: Headers) -> None:
    """The one that goes over it fails; when others are gone there is room again."""
    bench = Bench(max_result_bytes=40 * MIB)
    heard = [bench.heard]
    calls = [bench.call]
    for number in range(3):
        heard.append(Heard())
        calls.append(ServerCall("files", heard[-1], bench.calls, 40 * MIB))
        calls[-1].send(bench.device, Request(number, "tools/call"), principal="", client="")
    bench.joined.settle()
    for exchange in bench.opened[:3]:
        exchange.send_head(ResponseHead(200, headers))
        exchange.write(b"data: " + bytes(25 * MIB))
        bench.joined.settle()
    assert [bool(one.events) for one in heard] == [False, False, True, False]
    assert "beside your other calls" in heard[2].failure.text
    assert heard[2].failure.outcome is Outcome.UNKNOWN
    calls[0].cancel("enough")
    bench.opened[3].send_head(ResponseHead(200, headers))
    bench.opened[3].write(b"data: " + bytes(25 * MIB))
    bench.joined.settle()
    assert not heard[3].events


def test_requests_that_were_sent_no_longer_count() -> None:
    bench = Bench()
    big = Request(1, "tools/call", {"a": Raw(b'"' + b"x" * 30 * MIB + b'"')})
    heard = []
    for _ in range(6):
        heard.append(Heard())
        ServerCall("files", heard[-1], bench.calls, 1000).send(
            bench.device, big, principal="", client=""
        )
        bench.joined.settle()
        bench.opened[-1].consumed(256 * 1024)
    assert [bool(one.events) for one in heard] == [False, False, True, True, True, True]
    assert heard[2].failure.outcome is Outcome.NOT_DELIVERED
    assert "all the memory" in heard[2].failure.text


def test_a_result_in_many_small_pieces_takes_no_more_memory_than_its_bytes() -> None:
    bench = Bench(max_result_bytes=10**6)
    bench.answer(JSON, *[RESULT[i : i + 1] for i in range(len(RESULT))])
    assert [type(heard) for heard in bench.heard.events] == [Response]


@pytest.mark.parametrize("headers", [_HEADERS, _LEGACY_HEADERS])
def test_the_heads_of_calls_are_those_that_the_wire_checks_once(headers: Headers) -> None:
    """Both eras' heads come with every call: the wire knows them, and no others of their kind."""
    fields = (FrameType.OPEN.value, 1, "files", "POST", PATH, headers, "p", "c", "hub")
    others = (*fields[:5], (*headers, ("authorization", "secret")), *fields[6:])
    frames = map(frame_of, (fields, fields, others, others))
    one, same, other, another = [each.head for each in frames if isinstance(each, Open)]
    assert one is same
    assert other == another
    assert other is not another
