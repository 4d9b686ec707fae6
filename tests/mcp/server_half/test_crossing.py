"""Whatever callers choose and in whatever order things happen, no call hears of another."""

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import Notification, Request
from mcptunnel.mcp.server_half.actions import Deliver, Lost, Write
from tests.mcp.server_half.talk import discovered, in_flight, initialized, new_child, say

FEW_IDS: st.SearchStrategy[str | int] = st.sampled_from([1, 2, 3, "1", "2", ""])
MAYBE_TOKENS: st.SearchStrategy[str | int | None] = st.sampled_from([None, 1, 2, 3, "1", ""])


@dataclass
class Caller:
    """What one caller asked and got."""

    request_id: str | int
    token: str | int | None
    over: bool = False
    progress: list[int] = field(default_factory=list)


class Conversations(RuleBasedStateMachine):
    """Many callers, one child that answers when it likes, of either era, from the start to the end."""

    def __init__(self) -> None:
        super().__init__()
        self.child = new_child()
        self.callers: dict[int, Caller] = {}
        self.asked: dict[int, tuple[int, bool]] = {}  # own id -> caller's key, wants progress
        self.sent = 0
        self.perform()

    def perform(self) -> None:
        for action in self.child.take_actions():
            if isinstance(action, Write):
                self.write(json.loads(action.line))
            elif isinstance(action, Deliver):
                self.deliver(action)
            elif isinstance(action, Lost):
                assert not self.callers[action.key].over
                self.callers[action.key].over = True

    def write(self, line: dict[str, Any]) -> None:
        if line["method"] != "tools/call":
            return
        assert line["id"] not in self.asked, "an id of ours was used twice"
        token = line["params"].get("_meta", {}).get("progressToken")
        key = line["params"]["key"]
        assert (token is None) == (self.callers[key].token is None)
        assert token in {None, line["id"]}
        self.asked[line["id"]] = (key, token is not None)

    def deliver(self, action: Deliver) -> None:
        caller = self.callers[action.key]
        assert not caller.over, "something came after the end of a call"
        if isinstance(action.message, Notification):
            params = action.message.params
            said = json.loads(bytes(params["progressToken"]))
            assert (said, type(said)) == (caller.token, type(caller.token))
            assert json.loads(bytes(params["key"])) == action.key
            caller.progress.append(json.loads(bytes(params["progress"])))
        else:
            assert type(action.message.id) is type(caller.request_id)
            assert action.message.id == caller.request_id
            result = json.loads(bytes(action.message.result or b"{}"))
            assert result["key"] == action.key
            caller.over = True

    @rule(request_id=FEW_IDS, token=MAYBE_TOKENS)
    def call(self, request_id: str | int, token: str | int | None) -> None:
        key = len(self.callers)
        self.callers[key] = Caller(request_id, token)
        about: dict[str, Any] = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
        if token is not None:
            about["progressToken"] = token
        params = {"key": jsonrpc.raw(key), "_meta": jsonrpc.raw(about)}
        self.child.call(key, Request(request_id, "tools/call", params))
        self.perform()

    @precondition(lambda self: self.callers)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.callers)))
        self.callers[key].over = True
        self.child.cancel(key, "enough")
        self.perform()

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        own = data.draw(st.sampled_from(sorted(self.asked)))
        say(self.child, id=own, result={"key": self.asked[own][0]})
        self.perform()

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def progress(self, data: st.DataObject) -> None:
        own = data.draw(st.sampled_from(sorted(self.asked)))
        self.sent += 1
        params = {"progressToken": own, "progress": self.sent, "key": self.asked[own][0]}
        say(self.child, method="notifications/progress", params=params)
        self.perform()

    @rule(modern=st.booleans())
    def become_ready(self, modern: bool) -> None:
        if self.child.info is not None:
            return
        say(self.child, id=1, result=discovered("2026-07-28" if modern else "2025-11-25"))
        if not modern:
            say(self.child, id=2, result=initialized())
        self.perform()

    @precondition(lambda self: self.child.info is not None)
    @rule()
    def crash(self) -> None:
        self.child.exited()
        self.perform()

    @invariant()
    def progress_is_in_order(self) -> None:
        for caller in self.callers.values():
            assert caller.progress == sorted(caller.progress)

    def teardown(self) -> None:
        """After a crash every call is over."""
        if self.child.info is not None:
            self.crash()
            assert all(caller.over for caller in self.callers.values())
            assert in_flight(self.child) == 0


TestConversations = Conversations.TestCase
