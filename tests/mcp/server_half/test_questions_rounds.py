"""Whatever servers ask and in whatever order clients come back, no call hears of another."""

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mcptunnel.mcp.server_half.questions import MAX_PARKED_OF_ASKER, MAX_QUESTIONS
from mcptunnel.mcp.service import Asker
from tests.mcp.server_half.bench import EVE, KEN, Bench
from tests.mcp.server_half.talk import delivered, written

ACCEPT = {"action": "accept", "content": {"name": "Ken"}}


@dataclass
class Work:
    """One call on the server, from its first request to its answer."""

    asker: Asker
    own: int
    waits: int | None
    state: str = ""
    used: list[str] = field(default_factory=list)
    open: set[str] = field(default_factory=set)
    answered: int = 0
    is_held: bool = False
    is_over: bool = False


class Rounds(RuleBasedStateMachine):
    """Calls on streams of their own that ask again and again, clients that come back or do not.

    Every question gets one answer, nobody hears of another's, and no state is good twice.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(streams=True)
        self.work: list[Work] = []
        self.questions = 0

    def draw(self, data: st.DataObject, *, parked: bool) -> Work | None:
        found = [one for one in self.work if not one.is_over and (one.waits is None) is parked]
        return data.draw(st.sampled_from(found)) if found else None

    def perform(self, work: Work) -> None:
        """Take note of what happens to one call; nothing may happen to another."""
        actions = self.bench.take()
        for line in written(actions):
            assert line["id"] in work.open
            work.open.remove(line["id"])
            work.answered += 1
        for key, message in delivered(actions):
            assert (key, message["id"]) == (work.waits, f"id {work.own}")
            result = message["result"]
            work.waits = None
            if result["resultType"] == "complete":
                assert result["own"] == work.own
                work.is_over = True
            else:
                assert len(result["inputRequests"]) == len(work.open)
                work.state = result["requestState"]

    @rule(asker=st.sampled_from([KEN, EVE]))
    def call(self, asker: Asker) -> None:
        if len([one for one in self.work if not one.is_over]) >= MAX_PARKED_OF_ASKER:
            return
        key = self.bench.call(asker, request_id="")
        (line,) = self.bench.sent()
        own = line["id"]
        self.bench.conversation.cancel(key, "")  # to know its id beforehand
        self.bench.take()
        key, own = self.bench.called(asker, request_id=f"id {own + 1}")
        self.work.append(Work(asker, own, key))

    @precondition(lambda self: self.work)
    @rule(data=st.data(), parked=st.booleans())
    def ask(self, data: st.DataObject, parked: bool) -> None:
        work = self.draw(data, parked=parked)
        if work is None or len(work.open) >= MAX_QUESTIONS:
            return
        self.questions += 1
        work.open.add(f"q{self.questions}")
        self.bench.question(f"q{self.questions}", origin=work.own)
        self.perform(work)
        assert work.waits is None
        assert not (work.is_held and work.open), "who has answered cannot ask"

    @precondition(lambda self: self.work)
    @rule(data=st.data(), parked=st.booleans())
    def answer(self, data: st.DataObject, parked: bool) -> None:
        work = self.draw(data, parked=parked)
        if work is not None:
            self.bench.say(work.own, id=work.own, result={"own": work.own})
            work.open.clear()
            work.is_held = parked
            self.perform(work)

    @precondition(lambda self: self.work)
    @rule(data=st.data(), count=st.integers(0, 3))
    def retry(self, data: st.DataObject, count: int) -> None:
        work = self.draw(data, parked=True)
        if work is not None:
            answers = {str(number): ACCEPT for number in range(1, work.answered + count + 1)}
            made: dict[str, object] = {"request_id": f"id {work.own}", "answers": answers}
            work.used.append(work.state)
            work.waits = next(self.bench._keys)
            self.bench._keys = iter(range(work.waits, 1_000_000))
            self.bench.retry(work.state, work.asker, **made)
            self.perform(work)

    @precondition(lambda self: self.work)
    @rule(data=st.data(), swapped=st.booleans())
    def retry_what_is_not_ones_own(self, data: st.DataObject, swapped: bool) -> None:
        work = data.draw(st.sampled_from(self.work))
        state = work.state if swapped else data.draw(st.sampled_from(work.used or ["none"]))
        asker = (EVE if work.asker == KEN else KEN) if swapped else work.asker
        self.bench.retry(state, asker, answers={"1": ACCEPT})
        ((_, message),) = self.bench.heard()
        assert message["error"]["code"] == -32602

    @rule()
    def nobody_comes_back(self) -> None:
        self.bench.pass_seconds(3600)
        refused = {line["id"] for line in self.bench.sent() if "method" not in line}
        for work in self.work:
            if work.waits is None and not work.is_over:
                assert work.open <= refused
                work.is_over = True

    @invariant()
    def nothing_else_happened(self) -> None:
        assert self.bench.take() == []


TestRounds = Rounds.TestCase
