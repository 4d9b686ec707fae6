"""What a modern service asks becomes requests to a legacy client, and their answers a retry."""

from typing import Any

import pytest

from mcptunnel.mcp.client_half.dialogue import ANSWER_S, LONGEST_WAIT_S, MAX_ROUNDS, PUT_OFF_S
from mcptunnel.mcp.client_half.live import MAX_OPEN_QUESTIONS
from tests.mcp.client_half.stage import Asked, LegacyClient, Stage

FORM = {"method": "elicitation/create", "params": {"mode": "form", "message": "Name?"}}
URL = {
    "method": "elicitation/create",
    "params": {"mode": "url", "message": "Go", "url": "https://x"},
}
ROOTS = {"method": "roots/list"}
SAMPLE = {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}}
ALL: dict[str, Any] = {
    "elicitation": {"form": {}, "url": {}},
    "sampling": {"tools": {}},
    "roots": {},
}


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def client(stage: Stage) -> LegacyClient:
    return stage.client(capabilities=ALL)


def test_questions_travel_on_the_calls_own_stream(client: LegacyClient, stage: Stage) -> None:
    """Then the same request goes again, with the answers and the exact state."""
    http = client.call(request_id=5)
    asked = stage.take()
    state = 'z\\u00e9 "=='
    asked.needs({"name": FORM, "where": ROOTS, "think": SAMPLE}, state)
    name, where, think = http.events
    assert name["method"] == "elicitation/create"
    assert name["params"] == FORM["params"]
    assert where["method"] == "roots/list"
    assert len({name["id"], where["id"], think["id"]}) == 3
    for question, result in ((where, {"roots": []}), (think, {"role": "user"})):
        assert client.answer(question["id"], result).status == 202
        assert not stage.asked
    accepted = {"action": "accept", "content": {"n": 1}}
    assert client.answer(name["id"], accepted).status == 202
    again = stage.take()
    assert again.request.id != asked.request.id
    assert again.request.method == "tools/call"
    params = again.params
    assert params.pop("inputResponses") == {
        "name": accepted,
        "where": {"roots": []},
        "think": {"role": "user"},
    }
    assert params.pop("requestState") == state
    assert params == asked.params
    again.text("done")
    assert http.last["id"] == 5
    assert http.last["result"]["content"][0]["text"] == "done"
    assert http.is_over


def test_no_state_is_no_state(client: LegacyClient, stage: Stage) -> None:
    """None given, none sent back; neither are answers of an earlier round."""
    http = client.call()
    stage.take().needs({"a": ROOTS}, "first")
    client.answer(http.last["id"], {"roots": [1]})
    stage.take().needs({"b": ROOTS})
    client.answer(http.last["id"], {"roots": [2]})
    params = stage.take().params
    assert "requestState" not in params
    assert params["inputResponses"] == {"b": {"roots": [2]}}


def test_a_state_alone_means_try_again(stage: Stage) -> None:
    """After longer and longer waits; even for a client that can be asked nothing."""
    client = stage.client()
    http = client.call()
    for wait_s in (1, 2, 4, 8):
        stage.take().needs(state="busy")
        stage.timers.pass_s(wait_s - 0.1)
        assert not stage.asked
        stage.timers.pass_s(0.1)
        assert stage.asked[0].params["requestState"] == "busy"
        assert "inputResponses" not in stage.asked[0].params
    stage.take().text("done")
    assert http.last["result"]["content"][0]["text"] == "done"


def test_a_server_may_put_a_call_off_for_an_hour(client: LegacyClient, stage: Stage) -> None:
    """And still ask for something then; but not for ever."""
    http, passed_s = client.call(), 0.0
    while passed_s < PUT_OFF_S:
        assert not http.is_over
        stage.take().needs(state="busy")
        wait_s = min(passed_s + 1, LONGEST_WAIT_S)
        stage.timers.pass_s(wait_s)
        passed_s += wait_s
    stage.take().needs({"a": ROOTS})
    client.answer(http.last["id"], {"roots": []})
    stage.take().needs(state="busy")
    assert "has put the call off for 3600 s" in http.last["error"]["message"]


def test_there_are_so_many_rounds(client: LegacyClient, stage: Stage) -> None:
    http = client.call()
    for _ in range(MAX_ROUNDS):
        stage.take().needs({"a": ROOTS})
        client.answer(http.last["id"], {"roots": []})
    stage.take().needs({"a": ROOTS})
    assert "more than 10 times" in http.last["error"]["message"]
    assert http.code == -32603


