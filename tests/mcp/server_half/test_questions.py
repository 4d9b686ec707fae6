"""Questions of legacy servers in the middle of a call."""

from typing import Any

import pytest

from mcptunnel.mcp.server_half.actions import Lost, LostCause
from mcptunnel.mcp.server_half.questions import (
    MAX_PARKED,
    MAX_PARKED_OF_ASKER,
    MAX_PARKED_OF_PRINCIPAL,
    MAX_QUESTIONS,
    PATIENCE_S,
    SHARED_TEXT,
)
from mcptunnel.mcp.service import Asker
from mcptunnel.model import Outcome
from tests.mcp.server_half.bench import EVE, KEN, Bench, declaring, dropped, lost
from tests.mcp.server_half.talk import delivered, request, written

ACCEPT = {"action": "accept", "content": {"name": "Ken"}}
ABOUT = {"io.modelcontextprotocol/serverInfo": {"name": "files"}}


def error_of(bench: Bench) -> dict[str, Any]:
    """The error with which the last question was answered."""
    (line,) = bench.sent()
    found: dict[str, Any] = line["error"]
    return found


def test_a_question_finishes_the_request_and_its_retry_brings_the_answer() -> None:
    bench = Bench()
    first, own = bench.called()
    bench.question(5, message="Your name?", requestedSchema={"type": "object"})
    ((key, message),) = bench.heard()
    state = message["result"].pop("requestState")
    assert (key, message["id"]) == (first, "id")
    assert message["result"] == {
        "resultType": "input_required",
        "inputRequests": {
            "1": {
                "method": "elicitation/create",
                "params": {"message": "Your name?", "requestedSchema": {"type": "object"}},
            }
        },
        "_meta": ABOUT,
    }
    second = bench.retry(state, request_id=99, answers={"1": ACCEPT, "extra": {}})
    assert bench.sent() == [{"jsonrpc": "2.0", "id": 5, "result": ACCEPT}]
    bench.say(id=own, result={"content": []})
    ((key, message),) = bench.heard()
    assert (key, message["id"], message["result"]["content"]) == (second, 99, [])


def test_there_may_be_many_rounds_and_progress_goes_to_the_latest() -> None:
    bench = Bench()
    _, own = bench.called(meta=declaring(progressToken="first"))
    state: object = None
    for number in range(1, 4):
        bench.question(number, "roots/list")
        _, questions, state = bench.asked()
        assert list(questions) == [str(number)]
        bench.say(method="notifications/progress", params={"progressToken": own, "progress": 0})
        assert bench.heard() == []
        about = declaring(progressToken=f"round {number}")
        key = bench.retry(state, meta=about, answers={str(number): {"roots": []}})
        assert [line["id"] for line in bench.sent()] == [number]
        bench.say(method="notifications/progress", params={"progressToken": own, "progress": 1})
        ((told, message),) = bench.heard()
        assert told == key
        assert message["params"] == {"progressToken": f"round {number}", "progress": 1}


def test_what_is_asked_while_the_client_is_away_comes_in_the_next_round() -> None:
    bench = Bench()
    bench.called()
    bench.question("a")
    _, _, state = bench.asked()
    bench.question("b", "sampling/createMessage", messages=[])
    bench.question("c", "roots/list")
    assert bench.take() == []
    bench.retry(state, answers={"1": ACCEPT})
    actions = bench.take()
    assert [line["id"] for line in written(actions)] == ["a"]
    ((_, message),) = delivered(actions)
    asked = message["result"]["inputRequests"]
    assert {key: one["method"] for key, one in asked.items()} == {
        "2": "sampling/createMessage",
        "3": "roots/list",
    }
    bench.retry(
        message["result"]["requestState"], answers={"2": {"model": "m"}, "3": {"roots": []}}
    )
    assert [line["id"] for line in bench.sent()] == ["b", "c"]


@pytest.mark.parametrize("answers", [{}, {"2": ACCEPT}, {"1": None}, {"1": "yes"}, {"1": []}])
def test_a_missing_answer_is_asked_for_again(answers: dict[str, Any]) -> None:
    bench = Bench()
    bench.called()
    bench.question("a")
    _, questions, state = bench.asked()
    second = bench.retry(state, answers=answers)
    key, again, newer = bench.asked()
    assert (key, again) == (second, questions)
    assert newer != state
    bench.retry(newer, answers={"1": ACCEPT})
    assert [line["id"] for line in bench.sent()] == ["a"]


