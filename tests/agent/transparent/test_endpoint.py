"""One server for clients of both eras: the agent speaks for a server on a pipe; who goes which way."""

from typing import Any, cast

import pytest

from mcptunnel.agent.servers.interfaces import Passage
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.client_half.session import name_of
from mcptunnel.mcp.service import Asker, client_of_session
from mcptunnel.mcp.versions import Era
from mcptunnel.model import ExchangeKind, Outcome, RequestHead
from mcptunnel.wire.constants import ErrorCode
from tests.agent.local_http import LocalHttp
from tests.agent.transparent.stage import JSON_FIELDS, LEGACY, MODERN, HttpTold, Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def text_of(result: Any) -> Any:
    return result["content"][0]["text"]


def session_of(stage: Stage, **capabilities: Any) -> str:
    session = stage.initialize(capabilities).field("mcp-session-id")
    assert session is not None
    return session


# A modern client.


def test_a_modern_call_is_answered_in_one_body(stage: Stage) -> None:
    told = stage.modern("tools/call", {"name": "echo", "arguments": {"a": 1}}, request_id="x")
    assert (told.status, told.is_whole) == (200, True)
    assert told.field("content-type") == "application/json"
    assert told.field("content-length") == str(len(told.body))
    assert told.field("mcp-session-id") is None
    assert (told.json["id"], text_of(told.json["result"])) == ("x", "{'a': 1}")


def test_progress_makes_a_stream(stage: Stage) -> None:
    told = stage.modern("tools/call", {"name": "wait", "_meta": {"progressToken": "p"}})
    (call,) = stage.server.calls
    call.progress(1)
    stage.relay.settle()
    assert told.field("content-type") == "text/event-stream"
    assert not told.is_whole
    call.answer("done")
    stage.relay.settle()
    progress, response = told.messages
    assert progress["params"]["progressToken"] == "p"
    assert (response["id"], text_of(response["result"])) == (1, "done")
    assert told.is_whole


def test_closing_the_stream_cancels(stage: Stage) -> None:
    told = stage.modern("tools/call", {"name": "wait"})
    (call,) = stage.server.calls
    assert told.exchange is not None
    told.exchange.reset(ErrorCode.CANCEL, "gone")
    stage.relay.settle()
    assert call.cancelled == "the client closed the stream"


@pytest.mark.parametrize(
    ("method", "status", "code"),
    [("ping", 404, -32601), ("initialize", 404, -32601), ("nothing/known", 404, -32601)],
)
def test_what_there_is_not_is_not_found(stage: Stage, method: str, status: int, code: int) -> None:
    told = stage.modern(method)
    assert (told.status, told.json["error"]["code"], told.json["id"]) == (status, code, 1)


def test_a_claim_without_its_header_is_refused(stage: Stage) -> None:
    body = b'{"jsonrpc":"2.0","id":4,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}'
    told = stage.send("POST", body, JSON_FIELDS)
    assert (told.status, told.json["error"]["code"], told.json["id"]) == (400, -32020, 4)


def test_a_listen_stays_open_until_the_agent_stops(stage: Stage) -> None:
    """Then it has its result; its notifications bear the client's own id."""
    told = stage.modern(
        "subscriptions/listen", {"notifications": {"toolsListChanged": True}}, request_id="mine"
    )
    (listen,) = stage.server.listens
    listen.notify("notifications/tools/list_changed", {})
    stage.relay.settle()
    stage.stop()
    about = [one.get("params", one.get("result"))["_meta"] for one in told.messages]
    assert about == [{"io.modelcontextprotocol/subscriptionId": "mine"}] * 3
    assert told.is_whole
    assert listen.cancelled is not None


# A legacy client.


def test_a_session_from_its_beginning_to_its_end(stage: Stage) -> None:
    told = stage.initialize()
    session = told.field("mcp-session-id")
    assert told.status == 200
    assert told.json["result"]["protocolVersion"] == LEGACY
    assert told.json["result"]["serverInfo"]["name"] == "memory"
    assert session is not None
    note = stage.in_session(session, {"method": "notifications/initialized"})
    assert (note.status, note.body, note.field("content-length")) == (202, b"", "0")
    told = stage.in_session(
        session, {"id": 7, "method": "tools/call", "params": {"name": "echo", "arguments": {}}}
    )
    assert text_of(told.json["result"]) == "{}"
    assert "resultType" not in told.json["result"]
    fields = (("mcp-session-id", session),)
    assert stage.send("DELETE", b"", fields).status == 204
    assert stage.in_session(session, {"id": 8, "method": "ping"}).status == 404


def test_a_session_is_its_askers_alone(stage: Stage) -> None:
    session = session_of(stage)
    told = stage.in_session(session, {"id": 7, "method": "ping"}, client="key:2")
    assert (told.status, told.json["error"]["code"]) == (404, -32001)
    assert stage.in_session(session, {"id": 7, "method": "ping"}).status == 200


