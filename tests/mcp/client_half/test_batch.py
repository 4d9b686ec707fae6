"""Batches: in sessions of 2025-03-26, and nowhere else."""

from typing import Any

import pytest

from mcptunnel.mcp.client_half.batch import MAX_MESSAGES
from tests.mcp.client_half.stage import LegacyClient, Stage, request


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def client(stage: Stage) -> LegacyClient:
    return stage.client("2025-03-26", {"roots": {}})


def call(request_id: int | str) -> dict[str, Any]:
    return request("tools/call", {"name": "t"}, request_id)


def by_id(messages: list[Any]) -> dict[Any, Any]:
    return {message["id"]: message for message in messages}


def test_each_request_is_answered_in_one_array(client: LegacyClient, stage: Stage) -> None:
    """Notifications and responses are taken in passing; order is the service's."""
    http = client.post(
        [
            call(1),
            request("ping", request_id=2),
            call("3"),
            request("notifications/initialized", request_id=None),
            {"jsonrpc": "2.0", "id": 9, "result": {}},
        ]
    )
    one, three = stage.asked
    three.text("three")
    assert not http.status
    one.error(-32602)
    answers = by_id(http.json)
    assert (http.status, len(http.json)) == (200, 3)
    assert answers[1]["error"]["code"] == -32602
    assert answers[2]["result"] == {}
    assert answers["3"]["result"]["content"][0]["text"] == "three"


def test_all_at_once(client: LegacyClient) -> None:
    http = client.post([request("ping", request_id=1), request("ping", request_id=2)])
    assert set(by_id(http.json)) == {1, 2}


@pytest.mark.parametrize("body", [[], [call(1)] * (MAX_MESSAGES + 1)])
def test_its_length_is_bounded(client: LegacyClient, stage: Stage, body: list[Any]) -> None:
    http = client.post(body)
    assert (http.status, http.code) == (400, -32600)
    assert not stage.asked


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25", "2024-11-05"])
def test_other_versions_have_none(stage: Stage, version: str) -> None:
    http = stage.client(version).post([call(1)])
    assert (http.status, http.code) == (400, -32600)


def test_without_a_session_there_is_none(stage: Stage) -> None:
    http = stage.post([call(1)])
    assert (http.status, http.code) == (400, -32600)


def test_what_is_no_message_gets_its_own_error(client: LegacyClient) -> None:
    http = client.post(
        [5, {"id": 4}, {"jsonrpc": "2.0", "id": 1, "method": 7}, request("ping", request_id=2)]
    )
    assert [(one["id"], one.get("error", {}).get("code")) for one in http.json] == [
        (None, -32600),
        (4, -32600),
        (1, -32600),
        (2, None),
    ]


def test_initialize_does_not_belong_there(client: LegacyClient) -> None:
    http = client.post([request("initialize", {"protocolVersion": "2025-03-26"})])
    assert http.json[0]["error"]["code"] == -32600


def test_an_id_twice_is_an_error_of_the_second(client: LegacyClient, stage: Stage) -> None:
    http = client.post([call(1), call(1)])
    stage.take().text("first")
    assert [("error" in one) for one in http.json] == [True, False]


def test_only_what_is_not_answered_is_accepted(client: LegacyClient) -> None:
    http = client.post([request("notifications/initialized", request_id=None)])
    assert (http.status, http.body) == (202, b"")


def test_a_stream_carries_each_response_by_itself(client: LegacyClient, stage: Stage) -> None:
    """Once there is news of one, or a question."""
    http = client.post([request("ping", request_id=0), call(1), call(2)])
    one, two = stage.asked
    stage.asked.clear()
    one.notify("notifications/progress", progressToken=1, progress=1)
    two.needs({"a": {"method": "roots/list"}})
    question = http.last
    client.answer(question["id"], {"roots": []})
    one.text("one")
    assert set(by_id([event for event in http.events if "method" not in event])) == {0, 1}
    assert not http.is_over
    stage.take().text("two")
    assert http.last["id"] == 2
    assert http.is_over


def test_a_long_one_becomes_a_stream(client: LegacyClient, stage: Stage) -> None:
    http = client.post([call(1), call(2)])
    stage.timers.pass_s(10)
    assert http.comments == 1
    for asked in stage.asked:
        asked.text("done")
    assert set(by_id(http.events)) == {1, 2}


def test_a_client_that_takes_no_json(client: LegacyClient) -> None:
    http = client.post([request("ping")], accept="text/event-stream")
    assert http.last[0]["id"] == 1


def test_requests_can_be_cancelled_one_by_one(client: LegacyClient, stage: Stage) -> None:
    http = client.post([call(1), call(2)])
    client.notify("notifications/cancelled", requestId=1)
    stage.asked[1].text("two")
    assert [one["id"] for one in http.json] == [2]
    http = client.post([call(1)])
    client.notify("notifications/cancelled", requestId=1)
    assert http.status == 202


def test_a_cancellation_within_the_batch(client: LegacyClient, stage: Stage) -> None:
    http = client.post([call(1), request("notifications/cancelled", {"requestId": 1}, None)])
    assert stage.take().cancelled
    assert http.status == 202


def test_the_connection_is_of_all(client: LegacyClient, stage: Stage) -> None:
    http = client.post([call(1), request("ping", request_id=2), call(3)])
    http.slow(True)
    assert [asked.held for asked in stage.asked] == [[True], [True]]
    http.hang_up()
    assert all(asked.is_client_gone for asked in stage.asked)
    for asked in stage.asked:
        asked.text("nobody hears this")
    client.post([call(1), call(3)])
