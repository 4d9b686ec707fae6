"""What passes between a client and one server, and what does not; and questions on the way back."""

import sys
from typing import Any

import pytest

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    MISSING_CLIENT_CAPABILITY,
    Request,
)
from mcptunnel.mcp.versions import Era
from mcptunnel.relay.hub.routed_call import MAX_KEPT_PARAMS_BYTES, _kept
from mcptunnel.relay.hub.seals import STATE_S
from mcptunnel.testing.joined import Answer, Joined, MemoryClient
from mcptunnel.testing.local_server import MemoryServer, WaitingCall

ELICIT = {
    "method": "elicitation/create",
    "params": {"message": "Which?", "requestedSchema": {"type": "object"}},
}
SERVER_INFO = "io.modelcontextprotocol/serverInfo"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"


class Asking:
    """A client that can be asked, and a server that asks it."""

    def __init__(self, *, user: str = "alice", argument: str = "a") -> None:
        self.joined = Joined()
        self.server = MemoryServer("files", {"read": None, "write": None})
        self.joined.agent(self.server)
        self.client = self.new_client(user)
        self.params: dict[str, Any] = {"name": "files__read", "arguments": {"p": argument}}

    def new_client(self, user: str = "alice", key_id: str = "") -> MemoryClient:
        client = self.joined.client(user, key_id)
        client.capabilities = {"elicitation": {}}
        return client

    def ask(self, **result: Any) -> dict[str, Any]:
        """Call, be asked, and return the question."""
        answer = self.client.request("tools/call", self.params)
        self.reply({"resultType": "input_required", "inputRequests": {"k": ELICIT}, **result})
        asked: dict[str, Any] = answer.value
        return asked

    def reply(self, result: dict[str, Any]) -> None:
        self.server.calls[-1].answer(result)
        self.joined.settle()

    def retry(self, state: Any, client: MemoryClient | None = None, **changes: Any) -> Answer:
        params = {
            **self.params,
            "inputResponses": {"k": {"action": "accept"}},
            "requestState": state,
            **changes,
        }
        return (client or self.client).request("tools/call", params, request_id=2)

    @property
    def seen(self) -> Any:
        """The parameters that the server saw last."""
        return jsonrpc.decode(jsonrpc.raw(self.server.requests[-1].params))


@pytest.mark.parametrize("era", Era)
def test_the_agent_is_told_which_era_the_client_speaks(era: Era) -> None:
    asking = Asking()
    asking.client.era = era
    asking.client.request("tools/call", asking.params)
    assert asking.server.calls[-1].asker.era is era


@pytest.mark.parametrize("own", ["the server's own", "", "x" * 5000, "\u00fc\n"])
@pytest.mark.parametrize("size", [1, MAX_KEPT_PARAMS_BYTES])
def test_a_question_comes_back_to_its_server_with_its_own_state(own: str, size: int) -> None:
    asking = Asking(argument="a" * size)
    asked = asking.ask(requestState=own)
    assert asked["inputRequests"]["k"]["params"]["message"] == "[files] Which?"
    assert not own or own not in asked["requestState"]
    answer = asking.retry(asked["requestState"])
    assert asking.seen["requestState"] == own
    assert asking.seen["inputResponses"] == {"k": {"action": "accept"}}
    assert asking.seen["name"] == "read"
    again = {"resultType": "input_required", "requestState": "second"}
    asking.reply(again)
    answer = asking.retry(answer.value["requestState"])
    assert asking.seen["requestState"] == "second"
    asking.reply({"resultType": "complete", "content": []})
    assert answer.value["content"] == []


def test_a_server_without_a_state_gets_none() -> None:
    asking = Asking()
    asked = asking.ask()
    asking.retry(asked["requestState"])
    assert "requestState" not in asking.seen


@pytest.mark.parametrize(
    "changes",
    [
        {"arguments": {"p": "other"}},
        {"name": "files__write"},
        {"more": 1},
        {"requestState": "invented"},
        {"requestState": ""},
        {"requestState": 1},
    ],
)
def test_a_state_is_good_for_its_request_alone(changes: dict[str, Any]) -> None:
    asking = Asking()
    state = asking.ask(requestState="s")["requestState"]
    count = len(asking.server.calls)
    failure = asking.retry(state, **changes).failure
    assert failure is not None
    assert failure.code == INVALID_PARAMS
    assert len(asking.server.calls) == count