def test_the_servers_question_is_a_request_on_the_calls_stream(stage: Stage) -> None:
    """The client's answer is a POST of its own; then the call goes on with it."""
    session = session_of(stage, elicitation={})
    told = stage.in_session(
        session, {"id": 7, "method": "tools/call", "params": {"name": "wait", "arguments": {}}}
    )
    asked = {"method": "elicitation/create", "params": {"message": "Who?", "requestedSchema": {}}}
    stage.server.calls.pop().answer(
        {"resultType": "input_required", "inputRequests": {"k": asked}, "requestState": "state"}
    )
    stage.relay.settle()
    (question,) = told.messages
    assert question["params"]["message"] == "Who?"
    answer = {"action": "accept", "content": {"name": "Ada"}}
    assert stage.in_session(session, {"id": question["id"], "result": answer}).status == 202
    (again,) = stage.server.calls
    assert bytes(again.request.params["requestState"]) == b'"state"'
    again.answer("hello")
    stage.relay.settle()
    assert text_of(told.messages[-1]["result"]) == "hello"
    assert told.is_whole


def test_a_get_is_the_sessions_stream(stage: Stage) -> None:
    session = session_of(stage)
    fields = (("mcp-session-id", session), ("accept", "text/event-stream"))
    told = stage.send("GET", b"", fields)
    (listen,) = stage.server.listens
    listen.notify("notifications/tools/list_changed", {})
    stage.relay.settle()
    assert (told.status, told.field("content-type")) == (200, "text/event-stream")
    assert [message["method"] for message in told.messages] == ["notifications/tools/list_changed"]
    stage.stop()
    assert told.is_whole


def test_a_get_without_a_session_is_not_offered(stage: Stage) -> None:
    told = stage.send("GET", b"", (("accept", "text/event-stream"),))
    assert (told.status, told.field("allow")) == (405, "POST, DELETE")


# What the server is told of its clients, and what goes wrong.


def test_the_server_hears_who_asks_and_in_which_era(stage: Stage) -> None:
    """Each session of a legacy client is somebody for himself."""
    stage.modern("server/discover")
    session = session_of(stage)
    stage.in_session(session, {"id": 1, "method": "tools/list"})
    assert stage.server.askers == [
        Asker("local|ken", "key:1", Era.MODERN),
        Asker("local|ken", "key:1", Era.LEGACY),
        Asker("local|ken", client_of_session("key:1", name_of(session)), Era.LEGACY),
    ]


@pytest.mark.parametrize(
    ("outcome", "status", "safe"),
    [(Outcome.NOT_DELIVERED, 503, True), (Outcome.UNKNOWN, 502, False)],
)
def test_a_call_that_is_lost_says_whether_it_may_have_run(
    stage: Stage, outcome: Outcome, status: int, safe: bool
) -> None:
    for told in (
        stage.modern("tools/call", {"name": "wait"}, request_id=9),
        stage.in_session(
            session_of(stage), {"id": 9, "method": "tools/call", "params": {"name": "wait"}}
        ),
    ):
        stage.server.calls.pop(0).fail("The server 'files' has ended.", outcome)
        stage.relay.settle()
        error = told.json["error"]
        assert (told.status, told.json["id"], error["code"]) == (status, 9, -32603)
        assert error["data"] == {"outcome": outcome}
        assert error["message"].startswith("The server 'files' has ended. The call ")
        assert (told.field("retry-after") == "1") is safe


def test_whoever_comes_while_the_agent_stops_may_come_again(stage: Stage) -> None:
    stage.modern("server/discover")
    stage.exchanges.drain()
    told = stage.modern("tools/list", request_id=5)
    assert (told.status, told.json["id"], told.field("retry-after")) == (503, 5, "1")
    assert told.json["error"]["data"] == {"outcome": "not_delivered"}


# Which way.


class Ways(Stage):
    """A server that speaks HTTP, to clients of some eras."""

    def __init__(self, *eras: Era) -> None:
        super().__init__()
        self.local = LocalHttp()
        self.server.passage = Passage(self.local, (), frozenset(eras))

    def goes(self, method: str, *fields: tuple[str, str], body: bytes = b"") -> str:
        """Say which way a request goes."""
        count = len(self.local.asked)
        told = self.send(method, body, (*fields, ("content-length", str(len(body)))))
        assert (told.head is None) == (len(self.local.asked) > count)
        return "untouched" if told.head is None else "spoken"


VERSIONS = {Era.MODERN: MODERN, Era.LEGACY: LEGACY}
INITIALIZE = b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}'
CLAIMING = b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}'