@pytest.mark.parametrize(
    ("capabilities", "question", "missing"),
    [
        ({}, FORM, "elicitation.form"),
        ({"elicitation": {}}, URL, "elicitation.url"),
        ({"elicitation": {"url": {}}}, FORM, "elicitation.form"),
        (
            {"elicitation": {}},
            {"method": "elicitation/create", "params": {"mode": "x"}},
            "elicitation.x",
        ),
        ({}, ROOTS, "roots"),
        ({}, SAMPLE, "sampling"),
        ({"sampling": {}}, {**SAMPLE, "params": {"tools": []}}, "sampling.tools"),
    ],
)
def test_a_client_is_not_asked_what_it_did_not_declare(
    stage: Stage, capabilities: dict[str, Any], question: dict[str, Any], missing: str
) -> None:
    """Nothing of such a round is asked."""
    http = stage.client(
        capabilities={"roots": {}, **capabilities} if missing != "roots" else {}
    ).call()
    stage.take().needs({"a": ROOTS, "b": question} if missing != "roots" else {"b": question})
    assert http.json["error"]["message"].endswith(f"the capability {missing}")


def test_a_client_before_modes_knows_only_forms(stage: Stage) -> None:
    client = stage.client("2025-06-18", {"elicitation": {"url": {}}})
    http = client.call()
    stage.take().needs({"a": FORM})
    assert http.last["params"] == {"message": "Name?"}
    client.answer(http.last["id"], {"action": "decline"})
    stage.take().needs({"a": URL})
    assert "elicitation.url" in http.last["error"]["message"]


def test_a_page_to_open_gets_an_id_and_is_told_when_it_is_done(
    client: LegacyClient, stage: Stage
) -> None:
    http = client.call()
    stage.take().needs({"a": URL}, "s")
    (question,) = http.events
    page = question["params"].pop("elicitationId")
    assert page
    assert question["params"] == URL["params"]
    client.answer(question["id"], {"action": "accept"})
    stage.take().needs(state="s2")
    stage.timers.pass_s(2)
    assert len(http.events) == 1
    stage.take().text("done")
    told = http.events[1]
    assert told["method"] == "notifications/elicitation/complete"
    assert told["params"] == {"elicitationId": page}
    assert "result" in http.events[2]


def test_a_client_without_event_streams_is_told(client: LegacyClient, stage: Stage) -> None:
    http = client.call(accept="application/json")
    stage.take().needs({"a": ROOTS})
    assert http.code == -32603
    assert "text/event-stream" in http.json["error"]["message"]


def test_an_error_instead_of_an_answer_ends_the_call(client: LegacyClient, stage: Stage) -> None:
    """Questions that are still open are withdrawn; an answer that comes anyway is nobody's."""
    http = client.call(request_id="c")
    stage.take().needs({"a": ROOTS, "b": SAMPLE})
    roots, sample = http.events
    client.answer(roots["id"], error={"code": -1, "message": "User rejected"})
    withdrawn, last = http.events[2:]
    assert withdrawn["method"] == "notifications/cancelled"
    assert withdrawn["params"] == {"requestId": sample["id"]}
    assert last["id"] == "c"
    assert last["error"]["code"] == -32603
    assert "User rejected" in last["error"]["message"]
    assert client.answer(sample["id"], {}).status == 202
    assert not stage.asked


def test_cancelling_while_it_asks(client: LegacyClient, stage: Stage) -> None:
    http = client.call(request_id=5)
    stage.take().needs({"a": ROOTS})
    question = http.last["id"]
    client.notify("notifications/cancelled", requestId=5)
    assert http.is_over
    assert len(http.events) == 1
    client.answer(question, {"roots": []})
    assert not stage.asked


def test_cancelling_while_it_waits_to_try_again(client: LegacyClient, stage: Stage) -> None:
    http = client.call(request_id=5)
    stage.take().needs(state="busy")
    client.notify("notifications/cancelled", requestId=5)
    assert http.status == 202
    stage.timers.pass_s(60)
    assert not stage.asked
    assert stage.timers.count == 0


def test_a_client_that_leaves_while_it_is_asked(client: LegacyClient, stage: Stage) -> None:
    """Its call is over: the stream for questions and answer is gone."""
    http = client.call(request_id=5)
    stage.take().needs({"a": ROOTS})
    question = http.last["id"]
    http.hang_up()
    client.answer(question, {"roots": []})
    assert not stage.asked
    client.call(request_id=5)
    stage.take().text("the id is free")


