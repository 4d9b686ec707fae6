"""What somebody learned of another user's - session ids, cursors, states - is worth nothing to them."""

import json
from typing import Any

import pytest

from tests.isolation.client import LEGACY, MODERN, Client, Refused
from tests.isolation.crowd import Crowd, Person

INVALID_PARAMS = -32602


def _thief_and_victim(everybody: Crowd) -> tuple[Person, Person]:
    """Return two users who have all kinds of servers."""
    return everybody.people[0], everybody.people[1]


def _of(person: Person, version: str) -> list[Client]:
    return [client for client in person.clients if client.is_modern == (version == MODERN)]


def _refusal(client: Client, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON-RPC error of a request that must fail."""
    try:
        answer = client.post({"id": 1, "method": method, "params": params})
    except Refused as refused:
        answer = json.loads(refused.text)
    assert answer is not None
    error: dict[str, Any] = answer["error"]
    return error


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_a_session_of_the_hub_is_nobody_elses(everybody: Crowd, method: str) -> None:
    """Another user's session id, and that of another key of the same user, is answered with 404."""
    thief, victim = _thief_and_victim(everybody)
    robbed, other = _of(victim, LEGACY)
    ask = {"id": 1, "method": "tools/list", "params": {}}
    for client in (_of(thief, LEGACY)[0], other):
        assert client.status(method, ask, robbed.session_id) == 404
    assert robbed.call("own__whoami", "still-here")["result"]["content"]


def test_a_session_of_a_local_server_is_nobody_elses(everybody: Crowd) -> None:
    """On the transparent path the ids are the server's own, and still good for one key only."""
    thief, victim = _thief_and_victim(everybody)
    robbed, other = victim.transparent
    ask = {"id": 1, "method": "tools/list", "params": {}}
    assert other.status("POST", ask, robbed.session_id) == 404
    assert robbed.call("whoami", "still-here")["result"]["content"]
    # The ids of different users' servers are the same; each user reaches their own server by them.
    assert {client.session_id for client in thief.transparent} == {
        client.session_id for client in victim.transparent
    }


def test_a_cursor_is_nobody_elses(everybody: Crowd) -> None:
    """The second page of somebody's list is not given to another, and its cursor not understood."""
    thief, victim = _thief_and_victim(everybody)
    for version in (MODERN, LEGACY):
        robbed, other = _of(victim, version)
        cursor = robbed.request("tools/list")["result"]["nextCursor"]
        for client in (_of(thief, version)[0], other):
            refusal = _refusal(client, "tools/list", {"cursor": cursor})
            assert refusal["code"] == INVALID_PARAMS
        assert robbed.request("tools/list", {"cursor": cursor})["result"]["tools"]


def test_a_request_state_is_nobody_elses(everybody: Crowd) -> None:
    """A question parked for one client cannot be answered by another, and is still there for the first."""
    thief, victim = _thief_and_victim(everybody)
    robbed, other = _of(victim, MODERN)
    call = {"name": "mine__ask", "arguments": {"word": robbed.word()}}
    first = robbed.post({"id": 1, "method": "tools/call", "params": call})
    assert first is not None
    asked = first["result"]
    answers = {key: {"action": "decline"} for key in asked["inputRequests"]}
    retry = {**call, "inputResponses": answers, "requestState": asked["requestState"]}
    for client in (_of(thief, MODERN)[0], other):
        assert _refusal(client, "tools/call", retry)["code"] == INVALID_PARAMS
    last = robbed.post({"id": 2, "method": "tools/call", "params": retry})
    assert last is not None
    assert "decline" in last["result"]["content"][0]["text"]


def test_nothing_was_seen_by_those_who_tried(everybody: Crowd) -> None:
    """The refusals say nothing of the one who was robbed."""
    thief, victim = _thief_and_victim(everybody)
    named = [client.foreign for person in (thief, victim) for client in person.clients]
    assert [found for each in named for found in each if "still-here" not in found] == []
