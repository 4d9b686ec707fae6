"""Calls through relay and agent: every era of client with every era and transport of server."""

import time

import pytest

from tests.programs.client import MODERN, VERSIONS, Client
from tests.programs.conftest import Stage
from tests.programs.process import eventually

SERVERS = ("legacy", "modern", "weblegacy", "webmodern")
DEMO_TOOLS = ["add", "cancelled", "clock", "countdown", "crash", "echo", "sleep"]
MEGABYTE = 1_000_000

pairings = pytest.mark.parametrize(
    ("version", "server"), [(version, server) for version in VERSIONS for server in SERVERS]
)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_tool_of_every_server_is_listed(stage: Stage, version: str) -> None:
    """The meta tools, and `server__tool` for each; pages of two tools are followed to the end."""
    tools = stage.client(version).tools()
    wanted = {f"{server}__{tool}" for server in (*SERVERS, "paged") for tool in DEMO_TOOLS}
    assert set(tools) == wanted | {"status", "restart"}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_tool_is_listed_with_all_its_fields(stage: Stage, version: str) -> None:
    listed = stage.client(version).tools()["modern__add"]
    assert listed["title"] == "Add"
    assert listed["description"] == "Add two numbers."
    assert listed["inputSchema"]["required"] == ["a", "b"]
    assert listed["outputSchema"]["required"] == ["sum"]
    assert listed["annotations"]["readOnlyHint"] is True
    assert listed["_meta"] == {"example.mcptunnel/demo": True}


@pairings
def test_a_call_gives_its_result(stage: Stage, version: str, server: str) -> None:
    """The structured one too, and `resultType` only to modern clients."""
    called = stage.client(version).call(f"{server}__add", a=2, b=40)
    assert (called.status, called.result["structuredContent"]) == (200, {"sum": 42})
    assert not called.is_error
    assert called.result.get("resultType") == ("complete" if version == MODERN else None)


@pairings
def test_a_megabyte_comes_whole(stage: Stage, version: str, server: str) -> None:
    assert stage.client(version).call(f"{server}__echo", size=MEGABYTE).text == "x" * MEGABYTE


@pairings
def test_progress_arrives_while_the_call_runs(stage: Stage, version: str, server: str) -> None:
    """Two steps of 0.1 s: the first is read long before the result, each under the client's token."""
    called = stage.client(version).call(f"{server}__countdown", "mine", n=2, interval=0.1)
    reports = [arrived.message["params"] for arrived in called.progress]
    assert [report["progress"] for report in reports] == [1, 2]
    assert {report["progressToken"] for report in reports} == {"mine"}
    assert called.at_s - called.progress[0].at_s > 0.05
    assert called.result["structuredContent"] == {"steps": 2}


def cancelled_count(client: Client, server: str) -> int:
    count: int = client.call(f"{server}__cancelled").result["structuredContent"]["count"]
    return count


@pairings
def test_a_server_hears_of_a_cancelled_call(stage: Stage, version: str, server: str) -> None:
    """A modern client cancels by closing the stream, a legacy one by a notification."""
    client = stage.client(version)
    before = cancelled_count(client, server)
    arguments = {"n": 1000, "interval": 0.02}
    request_id, answer = client.start_call(f"{server}__countdown", arguments, "mine")
    answer.wait_for_progress()
    if client.is_modern:
        answer.close()
    else:
        params = {"requestId": request_id, "reason": "enough"}
        assert client.notify("notifications/cancelled", params) == 202
        assert all("method" in arrived.message for arrived in answer.messages())
        answer.close()
    eventually(
        lambda: cancelled_count(client, server) == before + 1, 2.0, "the server to hear of it"
    )


def test_a_legacy_call_outlives_its_connection(stage: Stage) -> None:
    """Closing is no cancellation there (2025-11-25, basic/transports)."""
    client = stage.client("2025-11-25")
    before = cancelled_count(client, "legacy")
    _, answer = client.start_call("legacy__countdown", {"n": 5, "interval": 0.02}, "mine")
    answer.wait_for_progress()
    answer.close()
    time.sleep(0.2)  # it must not happen
    assert cancelled_count(client, "legacy") == before


def test_clients_with_the_same_ids_get_their_own_answers(stage: Stage) -> None:
    """Two clients, both eras, number their requests alike, and their calls overlap."""
    clients = [stage.client(version) for version in VERSIONS]
    started = [
        client.start_call("modern__countdown", {"n": number, "interval": 0.05}, "token")
        for number, client in enumerate(clients, 2)
    ]
    for number, (client, (request_id, answer)) in enumerate(zip(clients, started, strict=True), 2):
        called = client.outcome(request_id, answer)
        assert called.result["structuredContent"] == {"steps": number}
        assert len(called.progress) == number


def test_a_quick_call_overtakes_a_slow_one(stage: Stage) -> None:
    client = stage.client(MODERN)
    request_id, answer = client.start_call("modern__countdown", {"n": 10, "interval": 0.05}, "t")
    answer.wait_for_progress()
    quick = client.call("modern__add", a=1, b=1)
    assert client.outcome(request_id, answer).at_s > quick.at_s


@pytest.mark.parametrize("version", VERSIONS)
def test_a_wrong_call_is_told_apart_from_a_failed_one(stage: Stage, version: str) -> None:
    """An unknown tool is an error of the protocol, a tool's own failure is a result."""
    client = stage.client(version)
    unknown = client.call("legacy__nothing")
    assert unknown.error["code"] == -32602
    assert unknown.status == (400 if version == MODERN else 200)
    failed = client.call("legacy__clock", zone="Nowhere/Land")
    assert failed.is_error
    assert "Nowhere/Land" in failed.text
    assert failed.outcome is None
