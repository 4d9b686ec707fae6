"""Requests of a session: what the service is told of them, and what comes back."""

from typing import Any

import pytest

from mcptunnel.mcp.client_half.kept import SMALL_BYTES
from mcptunnel.mcp.versions import Era
from tests.mcp.client_half.stage import LegacyClient, Stage

ASKS = {"k": {"method": "roots/list", "params": {}}}


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def client(stage: Stage) -> LegacyClient:
    return stage.client(capabilities={"elicitation": {}, "sampling": {}, "roots": {}})


def test_the_service_is_told_what_this_client_can_do(client: LegacyClient, stage: Stage) -> None:
    client.request("tools/call", {"name": "t", "_meta": {"progressToken": 4, "x/y": 1}})
    assert stage.take().about == {
        "protocolVersion": "2026-07-28",
        "clientCapabilities": {"elicitation": {"form": {}}, "sampling": {}, "roots": {}},
        "clientInfo": {"name": "c"},
        "progressToken": 4,
        "x/y": 1,
    }


def test_the_service_is_told_which_era_asks(client: LegacyClient, stage: Stage) -> None:
    client.request("tools/call", {"name": "t"})
    assert stage.take().caller.era is Era.LEGACY
    stage.modern("tools/list")
    assert stage.take().caller.era is Era.MODERN


def test_a_result_loses_what_is_modern(client: LegacyClient, stage: Stage) -> None:
    http = client.request("prompts/list")
    stage.take().result(prompts=[], ttlMs=1, cacheScope="private")
    assert (http.status, http.json["result"]) == (200, {"prompts": []})


@pytest.mark.parametrize(
    ("method", "code", "told"),
    [
        ("resources/read", -32602, -32002),
        ("tools/call", -32602, -32602),
        ("tools/call", -32021, -32603),
        ("x/y", -32601, -32601),
    ],
)
def test_errors_are_told_as_a_legacy_client_knows_them(
    client: LegacyClient, stage: Stage, method: str, code: int, told: int
) -> None:
    http = client.request(method)
    stage.take().error(code)
    assert (http.status, http.code) == (200, told)


def test_disconnecting_is_not_cancelling(client: LegacyClient, stage: Stage) -> None:
    """The answer is lost, the id free, and until then it can be cancelled."""
    first, second = client.call(request_id=1), client.call(request_id=2)
    one, two = stage.asked
    first.hang_up()
    second.hang_up()
    assert (one.cancelled, one.is_client_gone) == (None, True)
    one.notify("notifications/progress", progress=1)
    one.text("lost")
    client.notify("notifications/cancelled", requestId=2, reason="why not")
    assert two.cancelled == "why not"
    stage.asked.clear()
    client.call(request_id=1)
    stage.take().error(-32603)


def test_input_after_the_client_left_ends_the_call(client: LegacyClient, stage: Stage) -> None:
    http = client.call()
    http.hang_up()
    stage.take().needs(ASKS)
    client.call()
    stage.take().text("the id is free")


@pytest.mark.parametrize(("level", "told"), [("debug", 0), ("warning", 1), ("alert", 1), ("x", 0)])
def test_log_messages_are_filtered(
    client: LegacyClient, stage: Stage, level: str, told: int
) -> None:
    client.request("logging/setLevel", {"level": "warning"})
    http = client.call()
    asked = stage.take()
    assert asked.about["logLevel"] == "warning"
    asked.notify("notifications/message", level=level, data="x")
    asked.notify("notifications/progress", progressToken=1, progress=1)
    assert len(http.events) == told + 1


def test_without_a_level_there_are_no_log_messages(client: LegacyClient, stage: Stage) -> None:
    http = client.call()
    asked = stage.take()
    assert "logLevel" not in asked.about
    asked.notify("notifications/message", level="emergency", data="x")
    assert not http.status


def large(client: LegacyClient) -> Any:
    return client.request("tools/call", {"name": "t", "arguments": {"x": "x" * SMALL_BYTES}})


def test_a_large_request_is_kept_only_for_a_client_that_can_be_asked(stage: Stage) -> None:
    able, unable = stage.client(capabilities={"roots": {}}), stage.client()
    asked, refused = large(able), large(unable)
    for one in stage.asked:
        one.needs(ASKS)
    assert asked.last["method"] == "roots/list"
    assert "too large to be kept" in refused.last["error"]["message"]


def test_what_is_kept_of_one_principal_is_bounded(stage: Stage) -> None:
    """And nothing is counted any more when the calls are over."""
    client = stage.client(capabilities={"roots": {}})
    kept = stage.endpoint._sessions._shared.kept
    assert kept.take(client.asker.principal, 16 * 1024 * 1024 - 6000)
    first, second = large(client), client.request("tools/call", {"x": "y" * 5000}, request_id=2)
    for one in stage.asked:
        one.needs(ASKS)
    assert first.last["method"] == "roots/list"
    assert "too large" in second.last["error"]["message"]
    client.notify("notifications/cancelled", requestId=1)
    assert kept._all_bytes == 16 * 1024 * 1024 - 6000
