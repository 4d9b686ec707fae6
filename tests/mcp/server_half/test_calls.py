"""The calls in flight on one child: whose they are, and what is said to whom under which id."""

import json
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification, Request, Response
from mcptunnel.mcp.server_half.actions import Deliver
from mcptunnel.mcp.server_half.calls import OpenCalls
from mcptunnel.mcp.server_half.handshake import ServerInfo
from mcptunnel.mcp.versions import LATEST_LEGACY, LATEST_MODERN, Era
from tests.mcp.server_half.talk import MODERN_META, plain, request

MODERN = ServerInfo(Era.MODERN, LATEST_MODERN, Raw(b"{}"))
LEGACY = ServerInfo(Era.LEGACY, LATEST_LEGACY, Raw(b"{}"), Raw(b'{"name":"files"}'))
SERVER_KEY = "io.modelcontextprotocol/serverInfo"
DONE = Raw(b'{"content":[]}')


def progress(token: object, **members: object) -> Notification:
    params = {"progressToken": token, **members}
    encoded = {name: jsonrpc.raw(value) for name, value in params.items()}
    return Notification("notifications/progress", encoded)


def opened(asked: Request, info: ServerInfo = MODERN) -> tuple[OpenCalls, dict[str, Any]]:
    """Calls with one call of key 7 and own id 1, and its line, decoded."""
    calls = OpenCalls()
    line: dict[str, Any] = json.loads(calls.open(7, asked, info.era))
    return calls, line


def test_ids_are_never_given_twice_nor_after_a_refused_call() -> None:
    calls = OpenCalls()
    first = calls.new_id()
    with pytest.raises(JsonRpcError):
        calls.open(1, Request("a", "m", {"_meta": Raw(b"[]")}), Era.MODERN)
    opened_id = json.loads(calls.open(2, request("b"), Era.MODERN))["id"]
    assert first < opened_id < calls.new_id()


@pytest.mark.parametrize("own", [None, "1", "", 0, -1, 3])
def test_only_ids_given_out_were_issued(own: Any) -> None:
    calls = OpenCalls()
    assert not calls.issued(1)
    calls.new_id()
    calls.open(7, request("a"), Era.MODERN)
    assert not calls.issued(own)
    assert [calls.issued(1), calls.issued(2)] == [True, True]


def test_an_id_stays_issued_when_its_call_is_over() -> None:
    calls, _ = opened(request("a"))
    calls.forget(7)
    assert calls.issued(1)


@pytest.mark.parametrize("era", Era)
def test_a_request_without_meta_gets_another_id_only(era: Era) -> None:
    line = OpenCalls().open(7, Request("a", "vendor/x", {"n": Raw(b"1.50")}), era)
    assert line == b'{"jsonrpc":"2.0","id":1,"method":"vendor/x","params":{"n":1.50}}'


def test_a_modern_server_gets_meta_as_it_was_written_if_no_progress_is_wanted() -> None:
    about = Raw(b'{ "vendor/x":1e2, "io.modelcontextprotocol/protocolVersion":"2026-07-28"}')
    asked = Request("a", "m", {"_meta": about})
    assert bytes(about) in OpenCalls().open(7, asked, Era.MODERN)


def test_a_modern_server_gets_our_id_as_the_token_and_the_rest_of_meta() -> None:
    _, line = opened(request("a", meta={"progressToken": "t", "vendor/x": [1]}))
    about = {**MODERN_META, "progressToken": 1, "vendor/x": [1]}
    assert (line["id"], line["params"]) == (1, {"_meta": about})


def test_a_legacy_server_gets_our_id_as_the_token_and_no_keys_of_the_protocol() -> None:
    _, line = opened(request("a", meta={"progressToken": "t", "vendor/x": [1]}, n=1), LEGACY)
    assert line["params"] == {"n": 1, "_meta": {"progressToken": 1, "vendor/x": [1]}}


@pytest.mark.parametrize("about", [b"null", b"{}", b'{"io.modelcontextprotocol/x":1}'])
def test_a_legacy_server_gets_no_empty_meta(about: bytes) -> None:
    _, line = opened(Request("a", "m", {"_meta": Raw(about)}), LEGACY)
    assert "params" not in line


