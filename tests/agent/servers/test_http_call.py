"""Calls as POSTs, over a client that does what the test says."""

import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from msgspec import Raw
from twisted.internet.task import Clock

from mcptunnel.agent.servers.http_call import Calls
from mcptunnel.agent.servers.http_handshake import Agreed
from mcptunnel.agent.servers.http_one_way import MAX_ONE_WAY
from mcptunnel.agent.servers.http_talk import Ended, Told
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import Notification, Request, Response
from mcptunnel.mcp.server_half.actions import Deliver
from mcptunnel.mcp.server_half.context import ServerContext
from mcptunnel.mcp.server_half.handshake import ServerInfo
from mcptunnel.mcp.server_half.http import LegacyHttpSession
from mcptunnel.mcp.service import Asker
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Headers, Outcome, ResponseHead
from mcptunnel.net.http1 import Client, RequestError, RequestFailed, ResponseReceiver
from tests.agent import CLIENT_INFO, STATES, request, tool_call
from tests.conftest import Log

NO_CAPABILITIES = jsonrpc.raw({})
MODERN = Agreed(ServerInfo(Era.MODERN, "2026-07-28", NO_CAPABILITIES), None)
LEGACY_INFO = ServerInfo(Era.LEGACY, "2025-11-25", NO_CAPABILITIES)
LEGACY = Agreed(LEGACY_INFO, LegacyHttpSession("2025-11-25", "mine", LEGACY_INFO))
JSON = (("content-type", "application/json"),)
EVENTS = (("content-type", "text/event-stream"),)


class Posted:
    """A POST under way (`net.http1.Call`)."""

    def __init__(self, headers: Headers, body: bytes, receiver: ResponseReceiver) -> None:
        self.fields = dict(headers)
        self.message: Any = json.loads(body)
        self.receiver = receiver
        self.aborted = False
        self.pauses: list[str] = []

    def pause(self) -> None:
        self.pauses.append("pause")

    def resume(self) -> None:
        self.pauses.append("resume")

    def abort(self) -> None:
        self.aborted = True

    def respond(self, status: int, message: object, headers: Headers = JSON) -> None:
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.receiver.head_received(ResponseHead(status, headers))
        if body:
            self.receiver.data_received(body)
        self.receiver.ended()

    def answer(self, status: int = 200, **content: object) -> None:
        self.respond(status, {"jsonrpc": "2.0", "id": self.message["id"], **content})

    def stream(self, message: object) -> None:
        self.receiver.head_received(ResponseHead(200, EVENTS))
        self.receiver.data_received(f"data: {json.dumps(message)}\n\n".encode())


class FakeClient:
    def __init__(self) -> None:
        self.posts: list[Posted] = []
        self.refusal: RequestError | None = None

    def request(
        self, method: str, path: str, headers: Headers, body: bytes, receiver: ResponseReceiver
    ) -> Posted:
        assert (method, path) == ("POST", "")
        if self.refusal:
            raise self.refusal
        self.posts.append(Posted(headers, body, receiver))
        return self.posts[-1]


class Bench:
    def __init__(self, agreed: Agreed) -> None:
        self.client = FakeClient()
        self.delivered: list[Deliver] = []
        self.ended: list[Ended] = []
        self.clock = Clock()
        self.over = 0
        self.calls = Calls(
            self.clock,
            cast("Client", self.client),
            (("x-mine", "yes"),),
            agreed,
            ServerContext(CLIENT_INFO, STATES),
            Told(self.delivered.append, self.ended.append, session_over=self.lose),
        )

    def lose(self) -> None:
        self.over += 1

    def asked(self, made: Request | None = None) -> Posted:
        self.calls.call(7, made or tool_call("read", "caller's"))
        return self.client.posts[-1]

    @property
    def answer(self) -> Response:
        (delivered,) = self.delivered
        assert delivered.key == 7
        assert isinstance(delivered.message, Response)
        return delivered.message


@pytest.fixture
def modern() -> Bench:
    return Bench(MODERN)


@pytest.fixture
def legacy() -> Bench:
    return Bench(LEGACY)


def test_a_modern_call_has_the_modern_headers_and_an_id_of_our_own(modern: Bench) -> None:
    post = modern.asked()
    assert post.fields["mcp-method"] == "tools/call"
    assert post.fields["mcp-name"] == "read"
    assert post.fields["x-mine"] == "yes"
    assert isinstance(post.message["id"], int)
    post.answer(result={"content": []})
    assert modern.answer.id == "caller's"
    assert not modern.ended


