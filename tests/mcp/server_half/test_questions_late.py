"""Questions of calls that were given up: they reach nobody but who made the call."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from mcptunnel.mcp.server_half.given_up import LATE_S
from mcptunnel.mcp.server_half.questions import SHARED_TEXT
from mcptunnel.mcp.service import Asker
from tests.mcp.server_half.bench import EVE, KEN, Bench, declaring
from tests.mcp.server_half.talk import delivered, request, written

WINDOW = Asker(KEN.principal, f"{KEN.client} session:2")
CLIENTS = [KEN, WINDOW, EVE]


def refusal(bench: Bench) -> str:
    """The error with which the last question was answered."""
    text: str = next(line["error"]["message"] for line in bench.sent() if "error" in line)
    return text


def test_a_question_after_a_cancellation_is_refused_while_another_client_calls() -> None:
    """Until the server answers what was cancelled, as some do."""
    bench = Bench()
    key, own = bench.called(EVE)
    bench.called(WINDOW)
    bench.conversation.cancel(key, "gone")
    bench.take()
    bench.question()
    assert refusal(bench) == SHARED_TEXT
    bench.say(id=own, error={"code": 0, "message": "Request cancelled"})
    bench.question()
    assert bench.asked()


def test_a_server_that_never_answers_what_was_cancelled_is_believed_after_a_while() -> None:
    bench = Bench()
    key, _ = bench.called(EVE)
    bench.conversation.cancel(key, "timeout")
    bench.take()
    bench.pass_seconds(1)
    bench.pass_seconds(LATE_S - 1)
    bench.called(KEN)
    bench.question()
    assert refusal(bench) == SHARED_TEXT
    bench.pass_seconds(1)
    bench.question()
    assert bench.asked()


def test_whoever_cancelled_may_be_asked_on_in_their_next_call() -> None:
    bench = Bench()
    key, _ = bench.called(KEN)
    bench.conversation.cancel(key, "gone")
    bench.take()
    following, _ = bench.called(KEN)
    bench.question()
    assert bench.asked()[0] == following


def test_a_parked_call_whose_client_stayed_away_may_ask_on() -> None:
    bench = Bench()
    bench.called(EVE)
    bench.question()
    bench.asked()
    bench.pass_seconds(3600)
    bench.take()
    bench.called(KEN)
    bench.question("r")
    assert refusal(bench) == SHARED_TEXT


def test_a_call_whose_stream_broke_may_ask_elsewhere() -> None:
    """If it may run, that is: then on the stream of no call."""
    for may_run in (True, False):
        bench = Bench(streams=True)
        key, own = bench.called(EVE)
        assert bench.conversation.lost(own, may_run=may_run) == key
        bench.called(KEN)
        bench.question()
        if may_run:
            assert refusal(bench) == SHARED_TEXT
        else:
            assert bench.asked()


def test_what_a_given_up_call_logs_is_not_told_to_another_client() -> None:
    bench = Bench()
    key, own = bench.called(EVE)
    bench.conversation.cancel(key, "gone")
    bench.take()
    about = declaring(**{"io.modelcontextprotocol/logLevel": "debug"})
    bench.called(KEN, meta=about)
    said: dict[str, Any] = {"level": "error", "data": "of Eve"}
    bench.say(method="notifications/message", params=said)
    assert bench.heard() == []
    bench.say(id=own, result={})
    bench.say(method="notifications/message", params=said)
    assert len(bench.heard()) == 1


@dataclass
class Call:
    asker: Asker
    own: int
    key: int | None
    gone_s: float | None = None
    state: str = ""
    is_tool: bool = True


class Whose(RuleBasedStateMachine):
    """Calls of three clients on one server, in any order: no question reaches a bystander."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.unanswered: list[Call] = []

    def find(self, key: int) -> Call:
        return next(call for call in self.unanswered if call.key == key)

    @rule(asker=st.sampled_from(CLIENTS), is_tool=st.booleans(), can=st.booleans())
    def call(self, asker: Asker, is_tool: bool, can: bool) -> None:
        method = "tools/call" if is_tool else "completion/complete"
        made = request("id", method, name="t", meta=declaring(None if can else {}))
        key = self.bench.ask(made, asker)
        (line,) = self.bench.sent()
        self.unanswered.append(Call(asker, line["id"], key, is_tool=is_tool))

    @precondition(lambda self: any(call.key for call in self.unanswered))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from([call for call in self.unanswered if call.key]))
        assert call.key is not None
        self.bench.conversation.cancel(call.key, "gone")
        self.bench.pass_seconds(0)
        call.key, call.gone_s = None, self.bench.now_s
        self.bench.take()

    @precondition(lambda self: self.unanswered)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        """The server answers, late or not; what is parked holds the answer for its retry."""
        call = data.draw(st.sampled_from(self.unanswered))
        self.unanswered.remove(call)
        self.bench.say(id=call.own, result={})
        self.bench.take()

    @precondition(lambda self: any(call.state for call in self.unanswered))
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from([call for call in self.unanswered if call.state]))
        answers = {str(number): {"action": "accept"} for number in range(100)}
        call.key = self.bench.retry(call.state, call.asker, answers=answers)
        call.state = ""
        assert not delivered(self.bench.take())

    @rule(seconds=st.sampled_from([1.0, LATE_S / 2, LATE_S]))
    def pass_time(self, seconds: float) -> None:
        self.bench.pass_seconds(seconds)
        for call in self.unanswered:
            if call.key is None and call.gone_s is None:
                gone_s = self.bench.now_s if self.is_late(call) else None
                call.gone_s, call.state = gone_s, call.state if gone_s is None else ""
        self.bench.take()

    def is_late(self, call: Call) -> bool:
        """Whether a parked call was given up just now."""
        return self.bench.conversation._calls.get(call.own) is None

    @rule(method=st.sampled_from(["elicitation/create", "roots/list"]))
    def question(self, method: str) -> None:
        self.bench.question("q", method, message="?")
        actions = self.bench.take()
        now_s = self.bench.now_s
        may_be = {
            call.asker
            for call in self.unanswered
            if call.gone_s is None or now_s - call.gone_s < LATE_S
        }
        asked = delivered(actions)
        if asked:
            ((key, message),) = asked
            call = self.find(key)
            assert may_be == {call.asker}
            call.key, call.state = None, message["result"]["requestState"]
        for line in written(actions):
            assert "error" in line
            if line["error"]["message"] == SHARED_TEXT:
                assert len(may_be) > 1, "refused without need"


TestWhose = Whose.TestCase
