"""No client hears of another, whatever the ids: sessions and modern clients on one endpoint.

Everything that the service says of a request names the request; everything that a client answers names
the client. So whatever arrives at the wrong place is seen.
"""

import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mcptunnel.mcp.service import Asker
from tests.mcp.client_half.stage import Asked, FakeHttp, LegacyClient, Stage, request

ASKERS = [Asker("local|alice", "1"), Asker("local|alice", "2"), Asker("local|bob", "1")]
IDS = st.sampled_from([1, 2, "1", "2"])
CAPABILITIES: dict[str, Any] = {"roots": {}}


class Crossing(RuleBasedStateMachine):
    """Clients that collide in everything they choose."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage()
        self.clients: list[LegacyClient] = []
        self.number = 0
        self.calls: dict[str, tuple[Any, FakeHttp, LegacyClient | None]] = {}
        self.answered: set[str] = set()
        self.cancelled: set[str] = set()
        self.questions: dict[Any, tuple[LegacyClient, str]] = {}

    def mark(self) -> str:
        self.number += 1
        return f"mark-{self.number}"

    # Clients.

    @precondition(lambda self: len(self.clients) < 5)
    @rule(asker=st.sampled_from(ASKERS), version=st.sampled_from(["2025-03-26", "2025-11-25"]))
    def comes(self, asker: Asker, version: str) -> None:
        self.clients.append(self.stage.client(version, CAPABILITIES, asker))

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), request_id=IDS, token=IDS)
    def calls_in_session(self, data: st.DataObject, request_id: Any, token: Any) -> None:
        client = data.draw(st.sampled_from(self.clients))
        if any(one[2] is client and one[0] == request_id for one in self.open().values()):
            return
        mark = self.mark()
        params = {"name": "t", "arguments": {"mark": mark}, "_meta": {"progressToken": token}}
        http = client.request("tools/call", params, request_id=request_id)
        self.calls[mark] = (request_id, http, client)

    @precondition(lambda self: any(c.value.version == "2025-03-26" for c in self.clients))
    @rule(data=st.data())
    def calls_in_a_batch(self, data: st.DataObject) -> None:
        able = [one for one in self.clients if one.value.version == "2025-03-26"]
        client = data.draw(st.sampled_from(able))
        used = {one[0] for one in self.open().values() if one[2] is client}
        marks = {request_id: self.mark() for request_id in (1, "1") if request_id not in used}
        if not marks:
            return
        http = client.post(
            [
                request("tools/call", {"name": "t", "arguments": {"mark": mark}}, request_id)
                for request_id, mark in marks.items()
            ]
        )
        for request_id, mark in marks.items():
            self.calls[mark] = (request_id, http, client)

    @rule(asker=st.sampled_from(ASKERS), request_id=IDS)
    def calls_modern(self, asker: Asker, request_id: Any) -> None:
        mark = self.mark()
        params = {"name": "t", "arguments": {"mark": mark}}
        http = self.stage.modern("tools/call", params, request_id=request_id, asker=asker)
        self.calls[mark] = (request_id, http, None)

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), request_id=IDS)
    def cancels(self, data: st.DataObject, request_id: Any) -> None:
        client = data.draw(st.sampled_from(self.clients))
        client.notify("notifications/cancelled", requestId=request_id)
        for mark, (used, _, caller) in self.open().items():
            if caller is client and used == request_id and type(used) is type(request_id):
                self.cancelled.add(mark)

    # The service.

    def pending(self) -> list[Asked]:
        return [one for one in self.stage.asked if one.cancelled is None]

    @staticmethod
    def marked(asked: Asked) -> str:
        mark: str = asked.params["arguments"]["mark"]
        return mark

    @precondition(lambda self: self.pending())
    @rule(data=st.data())
    def reports(self, data: st.DataObject) -> None:
        asked = data.draw(st.sampled_from(self.pending()))
        asked.notify("notifications/progress", message=self.marked(asked), progress=1)

    @precondition(lambda self: self.pending())
    @rule(data=st.data(), fails=st.booleans())
    def answers(self, data: st.DataObject, fails: bool) -> None:
        asked = data.draw(st.sampled_from(self.pending()))
        self.stage.asked.remove(asked)
        mark = self.marked(asked)
        for answer in asked.params.get("inputResponses", {}).values():
            assert answer == {"roots": [mark]}, "another client's answer"
        self.answered.add(mark)
        if fails:
            asked.error(-32603, mark)
        else:
            asked.text(mark)

    @precondition(lambda self: self.pending())
    @rule(data=st.data())
    def asks(self, data: st.DataObject) -> None:
        """Ask the client of a call where it is."""
        asked = data.draw(st.sampled_from(self.pending()))
        mark = self.marked(asked)
        _, http, client = self.calls[mark]
        if client is None or "requestState" in asked.params:
            return
        self.stage.asked.remove(asked)
        asked.needs({"where": {"method": "roots/list", "params": {"x": mark}}}, mark)
        question = http.last
        assert question["params"] == {"x": mark}
        assert question["id"] not in self.questions
        self.questions[question["id"]] = (client, mark)

    @precondition(lambda self: self.questions)
    @rule(data=st.data())
    def is_answered(self, data: st.DataObject) -> None:
        question_id = data.draw(st.sampled_from(sorted(self.questions)))
        client, mark = self.questions.pop(question_id)
        client.answer(question_id, {"roots": [mark]})

    @precondition(lambda self: self.questions and len(self.clients) > 1)
    @rule(data=st.data())
    def another_answers(self, data: st.DataObject) -> None:
        """With the right id, from another session: nobody hears it."""
        question_id = data.draw(st.sampled_from(sorted(self.questions)))
        client = data.draw(st.sampled_from(self.clients))
        if client is not self.questions[question_id][0]:
            before = len(self.stage.asked)
            assert client.answer(question_id, {"roots": ["stolen"]}).status == 202
            assert len(self.stage.asked) == before

    @rule(seconds=st.sampled_from([1.0, 6.0, 20.0]))
    def time_passes(self, seconds: float) -> None:
        self.stage.timers.pass_s(seconds)

    # What must hold.

    def open(self) -> dict[str, tuple[Any, FakeHttp, LegacyClient | None]]:
        over = self.answered | self.cancelled
        return {mark: call for mark, call in self.calls.items() if mark not in over}

    @invariant()
    def everybody_hears_of_their_own(self) -> None:
        theirs: dict[FakeHttp, dict[str, Any]] = {}
        for mark, (request_id, http, _) in self.calls.items():
            theirs.setdefault(http, {})[mark] = request_id
        for http, marks in theirs.items():
            messages = messages_of(http)
            said = set(marks_in(messages))
            assert said <= set(marks), "a message of somebody else's call"
            responses = [one for one in messages if "method" not in one]
            assert len({(type(one["id"]), one["id"]) for one in responses}) == len(responses)
            for one in responses:
                (mark,) = marks_in([one])
                assert marks[mark] == one["id"]
                assert type(marks[mark]) is type(one["id"])

    def teardown(self) -> None:
        """Answer all that is left: then every call has exactly one answer, or was cancelled."""
        for question_id, (client, mark) in self.questions.items():
            client.answer(question_id, {"roots": [mark]})
        for asked in self.pending():
            self.answered.add(self.marked(asked))
            asked.text(self.marked(asked))
        self.everybody_hears_of_their_own()
        for mark, (_, http, _) in self.calls.items():
            responses = [one for one in messages_of(http) if "method" not in one]
            count = marks_in(responses).count(mark)
            assert count == (mark not in self.cancelled) or (count == 1 and mark in self.answered)
            assert http.is_over


def messages_of(http: FakeHttp) -> list[Any]:
    if http.is_stream:
        return http.events
    if not http.body:
        return []
    return http.json if isinstance(http.json, list) else [http.json]


def marks_in(messages: list[Any]) -> list[str]:
    found = []
    for message in messages:
        text = json.dumps(message)
        if "mark-" in text:
            found.append("mark-" + text.partition("mark-")[2].partition('"')[0])
    return found


TestCrossing = Crossing.TestCase
TestCrossing.settings = settings(max_examples=80, stateful_step_count=40)