def test_a_client_that_leaves_during_the_retry(client: LegacyClient, stage: Stage) -> None:
    http = client.call()
    stage.take().needs({"a": ROOTS})
    client.answer(http.last["id"], {"roots": []})
    http.hang_up()
    again = stage.take()
    assert (again.cancelled, again.is_client_gone) == (None, True)
    again.needs({"b": ROOTS})


def test_an_answer_counts_once(client: LegacyClient, stage: Stage) -> None:
    http = client.call()
    stage.take().needs({"a": ROOTS})
    for _ in range(2):
        client.answer(http.events[0]["id"], {"roots": []})
    assert len(stage.asked) == 1
    for nonsense in (None, 1, "x"):
        assert client.answer(nonsense, {}).status == 202


def test_questions_of_one_session_are_bounded(client: LegacyClient, stage: Stage) -> None:
    round_ = {str(number): ROOTS for number in range(32)}
    calls = [client.call(request_id=number) for number in range(MAX_OPEN_QUESTIONS // 32 + 1)]
    for asked in stage.asked:
        asked.needs(round_)
    assert "Too many questions" in calls[-1].last["error"]["message"]
    assert all(not call.is_over for call in calls[:-1])


def test_answers_are_bounded(client: LegacyClient, stage: Stage) -> None:
    kept = stage.endpoint._sessions._shared.kept
    kept.take(client.asker.principal, 16 * 1024 * 1024 - 10)
    http = client.call()
    stage.take().needs({"a": ROOTS})
    client.answer(http.last["id"], {"roots": ["too much"]})
    assert "no memory" in http.last["error"]["message"]
    assert kept._all_bytes == 16 * 1024 * 1024 - 10


def test_a_state_counts_for_as_long_as_it_is_kept(client: LegacyClient, stage: Stage) -> None:
    """The client never sees it, so nothing else would bound how many wait."""
    kept = stage.endpoint._sessions._shared.kept
    before = kept._all_bytes
    calls = [client.call(request_id=number) for number in range(2)]
    stage.asked[0].needs({"a": ROOTS}, "s" * 9 * 1024 * 1024)
    assert kept._all_bytes - before > 9 * 1024 * 1024
    stage.asked[1].needs({"a": ROOTS}, "s" * 9 * 1024 * 1024)
    assert "no memory" in calls[1].last["error"]["message"]
    client.answer(calls[0].events[0]["id"], {"roots": []})
    assert kept._all_bytes == before


def test_waiting_is_shown_with_comments(client: LegacyClient, stage: Stage) -> None:
    http = client.call()
    stage.take().needs({"a": ROOTS})
    stage.timers.pass_s(60)
    assert http.comments == 4
    client.answer(http.events[0]["id"], {"roots": []})
    asked: Asked = stage.take()
    stage.timers.pass_s(15)
    assert http.comments == 5
    asked.text("done")


def test_when_we_stop_nobody_is_asked_any_more(client: LegacyClient, stage: Stage) -> None:
    asking, waiting, running = (client.call(request_id=number) for number in range(3))
    stage.asked[0].needs({"a": ROOTS})
    stage.asked[1].needs(state="s")
    stage.stop()
    for http in (asking, waiting):
        assert "stopping" in http.last["error"]["message"]
    assert not running.status
    assert stage.timers.count == 0


def test_a_client_has_only_so_long_for_its_answers(client: LegacyClient, stage: Stage) -> None:
    """Then the call fails, and the question is withdrawn; every round has all the time again."""
    http = client.call()
    stage.take().needs({"a": ROOTS})
    stage.timers.pass_s(ANSWER_S - 1)
    client.answer(http.last["id"], {"roots": []})
    stage.timers.pass_s(ANSWER_S)
    stage.take().needs({"a": ROOTS, "b": FORM})
    questions = http.events[-2:]
    client.answer(questions[0]["id"], {"roots": []})
    stage.timers.pass_s(ANSWER_S - 1)
    assert not http.is_over
    stage.timers.pass_s(1)
    *_, withdrawn, failed = http.events
    assert withdrawn["method"] == "notifications/cancelled"
    assert withdrawn["params"]["requestId"] == questions[1]["id"]
    assert "has not answered elicitation/create for 3600 s" in failed["error"]["message"]
    assert client.answer(questions[1]["id"], {}).status == 202
    assert not stage.asked


@pytest.mark.parametrize("end", ["hang_up", "cancel"])
def test_a_call_that_is_over_has_no_deadline(client: LegacyClient, stage: Stage, end: str) -> None:
    http = client.call()
    stage.take().needs({"a": ROOTS})
    before = stage.timers.count
    if end == "hang_up":
        http.hang_up()
    else:
        client.notify("notifications/cancelled", requestId=1)
    assert stage.timers.count == before - 1
