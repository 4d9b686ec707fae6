"""What a session's messages do that the modern dialect has no requests for."""

from typing import Any

import pytest

from mcptunnel.mcp.client_half.live import MAX_CALLS
from tests.mcp.client_half.stage import LegacyClient, Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def client(stage: Stage) -> LegacyClient:
    return stage.client()


@pytest.mark.parametrize("version", ["2025-03-26", "2025-06-18", "2025-11-25"])
def test_ping(stage: Stage, version: str) -> None:
    http = stage.client(version).request("ping", request_id="p")
    assert (http.status, http.json) == (200, {"jsonrpc": "2.0", "id": "p", "result": {}})
    assert not stage.asked


@pytest.mark.parametrize(
    "method",
    ["notifications/initialized", "notifications/roots/list_changed", "notifications/x"],
)
def test_notifications_are_accepted(client: LegacyClient, stage: Stage, method: str) -> None:
    http = client.notify(method)
    assert (http.status, http.body) == (202, b"")
    assert not stage.asked


def test_a_level_is_remembered(client: LegacyClient) -> None:
    assert client.request("logging/setLevel", {"level": "notice"}).json["result"] == {}
    assert client.value.log_level == "notice"


@pytest.mark.parametrize("params", [{}, {"level": "loud"}, {"level": None}, {"level": 3}])
def test_a_level_must_be_one(client: LegacyClient, params: dict[str, Any]) -> None:
    http = client.request("logging/setLevel", params)
    assert (http.status, http.code) == (200, -32602)
    assert client.value.log_level is None


@pytest.mark.parametrize("method", ["server/discover", "subscriptions/listen"])
def test_modern_methods_are_not_a_sessions(client: LegacyClient, stage: Stage, method: str) -> None:
    http = client.request(method)
    assert (http.status, http.code) == (200, -32601)
    assert not stage.asked


def test_a_session_begins_once(client: LegacyClient) -> None:
    """With its id in the header another `initialize` begins another one."""
    http = client.request("initialize", {"protocolVersion": "2025-11-25"})
    assert dict(http.sent)["mcp-session-id"] != client.session


@pytest.mark.parametrize("method", ["resources/subscribe", "resources/unsubscribe"])
@pytest.mark.parametrize("params", [{}, {"uri": 1}, {"uri": "x" * 9000}])
def test_a_subscription_needs_a_uri(
    client: LegacyClient, method: str, params: dict[str, Any]
) -> None:
    assert client.request(method, params).code == -32602


def test_malformed_meta_is_the_clients_fault(client: LegacyClient, stage: Stage) -> None:
    http = client.post({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": 1}})
    assert http.code == -32602
    assert not stage.asked


def test_an_id_in_flight_cannot_be_used_again(client: LegacyClient, stage: Stage) -> None:
    client.call()
    assert (second := client.call()).status == 400
    assert second.code == -32600
    stage.take().text("done")
    client.call()
    assert len(stage.asked) == 1


def test_requests_in_flight_are_bounded(client: LegacyClient, stage: Stage) -> None:
    for number in range(MAX_CALLS):
        client.call(request_id=number)
    assert client.call(request_id="x").status == 503
    stage.asked[0].text("done")
    assert not client.call(request_id="x").status


@pytest.mark.parametrize(
    "params", [{}, {"requestId": None}, {"requestId": "1"}, {"requestId": [1]}]
)
def test_cancelling_what_is_not_there(
    client: LegacyClient, stage: Stage, params: dict[str, Any]
) -> None:
    client.call()
    assert client.notify("notifications/cancelled", **params).status == 202
    assert stage.take().cancelled is None


def test_retries_are_ours(client: LegacyClient, stage: Stage) -> None:
    """A legacy client cannot speak for another round of a call."""
    client.request(
        "tools/call", {"name": "t", "requestState": "x", "inputResponses": {}, "task": {}}
    )
    assert set(stage.take().params) == {"name", "_meta"}