def test_a_legacy_call_names_its_session_and_loses_the_modern_keys(legacy: Bench) -> None:
    post = legacy.asked()
    assert post.fields["mcp-session-id"] == "mine"
    assert list(post.message["params"]["_meta"]) == ["progressToken"]
    post.answer(result={"content": []})
    assert b'"resultType":"complete"' in bytes(legacy.answer.result or b"")


def test_a_legacy_server_is_not_asked_what_it_said_in_the_handshake(legacy: Bench) -> None:
    legacy.calls.call(7, request("server/discover"))
    assert not legacy.client.posts
    assert b'"supportedVersions"' in bytes(legacy.answer.result or b"")


def test_progress_comes_under_the_callers_token(modern: Bench) -> None:
    post = modern.asked()
    params = {"progressToken": post.message["params"]["_meta"]["progressToken"], "progress": 1}
    post.stream({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
    (delivered,) = modern.delivered
    assert isinstance(delivered.message, Notification)
    assert jsonrpc.decode(delivered.message.params["progressToken"]) == "caller's own"


def test_other_notifications_belong_to_no_call(modern: Bench) -> None:
    modern.asked().stream({"jsonrpc": "2.0", "method": "notifications/message"})
    assert not modern.delivered


def test_an_error_of_the_server_is_an_answer_whatever_the_status(modern: Bench) -> None:
    modern.asked().answer(400, error={"code": -32602, "message": "no such tool"})
    assert modern.answer.error is not None
    assert not modern.ended


@pytest.mark.parametrize(
    ("status", "ask_again"), [(200, True), (401, True), (404, True), (429, False), (502, False)]
)
def test_a_response_that_answers_nothing_leaves_the_outcome_open(
    modern: Bench, status: int, ask_again: bool
) -> None:
    """A bad moment of the server's says nothing of how to talk to it."""
    modern.asked().respond(status, b"<html>")
    (ended,) = modern.ended
    assert ended.detail == f"answered with HTTP {status} and no result"
    assert ended.outcome is Outcome.UNKNOWN
    assert (ended.ask_again, ended.session_lost) == (ask_again, False)


def test_an_error_that_answers_nothing_is_quoted(modern: Bench) -> None:
    error = {"code": -32000, "message": "Bad Request: which version?"}
    modern.asked().respond(400, {"jsonrpc": "2.0", "id": "server-error", "error": error})
    (ended,) = modern.ended
    assert ended.detail == "answered with HTTP 400 and no result (Bad Request: which version?)"


@pytest.mark.parametrize("status", [400, 404])
def test_a_lost_session_was_not_looked_at_even_if_the_error_has_our_id(
    legacy: Bench, status: int
) -> None:
    legacy.asked().answer(status, error={"code": -32000, "message": "No valid session"})
    (ended,) = legacy.ended
    assert ended.session_lost
    assert ended.outcome is Outcome.NOT_DELIVERED
    assert not legacy.delivered


def test_other_errors_with_status_400_do_not_mean_a_lost_session(legacy: Bench) -> None:
    legacy.asked().answer(400, error={"code": -32602, "message": "no such tool"})
    assert legacy.answer.error is not None


@pytest.mark.parametrize(
    ("failure", "detail", "outcome"),
    [
        (
            RequestFailed("refused", may_have_run=False),
            "cannot be reached: refused",
            "not_delivered",
        ),
        (RequestFailed("it broke", may_have_run=True), "gave no whole answer: it broke", "unknown"),
    ],
)
def test_a_broken_connection_says_whether_the_call_may_have_run(
    modern: Bench, failure: RequestFailed, detail: str, outcome: str
) -> None:
    modern.asked().receiver.failed(failure)
    (ended,) = modern.ended
    assert (ended.detail, ended.outcome, ended.ask_again) == (detail, outcome, True)


def test_a_connection_that_breaks_after_the_answer_is_no_news(modern: Bench) -> None:
    post = modern.asked()
    post.stream({"jsonrpc": "2.0", "id": post.message["id"], "result": {}})
    post.receiver.failed(RequestFailed("it broke", may_have_run=True))
    assert modern.answer.id == "caller's"
    assert not modern.ended


def test_what_cannot_be_sent_is_refused(modern: Bench) -> None:
    modern.client.refusal = RequestError("A header field is not allowed in HTTP/1.1")
    modern.calls.call(7, tool_call("read"))
    (ended,) = modern.ended
    assert ended.outcome is Outcome.NOT_DELIVERED
    assert ended.detail == "cannot be asked: A header field is not allowed in HTTP/1.1"


@pytest.mark.parametrize("made", [request("a\nb"), request("tools/call", _meta=1)])
def test_a_request_that_no_server_could_read_is_answered_here(modern: Bench, made: Request) -> None:
    modern.calls.call(7, made)
    assert modern.answer.error is not None
    assert not modern.client.posts


def test_cancelling_a_modern_call_closes_its_stream(modern: Bench) -> None:
    post = modern.asked()
    modern.calls.cancel(7, "gone")
    assert post.aborted
    assert modern.client.posts == [post]


def test_cancelling_a_legacy_call_tells_the_server_first(legacy: Bench) -> None:
    post = legacy.asked()
    legacy.calls.cancel(7, "gone")
    told = legacy.client.posts[-1]
    assert told.message["method"] == "notifications/cancelled"
    assert told.message["params"] == {"requestId": post.message["id"], "reason": "gone"}
    assert told.fields["mcp-session-id"] == "mine"
    assert post.aborted
    told.stream({"jsonrpc": "2.0", "method": "notifications/message"})  # of no interest
    told.receiver.ended()


def test_cancelling_what_is_over_tells_nobody(legacy: Bench) -> None:
    legacy.asked().answer(result={})
    legacy.calls.cancel(7, "gone")
    assert len(legacy.client.posts) == 1


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("ping", {"result": {}}),
        ("roots/list", {"error": {"code": -32601, "message": "Method not found: roots/list"}}),
    ],
)
def test_questions_of_a_legacy_server_are_answered(
    legacy: Bench, method: str, answer: dict[str, object]
) -> None:
    legacy.asked().stream({"jsonrpc": "2.0", "id": "q", "method": method})
    assert legacy.client.posts[-1].message == {"jsonrpc": "2.0", "id": "q", **answer}