def test_an_answer_that_came_meanwhile_is_given_to_the_retry() -> None:
    bench = Bench()
    _, own = bench.called()
    bench.question("a")
    _, _, state = bench.asked()
    bench.say(id=own, result={"content": ["late"]})
    assert bench.take() == []
    second = bench.retry(state, answers={"1": ACCEPT})
    actions = bench.take()
    assert written(actions) == [], "nobody waits for the answer to the question"
    ((key, message),) = delivered(actions)
    assert (key, message["result"]["content"]) == (second, ["late"])


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("roots/list", {}, -32601),
        ("elicitation/create", {}, -32602),
        ("sampling/createMessage", {}, -1),
        ("vendor/ask", {}, -32601),
    ],
)
def test_what_this_client_did_not_declare_is_refused_and_the_call_goes_on(
    method: str, params: dict[str, Any], code: int
) -> None:
    bench = Bench()
    key, own = bench.called(meta=declaring({}))
    bench.question("q", method, **params)
    assert error_of(bench)["code"] == code
    bench.say(id=own, result={"content": []})
    assert [told for told, _ in bench.heard()] == [key]


def test_what_the_retrys_client_did_not_declare_is_refused_then() -> None:
    """Only what is declared on a request counts for it."""
    bench = Bench()
    _, own = bench.called()
    bench.question("q")
    _, _, state = bench.asked()
    key = bench.retry(state, meta=declaring({}))
    assert error_of(bench)["code"] == -32602
    bench.say(id=own, result={"content": []})
    assert [told for told, _ in bench.heard()] == [key]


def test_a_question_beside_calls_of_several_clients_is_refused() -> None:
    bench = Bench()
    bench.called(KEN)
    key, own = bench.called(EVE)
    bench.question()
    error = error_of(bench)
    assert error == {"code": -32600, "message": SHARED_TEXT}
    assert 'isolation = "session"' in error["message"]
    bench.say(id=own, result={})
    assert [told for told, _ in bench.heard()] == [key]
    bench.question()
    assert bench.asked()[0] == 1, "with the other call over it is known whom it is for"


def test_a_parked_call_of_another_client_makes_it_unknown_too() -> None:
    bench = Bench()
    bench.called(KEN)
    bench.question("a")
    bench.asked()
    bench.called(EVE)
    bench.question("b")
    assert error_of(bench)["message"] == SHARED_TEXT


def test_a_parked_call_gives_way_to_another_clients_question_after_a_while() -> None:
    """Not before ten minutes; then it is cancelled, and the next question finds its client."""
    bench = Bench()
    _, parked = bench.called(KEN)
    bench.question("a")
    bench.asked()
    _, own = bench.called(EVE)
    bench.pass_seconds(PATIENCE_S - 1)
    bench.question("b")
    assert error_of(bench)["message"] == SHARED_TEXT
    bench.pass_seconds(1)
    assert bench.take() == [], "alone it waits on"
    bench.question("c")
    assert error_of(bench)["message"] == SHARED_TEXT
    bench.pass_seconds(0)
    assert [line["id"] for line in bench.sent() if "error" in line] == ["a"]
    bench.say(id=parked, error={"code": 0, "message": "Request cancelled"})
    bench.question("d")
    assert bench.asked()[0] == own


def test_one_clients_question_belongs_to_its_oldest_tool_call() -> None:
    bench = Bench()
    bench.ask(request("p", "prompts/get", meta=declaring()))
    oldest = bench.call()
    bench.call()
    bench.take()
    bench.question()
    assert bench.asked()[0] == oldest


def test_a_question_belongs_to_no_list() -> None:
    """But one of another client may be what it is about: then it is nobody's."""
    bench = Bench()
    bench.ask(request("l", "tools/list", meta=declaring()), EVE)
    (line,) = bench.sent()
    bench.question()
    assert error_of(bench)["code"] == -32601
    bench.called(KEN)
    bench.question()
    assert error_of(bench)["message"] == SHARED_TEXT
    bench.say(id=line["id"], result={"tools": []})
    bench.take()
    bench.question()
    assert bench.asked()


def test_our_own_lists_are_no_clients_calls() -> None:
    """They are asked for whenever a list has changed, and would bar questions at random."""
    bench = Bench()
    bench.ask(request("l", "tools/list"), Asker(KEN.principal, ""))
    key, _ = bench.called(KEN)
    bench.question()
    assert bench.asked()[0] == key