@pytest.mark.parametrize("era", Era)
@pytest.mark.parametrize("about", [b"[]", b"5", b'"x"', b"true"])
def test_a_meta_that_is_no_object_is_refused_and_nothing_remembered(era: Era, about: bytes) -> None:
    calls = OpenCalls()
    with pytest.raises(JsonRpcError) as caught:
        calls.open(7, Request("a", "m", {"_meta": Raw(about)}), era)
    assert caught.value.code == jsonrpc.INVALID_PARAMS
    assert (len(calls), calls.forget(7), calls.drain()) == (0, None, [])


def test_opening_a_call_leaves_the_callers_request_alone() -> None:
    asked = request("a", meta={"progressToken": "t"})
    before = plain(asked)
    OpenCalls().open(7, asked, Era.LEGACY)
    assert plain(asked) == before


@pytest.mark.parametrize("caller_id", ["a", "", 0, 1, 2**53])
def test_an_answer_comes_back_under_the_callers_id(caller_id: str | int) -> None:
    calls, _ = opened(request(caller_id))
    assert calls.answer(Response(1, DONE), MODERN) == Deliver(7, Response(caller_id, DONE))


@pytest.mark.parametrize("own", [None, "1", 2, 0])
def test_an_answer_to_something_else_closes_nothing(own: Any) -> None:
    calls, _ = opened(request("a"))
    assert calls.answer(Response(own, DONE), MODERN) is None
    assert len(calls) == 1


def test_a_modern_answer_is_not_changed() -> None:
    """Not even one that would be wrong from a legacy server."""
    for response in (Response(1, Raw(b"null")), Response(1, error=Raw(b'{"code":-32002}'))):
        calls, _ = opened(request("a"))
        delivery = calls.answer(response, MODERN)
        assert delivery == Deliver(7, Response("a", response.result, response.error))


@pytest.mark.parametrize("method", ["tools/call", "tools/list"])
def test_a_legacy_result_becomes_modern_as_its_method_demands(method: str) -> None:
    calls, _ = opened(request("a", method), LEGACY)
    delivery = calls.answer(Response(1, Raw(b"{}")), LEGACY)
    assert delivery is not None
    cached = {"ttlMs": 0, "cacheScope": "private"} if method == "tools/list" else {}
    about = {SERVER_KEY: {"name": "files"}}
    result = {"resultType": "complete", **cached, "_meta": about}
    assert plain(delivery.message) == {"jsonrpc": "2.0", "id": "a", "result": result}


def test_a_legacy_result_that_is_no_object_becomes_an_error_and_ends_the_call() -> None:
    calls, _ = opened(request("a"), LEGACY)
    delivery = calls.answer(Response(1, Raw(b"[]")), LEGACY)
    assert delivery is not None
    error = {"code": jsonrpc.INTERNAL_ERROR, "message": "The server's result is no object"}
    assert plain(delivery.message) == {"jsonrpc": "2.0", "id": "a", "error": error}
    assert len(calls) == 0


def test_a_legacy_error_gets_its_modern_code() -> None:
    calls, _ = opened(request("a"), LEGACY)
    delivery = calls.answer(Response(1, error=Raw(b'{"code":-32002,"message":"m"}')), LEGACY)
    assert delivery is not None
    error = {"code": jsonrpc.INVALID_PARAMS, "message": "m"}
    assert plain(delivery.message) == {"jsonrpc": "2.0", "id": "a", "error": error}


def test_an_answer_with_neither_result_nor_error_still_ends_a_legacy_call() -> None:
    calls, _ = opened(request("a"), LEGACY)
    assert calls.answer(Response(1), LEGACY) == Deliver(7, Response("a"))
    assert len(calls) == 0


@pytest.mark.parametrize("token", [b'"t"', b"7", b'"7"', b'""', b"0", b'"\\u00e9"'])
def test_progress_comes_back_under_the_callers_token_byte_for_byte(token: bytes) -> None:
    calls, _ = opened(Request("a", "m", {"_meta": Raw(b'{"progressToken":%b}' % token)}))
    told = calls.progress(progress(1, progress=0.5, message="half"))
    assert told is not None
    assert told.key == 7
    assert isinstance(told.message, Notification)
    assert told.message.method == "notifications/progress"
    assert told.message.params == {
        "progressToken": Raw(token),
        "progress": Raw(b"0.5"),
        "message": Raw(b'"half"'),
    }
    assert len(calls) == 1


