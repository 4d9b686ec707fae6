"""`initialize` over HTTP: answered from what the service says of itself."""

import json
from typing import Any

import pytest

from tests.mcp.client_half.stage import DISCOVERED, Stage, request


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.discovers = False
    return stage


def greeting(version: object = "2025-11-25") -> dict[str, Any]:
    about = {"name": "c"}
    return request(
        "initialize",
        {"protocolVersion": version, "capabilities": {"roots": {}}, "clientInfo": about},
        "i",
    )


def test_the_service_is_asked_who_it_is(stage: Stage) -> None:
    http = stage.post(greeting())
    asked = stage.take()
    assert asked.request.method == "server/discover"
    assert asked.about["clientCapabilities"] == {"roots": {}}
    assert asked.about["clientInfo"] == {"name": "c"}
    assert not stage.sessions.all
    asked.result(**DISCOVERED)
    assert http.json == {
        "jsonrpc": "2.0",
        "id": "i",
        "result": {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "fake", "version": "1"},
            "instructions": "Be kind.",
        },
    }
    assert http.sent == (("mcp-session-id", "session-1"),)
    session = stage.sessions.all["session-1"]
    assert json.loads(bytes(session.capabilities)) == {"roots": {}}


@pytest.mark.parametrize("version", [None, 5, ["x"]])
def test_a_greeting_without_a_version_is_refused(stage: Stage, version: object) -> None:
    http = stage.post(greeting(version))
    assert (http.status, http.code, http.json["id"]) == (400, -32602, "i")
    assert http.sent == ()
    assert not stage.asked


def test_a_service_that_cannot_tell_begins_no_session(stage: Stage) -> None:
    http = stage.post(greeting())
    stage.take().error(-32022, "old")
    assert (http.status, http.code, http.sent) == (200, -32603, ())
    http = stage.post(greeting())
    stage.take().result(_meta=5)
    assert http.code == -32603
    assert not stage.sessions.all


def test_one_that_takes_long(stage: Stage) -> None:
    """The id is in the stream's head; the session begins with the result."""
    http = stage.post(greeting())
    stage.timers.pass_s(10)
    assert (http.is_stream, http.sent) == (True, (("mcp-session-id", "session-1"),))
    asked = stage.take()
    asked.notify("notifications/message", level="info", data="x")
    asked.result(**DISCOVERED)
    assert http.last["result"]["protocolVersion"] == "2025-11-25"
    assert "session-1" in stage.sessions.all


def test_a_client_that_leaves_has_no_session(stage: Stage) -> None:
    http = stage.post(greeting())
    http.hang_up()
    asked = stage.take()
    assert asked.cancelled
    asked.result(**DISCOVERED)
    assert not stage.sessions.all