def test_a_state_that_was_tampered_with_is_refused() -> None:
    asking = Asking()
    state = asking.ask(requestState="s")["requestState"]
    for position in (0, len(state) // 2, len(state) - 2):
        other = "A" if state[position] != "A" else "B"
        failure = asking.retry(state[:position] + other + state[position + 1 :]).failure
        assert failure is not None
        assert failure.code == INVALID_PARAMS


def test_a_state_is_good_for_its_client_alone() -> None:
    asking = Asking()
    state = asking.ask(requestState="s")["requestState"]
    asking.joined.agent(MemoryServer("files", {"read": None}), user="bob")
    for client in (asking.new_client(key_id="another"), asking.new_client("bob")):
        client.tools()
        failure = asking.retry(state, client).failure
        assert failure is not None
        assert failure.code == INVALID_PARAMS
    assert asking.retry(state).failure is None


def test_a_state_expires() -> None:
    asking = Asking()
    state = asking.ask(requestState="s")["requestState"]
    asking.joined.clock.rightNow += STATE_S
    failure = asking.retry(state).failure
    assert failure is not None
    assert "expired" in failure.message


def test_a_client_is_not_asked_what_it_did_not_declare() -> None:
    asking = Asking()
    asking.client.capabilities = {"roots": {}}
    answer = asking.client.request("tools/call", asking.params)
    asking.reply({"resultType": "input_required", "inputRequests": {"k": ELICIT}})
    assert answer.failure is not None
    assert answer.failure.code == INTERNAL_ERROR
    assert "does not offer" in answer.failure.message


def test_servers_are_told_what_can_be_carried_to_the_client() -> None:
    asking = Asking()
    asking.client.capabilities = {
        "elicitation": {"form": {}, "x": {}},
        "extensions": {"io.modelcontextprotocol/tasks": {}},
    }
    asking.client.request("tools/call", asking.params, progress_token="p")
    about = asking.seen["_meta"]
    assert about[CAPABILITIES] == {"elicitation": {"form": {}}}
    assert about["progressToken"] == "p"


def test_a_missing_capability_is_told_as_it_is() -> None:
    asking = Asking()
    answer = asking.client.request("tools/call", asking.params)
    asking.server.calls[0].error(MISSING_CLIENT_CAPABILITY, "needs sampling")
    asking.joined.settle()
    assert answer.failure is not None
    assert answer.failure.code == MISSING_CLIENT_CAPABILITY


@pytest.mark.parametrize("code", [-32020, -32022, -32042, -32099])
def test_errors_of_the_protocol_are_not_the_clients(code: int) -> None:
    """They would be of the hub's request, or mean nothing in this era; what they say stays."""
    asking = Asking()
    answer = asking.client.request("tools/call", asking.params)
    asking.server.calls[0].error(code, "no such header")
    asking.joined.settle()
    assert answer.failure is not None
    assert (answer.failure.code, answer.failure.message) == (INTERNAL_ERROR, "no such header")


# Results and notifications.


@pytest.mark.parametrize("kind", ["task", "x/y", 5])
def test_a_result_of_an_unknown_kind_is_an_error(kind: object) -> None:
    """Clients must not be given one that they did not declare (2026-07-28, basic/index, "ResultType")."""
    asking = Asking()
    answer = asking.client.request("tools/call", asking.params)
    asking.reply({"resultType": kind, "taskId": "t", "status": "working"})
    assert answer.failure is not None
    assert answer.failure.code == INTERNAL_ERROR
    assert "'files'" in answer.failure.message


@pytest.mark.parametrize("said", [{}, {"resultType": None}])
def test_a_result_that_does_not_say_its_kind_is_complete(said: dict[str, Any]) -> None:
    asking = Asking()
    answer = asking.client.request("tools/call", asking.params)
    asking.reply({"content": [], **said})
    assert answer.value["resultType"] == "complete"


def test_results_are_of_us_and_keep_all_else() -> None:
    asking = Asking()
    answer = asking.client.request("tools/call", asking.params)
    about = {SERVER_INFO: {"name": "theirs", "version": "1"}, "vendor/x": 1}
    asking.reply({"resultType": "complete", "content": [], "_meta": about, "y": 2})
    assert answer.value["_meta"][SERVER_INFO]["name"] == "mcptunnel"
    assert answer.value["_meta"]["vendor/x"] == 1
    assert answer.value["y"] == 2


def test_a_result_that_is_no_object_is_an_error() -> None:
    asking = Asking()
    answer = asking.client.request("tools/call", asking.params)
    call: WaitingCall = asking.server.calls[0]
    call.answer([1])  # type: ignore[arg-type]  # a server may send anything
    asking.joined.settle()
    assert answer.failure is not None
    assert answer.failure.code == INTERNAL_ERROR


@pytest.mark.parametrize(("logger", "shown"), [(None, "files"), ("db", "files/db")])
def test_a_log_message_says_which_server_it_is_of(logger: str | None, shown: str) -> None:
    asking = Asking()
    answer = asking.client.request("tools/call", asking.params, log_level="info")
    params = {"level": "info", "data": {"a": 1}, **({} if logger is None else {"logger": logger})}
    asking.server.calls[0].notify("notifications/message", params)
    asking.joined.settle()
    (message,) = answer.notifications
    assert jsonrpc.decode(jsonrpc.raw(message.params)) == {**params, "logger": shown}


def test_what_is_kept_of_a_request_does_not_hold_its_body() -> None:
    """The params are views of the whole body, which may be large for other reasons."""
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"},"junk":"%b"}' % (
        b"x" * 100_000
    )
    before = sys.getrefcount(body)
    message = jsonrpc.parse(body)
    assert isinstance(message, Request)
    kept = _kept(message)
    del message
    assert sys.getrefcount(body) == before
    assert isinstance(kept, dict)
    assert {name: bytes(value) for name, value in kept.items()} == {"name": b'"x"'}