@pytest.mark.parametrize("token", [2, 0, -1, 2**70, "1", "t", None, True, 1.0, [1], {}])
def test_progress_under_a_token_that_is_not_ours_is_dropped(token: object) -> None:
    calls, _ = opened(request("a", meta={"progressToken": "t"}))
    assert calls.progress(progress(token)) is None


def test_progress_without_a_token_is_dropped() -> None:
    calls, _ = opened(request("a", meta={"progressToken": "t"}))
    assert calls.progress(Notification("notifications/progress")) is None


def test_progress_of_a_call_that_wanted_none_is_dropped() -> None:
    calls, _ = opened(request("a"))
    assert calls.progress(progress(1)) is None


keys = st.integers(0, 9)
tokens = st.none() | st.sampled_from(["t", 1, 2, ""])


class Calls(RuleBasedStateMachine):
    """Against a plain table of open calls: own id -> (key, caller's id, token), oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = OpenCalls()
        self.known: dict[int, tuple[int, str | int, object]] = {}
        self.issued = 0

    def own_of(self, key: int) -> int | None:
        return next((own for own, call in self.known.items() if call[0] == key), None)

    @rule()
    def new_id(self) -> None:
        self.issued += 1
        assert self.calls.new_id() == self.issued

    @rule(
        key=keys, caller_id=st.sampled_from(["a", "1", 1]), token=tokens, era=st.sampled_from(Era)
    )
    def open(self, key: int, caller_id: str | int, token: object, era: Era) -> None:
        if self.own_of(key) is not None:  # callers' keys are unique while a call is open
            return
        about = {} if token is None else {"progressToken": token}
        line = json.loads(self.calls.open(key, request(caller_id, meta=about), era))
        self.issued += 1
        assert line["id"] == self.issued
        asked = line["params"].get("_meta", {}) if "params" in line else {}
        assert asked.get("progressToken") == (None if token is None else self.issued)
        self.known[self.issued] = (key, caller_id, token)

    @rule(key=keys)
    def forget(self, key: int) -> None:
        own = self.own_of(key)
        assert self.calls.forget(key) == own
        self.known.pop(own or 0, None)

    @precondition(lambda self: self.issued)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        own = data.draw(st.integers(1, self.issued))
        call = self.known.pop(own, None)
        expected = None if call is None else Deliver(call[0], Response(call[1], DONE))
        assert self.calls.answer(Response(own, DONE), MODERN) == expected

    @precondition(lambda self: self.issued)
    @rule(data=st.data())
    def progress(self, data: st.DataObject) -> None:
        own = data.draw(st.integers(1, self.issued))
        told = self.calls.progress(progress(own, progress=1))
        key, _, token = self.known.get(own, (0, 0, None))
        expected = None if token is None else Deliver(key, progress(token, progress=1))
        assert told == expected

    @rule()
    def drain(self) -> None:
        assert self.calls.drain() == [call[0] for call in self.known.values()]
        self.known.clear()

    @invariant()
    def as_many_are_open_as_were_not_closed(self) -> None:
        assert len(self.calls) == len(self.known)
        assert self.calls.issued(self.issued + 1) is False
        assert self.calls.issued(self.issued) is (self.issued > 0)


TestCalls = Calls.TestCase


@pytest.mark.parametrize("info", [MODERN, LEGACY])
def test_a_progress_token_of_null_counts_as_absent(info: ServerInfo) -> None:
    calls, _ = opened(request("a", meta={"progressToken": None}), info)
    assert calls.progress(progress(1)) is None


@pytest.mark.parametrize("token", [1.5, True, [], {"a": 1}])
def test_other_kinds_of_progress_tokens_are_refused(token: object) -> None:
    calls = OpenCalls()
    with pytest.raises(JsonRpcError) as refused:
        calls.open(7, request("a", meta={"progressToken": token}), Era.MODERN)
    assert refused.value.code == jsonrpc.INVALID_PARAMS
    assert len(calls) == 0