def test_roots_that_a_shared_server_asks_for_at_its_start_are_nobodys() -> None:
    """It would take the first client's roots for everybody's."""
    for shared, is_asked in ((True, False), (False, True)):
        bench = Bench(shared=shared)
        bench.call(early=True)
        bench.take()
        bench.question("r", "roots/list")
        actions = bench.take()
        assert (bool(delivered(actions)), bool(written(actions))) == (is_asked, not is_asked)
        bench = Bench(shared=shared)
        bench.call(early=True)
        bench.take()
        bench.question("e")
        assert bench.asked()


def test_a_stream_says_whose_a_question_is() -> None:
    bench = Bench(streams=True)
    bench.called(KEN)
    key, own = bench.called(EVE)
    bench.question("q", origin=own)
    assert bench.asked()[0] == key


def test_a_question_on_the_stream_of_no_call_is_for_the_only_client() -> None:
    """Servers of the Python SDK 1.x sample so; beside calls of another client it is refused."""
    bench = Bench(streams=True)
    key, _ = bench.called()
    bench.question("q")
    assert bench.asked()[0] == key
    bench.called()
    bench.called(EVE)
    bench.question("r")
    assert error_of(bench)["message"] == SHARED_TEXT


def test_a_question_on_the_stream_of_something_else_is_refused() -> None:
    bench = Bench(streams=True)
    bench.called()
    bench.question("q", origin=99)
    assert error_of(bench)["code"] == -32601
    listing = bench.ask(request("l", "tools/list", meta=declaring()))
    (line,) = bench.sent()
    bench.question("q", origin=line["id"])
    assert (listing, error_of(bench)["code"]) == (2, -32601)


def test_a_retry_with_a_state_that_is_not_its_own_is_refused_and_changes_nothing() -> None:
    bench = Bench()
    bench.called()
    bench.question("q")
    _, _, state = bench.asked()
    attempts = [
        bench.retry(state, EVE),
        bench.retry(state, Asker(KEN.principal, "other")),
        bench.retry(state, name="another tool"),
        bench.retry(state[:-3] + "abc"),
        bench.retry("nonsense"),
        bench.retry(None),
        bench.retry(5),
    ]
    heard = bench.heard()
    assert [key for key, _ in heard] == attempts
    assert {message["error"]["code"] for _, message in heard} == {-32602}
    assert all("requestState is not valid" in message["error"]["message"] for _, message in heard)
    bench.retry(state, answers={"1": ACCEPT})
    assert [line["id"] for line in bench.sent()] == ["q"]


def test_answers_that_are_no_object_are_refused_and_the_call_stays_parked() -> None:
    bench = Bench()
    bench.called()
    bench.question("q")
    _, _, state = bench.asked()
    bench.retry(state, answers=[1])
    bench.call(requestState=state, meta={"progressToken": 1.5})
    assert [message["error"]["code"] for _, message in bench.heard()] == [-32602] * 2
    bench.retry(state, answers={"1": ACCEPT})
    assert [line["id"] for line in bench.sent()] == ["q"]


def test_a_state_is_good_for_one_retry() -> None:
    bench = Bench()
    _, own = bench.called()
    bench.question("q")
    _, _, state = bench.asked()
    bench.retry(state, answers={"1": ACCEPT})
    bench.take()
    bench.retry(state, answers={"1": ACCEPT})
    ((_, message),) = bench.heard()
    assert "was used already" in message["error"]["message"]
    bench.question("r")
    bench.take()
    bench.retry(state, answers={"1": ACCEPT})
    ((_, message),) = bench.heard()
    assert "was used already" in message["error"]["message"], "an older round's"
    assert message["error"]["data"] == {"outcome": "unknown"}
    bench.say(id=own, result={})
    bench.retry(state, answers={"1": ACCEPT})
    ((_, message),) = bench.heard()
    assert message["error"]["code"] == -32602


def test_a_retry_after_the_end_of_the_process_is_lost_with_an_open_outcome() -> None:
    bench = Bench()
    bench.called()
    bench.question("q")
    _, _, state = bench.asked()
    assert bench.conversation.end() == []
    after = Bench(context=bench.context)
    after.called()
    key = after.retry(state)
    assert lost(after.take()) == [Lost(key, LostCause.RESTARTED, Outcome.UNKNOWN)]