@pytest.mark.parametrize("served", [(), (Era.MODERN,), (Era.LEGACY,), tuple(Era)])
@pytest.mark.parametrize("era", Era)
def test_bytes_pass_to_a_server_of_the_clients_era(served: tuple[Era, ...], era: Era) -> None:
    """Of no other: there the agent speaks."""
    ways = Ways(*served)
    version = ("mcp-protocol-version", VERSIONS[era])
    expected = "untouched" if era in served else "spoken"
    for method in ("POST", "GET", "DELETE"):
        assert ways.goes(method, version) == expected
    if era is Era.LEGACY:
        assert ways.goes("POST", ("mcp-session-id", "theirs")) == expected
        assert ways.goes("POST", *JSON_FIELDS, body=INITIALIZE) == expected
    else:
        # Without its headers it is refused by anybody who knows them.
        everybody = set(served) == set(Era)
        assert (ways.goes("POST", *JSON_FIELDS, body=CLAIMING) == "untouched") is everybody
        assert ways.goes("POST", ("mcp-method", "tools/list")) == expected


def test_a_session_goes_back_to_whoever_gave_it() -> None:
    """Even if the server has begun to serve such clients itself."""
    ways = Ways(Era.MODERN)
    ours = session_of(ways)
    ways.server.passage = Passage(ways.local, (), frozenset(Era))
    assert ways.in_session(ours, {"id": 1, "method": "ping"}).json["result"] == {}
    assert ways.goes("POST", ("mcp-session-id", "theirs")) == "untouched"
    assert ways.goes("POST", ("mcp-session-id", ours), ("mcp-protocol-version", MODERN)) == (
        "untouched"
    )
    ways.send("DELETE", b"", (("mcp-session-id", ours),))
    assert ways.goes("POST", ("mcp-session-id", ours)) == "untouched"


def test_a_session_that_was_given_to_another_client_is_not_passed_on() -> None:
    """Neither to whoever learned its id, nor after the relay has forgotten whose it is."""
    ways = Ways(*Era)
    assert ways.goes("POST", *JSON_FIELDS, body=INITIALIZE) == "untouched"
    ways.local.last.answer(200, ("mcp-session-id", "theirs"))
    ways.local.last.end()
    fields = (*JSON_FIELDS, ("mcp-session-id", "theirs"))
    assert ways.goes("POST", *fields) == "untouched"
    stolen = ways.send("POST", b'{"jsonrpc":"2.0","id":7,"method":"ping"}', fields, client="key:2")
    assert (stolen.status, stolen.json["error"]["code"], stolen.json["id"]) == (404, -32001, 7)


def test_a_head_that_cannot_be_passed_on_is_refused() -> None:
    ways = Ways(*Era)
    told = ways.begin("POST", (("content-length", "x"),))
    assert told.failure is not None
    assert told.failure.code is ErrorCode.REFUSED_STREAM
    assert "the content length is malformed" in told.failure.text


def test_nothing_is_left_behind(stage: Stage) -> None:
    stage.modern("tools/call", {"name": "wait"})
    session_of(stage)
    stage.stop()
    stage.server.calls.pop().answer("done")
    stage.server.become(ServerState.STOPPED)
    assert not [call for call in stage.clock.getDelayedCalls() if "sweep" in str(cast(Any, call))]


def test_a_body_and_its_answer_may_be_large(stage: Stage) -> None:
    """A window and more goes each way."""
    text = "x" * 90_000
    told: HttpTold = stage.modern("tools/call", {"name": "echo", "arguments": {"a": text}})
    assert text in text_of(told.json["result"])


def test_a_client_that_lost_its_access_loses_its_sessions(stage: Stage) -> None:
    """With the call in it, although the client left: and nobody else loses any."""
    sessions = [stage.initialize().field("mcp-session-id") or "" for _ in range(2)]
    params = {"name": "wait", "arguments": {}}
    call = stage.in_session(sessions[0], {"id": 1, "method": "tools/call", "params": params})
    assert call.exchange is not None
    call.exchange.reset(ErrorCode.CANCEL, "gone")
    stage.relay.settle()
    (waiting,) = stage.server.calls
    assert waiting.cancelled is None
    for client in ("key:2", "key:1"):
        head = RequestHead(
            "@agent", "POST", "/revoked", (), "local|ken", client, ExchangeKind.CONTROL
        )
        exchange = stage.relay.tunnels[-1].open(head, HttpTold())
        exchange.end()
        stage.relay.settle()
        status = stage.in_session(sessions[1], {"id": 2, "method": "ping"}).status
        assert status == (200 if client == "key:2" else 404)
    assert waiting.cancelled == "the session was ended"


def test_a_call_goes_on_without_its_client_until_the_session_ends(stage: Stage) -> None:
    """In the legacy eras to leave is not to cancel; DELETE ends the session with its calls."""
    session = session_of(stage)
    params = {"name": "wait", "arguments": {}}
    call = stage.in_session(session, {"id": 1, "method": "tools/call", "params": params})
    assert call.exchange is not None
    call.exchange.reset(ErrorCode.CANCEL, "gone")
    stage.relay.settle()
    (waiting,) = stage.server.calls
    told = [waiting.cancelled]
    assert stage.send("DELETE", b"", (("mcp-session-id", session),)).status == 204
    assert [*told, waiting.cancelled] == [None, "the session was ended"]