def test_a_server_that_pings_and_takes_no_answers_gets_a_few(legacy: Bench) -> None:
    post = legacy.asked()
    for number in range(3000):
        post.stream({"jsonrpc": "2.0", "id": number, "method": "ping"})
    assert len(legacy.client.posts) == 1 + MAX_ONE_WAY


def test_a_modern_server_asks_nothing_and_is_not_answered(modern: Bench) -> None:
    modern.asked().stream({"jsonrpc": "2.0", "id": "q", "method": "ping"})
    assert len(modern.client.posts) == 1


def test_a_call_is_held_back_by_its_own_connection(modern: Bench) -> None:
    post = modern.asked()
    modern.calls.pause(7)
    modern.calls.resume(7)
    modern.calls.pause(8)
    post.answer(result={})
    modern.calls.resume(7)
    assert post.pauses == ["pause", "resume"]


REGION = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
BROKEN = {"type": "object", "properties": {"a": {"type": "string", "x-mcp-header": "a b"}}}


def listed(bench: Bench) -> list[str]:
    """Let the server list tools with marks; return the names of those that are passed on."""
    bench.calls.call(1, request("tools/list", _meta={}))
    tools = [
        {"name": "read", "inputSchema": REGION},
        {"name": "broken", "inputSchema": BROKEN},
    ]
    bench.client.posts[-1].answer(result={"tools": tools})
    message = bench.delivered.pop().message
    assert isinstance(message, Response)
    result = jsonrpc.decode(message.result or b"")
    return [tool["name"] for tool in result["tools"]]


def test_a_modern_server_sees_marked_arguments_in_the_head(modern: Bench, log: Log) -> None:
    """Tools with marks that break the rules are left out, and that is logged."""
    assert listed(modern) == ["read"]
    assert "the tool broken is left out" in log
    post = modern.asked(tool_call("read", region="eu"))
    assert post.fields["mcp-param-region"] == "eu"
    assert "mcp-param-region" not in modern.asked(tool_call("read")).fields
    assert "mcp-param-region" not in modern.asked(tool_call("other", region="eu")).fields


def test_a_legacy_server_knows_no_marks(legacy: Bench) -> None:
    assert listed(legacy) == ["read", "broken"]
    assert "mcp-param-region" not in legacy.asked(tool_call("read", region="eu")).fields