def test_a_client_that_does_not_come_back_ends_the_call() -> None:
    bench = Bench(streams=True)
    _, own = bench.called()
    bench.question("q", origin=own)
    _, _, state = bench.asked()
    bench.pass_seconds(3599)
    assert bench.take() == []
    bench.pass_seconds(1)
    actions = bench.take()
    answer, cancelled = written(actions)
    assert (answer["id"], answer["error"]["code"]) == ("q", -32603)
    assert cancelled["method"] == "notifications/cancelled"
    assert cancelled["params"] == {
        "requestId": own,
        "reason": "The client did not answer in time",
    }
    assert dropped(actions) == [own]
    bench.retry(state)
    ((_, message),) = bench.heard()
    assert message["error"]["code"] == -32602


def test_an_answer_that_nobody_came_for_is_forgotten_silently() -> None:
    bench = Bench()
    _, own = bench.called()
    bench.question("q")
    bench.asked()
    bench.say(id=own, result={})
    bench.pass_seconds(3600)
    assert bench.take() == []


def test_a_cancelled_retry_cancels_the_call() -> None:
    bench = Bench()
    _, own = bench.called()
    bench.question("q")
    _, _, state = bench.asked()
    key = bench.retry(state, answers={"1": ACCEPT})
    bench.take()
    bench.conversation.cancel(key, "gone")
    (line,) = bench.sent()
    assert line["params"] == {"requestId": own, "reason": "gone"}


def test_a_question_that_the_server_withdraws_is_not_answered() -> None:
    bench = Bench()
    _, own = bench.called()
    bench.question("q")
    _, _, state = bench.asked()
    for withdrawn in ("q", "other", None, [1]):
        bench.say(method="notifications/cancelled", params={"requestId": withdrawn})
    key = bench.retry(state, answers={"1": ACCEPT})
    assert bench.take() == []
    bench.say(id=own, result={})
    assert [told for told, _ in bench.heard()] == [key]


def test_questions_reach_the_client_as_2026_has_them() -> None:
    """Without ids of elicitations, tasks, and tokens that nobody could use."""
    bench = Bench()
    bench.called(meta=declaring({"elicitation": {"url": {}}}))
    about = {"progressToken": 1, "vendor/x": 2}
    url = {"mode": "url", "url": "https://example.org/", "message": "m"}
    bench.question("q", elicitationId="e", task={}, _meta=about, **url)
    _, asked, _ = bench.asked()
    assert asked["1"]["params"] == {**url, "_meta": {"vendor/x": 2}}
    for odd in ({"progressToken": 1}, None, 5):
        bench = Bench()
        bench.called()
        bench.question("q", _meta=odd)
        _, asked, _ = bench.asked()
        assert asked["1"]["params"] == {}


def test_an_asker_has_so_many_parked_calls_and_a_server_too() -> None:
    bench = Bench(streams=True)

    def park(asker: Asker) -> bool:
        key, own = bench.called(asker)
        bench.question("q", origin=own)
        actions = bench.take()
        is_parked = bool(delivered(actions))
        assert is_parked or written(actions)[0]["error"]["code"] == -32603
        bench.conversation.cancel(key, "over")
        bench.take()
        return is_parked

    assert [park(KEN) for _ in range(MAX_PARKED_OF_ASKER + 1)] == [
        *[True] * MAX_PARKED_OF_ASKER,
        False,
    ]
    others = [park(Asker("local|one", str(number))) for number in range(MAX_PARKED)]
    assert others.count(True) == MAX_PARKED - MAX_PARKED_OF_ASKER
    bench.pass_seconds(PATIENCE_S)
    assert not park(EVE)
    bench.pass_seconds(0)
    bench.take()
    assert park(EVE), "those that waited for so long gave way"


def test_one_user_with_many_sessions_leaves_room_for_others() -> None:
    bench = Bench(streams=True)

    def park(asker: Asker) -> bool:
        _, own = bench.called(asker)
        bench.question(own, origin=own)
        return bool(delivered(bench.take()))

    sessions = [Asker(KEN.principal, f"key session:{number}") for number in range(MAX_PARKED)]
    assert [park(one) for one in sessions].count(True) == MAX_PARKED_OF_PRINCIPAL
    assert park(EVE)


def test_a_call_has_so_many_open_questions() -> None:
    bench = Bench()
    bench.called()
    bench.question(0)
    bench.asked()
    for number in range(1, MAX_QUESTIONS + 1):
        bench.question(number)
    assert error_of(bench)["message"] == "The call asks too much at once"


def test_a_request_without_a_state_is_a_new_call_without_answers() -> None:
    """As after an error -32042: what belongs to a round is not shown to a legacy server."""
    bench = Bench()
    bench.call(inputResponses={"url1": {"action": "accept"}})
    (line,) = bench.sent()
    assert line["params"] == {"name": "t"}