def test_arguments_that_cannot_be_read_are_refused_here(modern: Bench) -> None:
    listed(modern)
    made = tool_call("read")
    made.params["arguments"] = Raw(b"[" * 100_000 + b"]" * 100_000)
    modern.calls.call(7, made)
    assert modern.answer.error is not None
    assert len(modern.client.posts) == 1


LISTEN = request("subscriptions/listen", "l", notifications={"toolsListChanged": True})


def test_a_listen_whose_stream_breaks_is_asked_for_again_less_and_less_often(
    modern: Bench,
) -> None:
    modern.calls.call(7, LISTEN)
    for wait_s in (1, 2, 4):
        count = len(modern.client.posts)
        modern.client.posts[-1].receiver.failed(RequestFailed("broke", may_have_run=True))
        modern.clock.advance(wait_s - 0.1)
        assert len(modern.client.posts) == count
        modern.clock.advance(0.1)
        assert len(modern.client.posts) == count + 1
    about = {"io.modelcontextprotocol/subscriptionId": modern.client.posts[-1].message["id"]}
    method = "notifications/subscriptions/acknowledged"
    modern.client.posts[-1].stream({"jsonrpc": "2.0", "method": method, "params": {"_meta": about}})
    modern.client.posts[-1].receiver.ended()
    modern.clock.advance(1)
    assert len(modern.client.posts) == 5
    assert not modern.ended


def test_a_listen_to_a_server_that_is_away_is_left_to_the_next_handshake(modern: Bench) -> None:
    modern.calls.call(7, LISTEN)
    modern.client.posts[-1].receiver.failed(RequestFailed("refused", may_have_run=False))
    assert modern.over == 1
    assert not modern.clock.getDelayedCalls()


def test_who_retires_listens_no_more_and_goes_on_with_calls(modern: Bench) -> None:
    modern.calls.call(1, LISTEN)
    modern.calls.call(2, LISTEN)
    first, second = modern.client.posts
    post = modern.asked()
    first.receiver.failed(RequestFailed("broke", may_have_run=True))
    modern.calls.retire()
    assert (second.aborted, post.aborted) == (True, False)
    assert not modern.clock.getDelayedCalls()
    post.answer(result={})
    assert modern.answer.id == "caller's"
    second.receiver.failed(RequestFailed("late", may_have_run=True))


def test_a_listen_that_cannot_be_sent_waits_for_the_next_handshake(modern: Bench) -> None:
    modern.client.refusal = RequestError("The client is closed")
    modern.calls.call(7, LISTEN)
    assert not modern.ended


def test_questions_come_on_the_calls_stream_and_are_given_up(legacy: Bench) -> None:
    asks: dict[str, object] = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}
    post = legacy.asked(request("tools/call", "a", name="ask", _meta=asks))
    post.stream({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": {}})
    assert jsonrpc.decode(legacy.answer.result or b"")["resultType"] == "input_required"
    assert legacy.calls.parked_count == 1
    legacy.calls.tick(3600.0)
    answered, cancelled = (one.message for one in legacy.client.posts[-2:])
    assert answered["error"]["message"] == "The client did not answer in time"
    assert cancelled["method"] == "notifications/cancelled"
    assert post.aborted


def test_a_call_whose_stream_ends_while_it_is_parked_is_over(legacy: Bench) -> None:
    asks: dict[str, object] = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}
    post = legacy.asked(request("tools/call", "a", name="ask", _meta=asks))
    post.stream({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": {}})
    post.receiver.ended()
    assert legacy.calls.parked_count == 0
    assert not legacy.ended


@pytest.mark.parametrize(
    ("end", "may_ask"),
    [
        (lambda post: post.receiver.failed(RequestFailed("it broke", may_have_run=True)), True),
        (lambda post: post.receiver.failed(RequestFailed("refused", may_have_run=False)), False),
        (lambda post: post.respond(200, b"", EVENTS), True),
        (lambda post: post.respond(504, b"gone"), True),
        (lambda post: post.respond(400, b"no"), False),
        (lambda post: post.respond(404, b"no session"), False),
        (lambda post: post.answer(result={}), False),
    ],
)
def test_a_call_without_an_answer_may_still_ask_if_it_may_run(
    legacy: Bench, end: Callable[[Posted], None], may_ask: bool
) -> None:
    """On the stream of no call: then no other client's call is the only one."""
    legacy.calls.call(7, tool_call("read"), Asker("local|eve", "key-2"))
    end(legacy.client.posts[-1])
    questions = legacy.calls._conversation._questions
    assert questions.is_only(Asker("local|ken", "key-1")) is not may_ask
