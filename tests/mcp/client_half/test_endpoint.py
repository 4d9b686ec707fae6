"""HTTP requests to an endpoint of both eras: which are refused, and how."""

import json
from typing import Any

import pytest

from mcptunnel.model import header
from tests.mcp.client_half.stage import ABOUT, ALICE, MODERN, FakeHttp, FakeService, Stage, request


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "HEAD", "X" * 1000])
def test_other_methods(stage: Stage, method: str) -> None:
    http = stage.send(method, b"")
    assert (http.status, http.sent) == (405, (("allow", "GET, POST, DELETE"),))
    assert len(http.body) < 300


def test_get_and_delete_without_a_session(stage: Stage) -> None:
    http = stage.send("GET", b"")
    assert (http.status, http.sent) == (405, (("allow", "POST, DELETE"),))
    assert stage.send("DELETE", b"").status == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content_type": "text/plain"}, 415),
        ({"content_type": None}, 415),
        ({"content_type": "application/json; charset=utf-8"}, 0),
        ({"accept": "text/html"}, 406),
        ({"accept": None}, 0),
    ],
)
def test_media_types(stage: Stage, headers: dict[str, Any], status: int) -> None:
    http = stage.modern("tools/list", **headers)
    assert http.status == status
    assert len(stage.asked) == (not status)


@pytest.mark.parametrize(
    ("body", "code"), [(b"", -32700), (b"{", -32700), (b"5", -32600), (b"\xff", -32700)]
)
def test_what_is_no_message(stage: Stage, body: bytes, code: int) -> None:
    http = stage.send("POST", body)
    assert (http.status, http.code, http.json["id"]) == (400, code, None)


@pytest.mark.parametrize(
    ("headers", "about", "status", "code"),
    [
        ({"mcp_protocol_version": None}, {}, 400, -32020),
        ({"mcp_protocol_version": "2025-11-25"}, {}, 400, -32020),
        ({"mcp_method": None}, {}, 400, -32020),
        ({"mcp_method": "tools/list"}, {}, 400, -32020),
        ({"mcp_name": None}, {}, 400, -32020),
        ({"mcp_name": "other"}, {}, 400, -32020),
        ({"mcp_name": "=?base64?dA=?="}, {}, 400, -32020),
        ({"mcp_name": "=?base64?dA==?="}, {}, 0, None),
        (
            {"mcp_protocol_version": "2030-01-01"},
            {"io.modelcontextprotocol/protocolVersion": "2030-01-01"},
            400,
            -32022,
        ),
        ({}, {"io.modelcontextprotocol/clientCapabilities": None}, 400, -32602),
        ({}, {"io.modelcontextprotocol/logLevel": "loud"}, 400, -32602),
    ],
)
def test_a_modern_request_agrees_with_its_headers(
    stage: Stage,
    headers: dict[str, Any],
    about: dict[str, object],
    status: int,
    code: int | None,
) -> None:
    http = stage.modern("tools/call", {"name": "t", "_meta": about}, request_id="r", **headers)
    assert http.status == status
    if code is not None:
        assert (http.code, http.json["id"]) == (code, "r")
        assert not stage.asked


def test_the_versions_we_speak_are_told(stage: Stage) -> None:
    about = {"io.modelcontextprotocol/protocolVersion": "x"}
    http = stage.modern("tools/list", {"_meta": about}, mcp_protocol_version="x")
    assert http.json["error"]["data"] == {"supported": [MODERN], "requested": "x"}


def test_doubled_routing_headers_are_refused(stage: Stage) -> None:
    """Another reader could have taken the other one."""
    fields = (
        ("content-type", "application/json"),
        ("mcp-protocol-version", MODERN),
        ("mcp-method", "tools/list"),
        ("mcp-method", "tools/call"),
    )
    http = FakeHttp("POST", fields)
    body = json.dumps(request("tools/list", {"_meta": ABOUT})).encode()
    stage.endpoint.answer(http, ALICE, FakeService(stage, ALICE), body, 0.0)
    assert (http.status, http.code) == (400, -32020)


def test_a_modern_notification_is_accepted_and_forgotten(stage: Stage) -> None:
    http = stage.post(request("notifications/x", {"_meta": ABOUT}, None))
    assert (http.status, http.body) == (202, b"")
    assert not stage.asked


@pytest.mark.parametrize(
    ("message", "headers", "code"),
    [
        (request("tools/list"), {}, -32600),
        (request("tools/list"), {"mcp_protocol_version": MODERN}, -32602),
        (request("tools/list"), {"mcp_protocol_version": "x"}, -32022),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, {}, -32600),
        ([request("tools/list")], {}, -32600),
    ],
)
def test_who_belongs_to_no_era_is_told(
    stage: Stage, message: object, headers: dict[str, Any], code: int
) -> None:
    http = stage.post(message, **headers)
    assert (http.status, http.code) == (400, code)


def test_stopping_twice_does_no_harm(stage: Stage) -> None:
    stage.modern("tools/call", {"name": "t"})
    stage.stop()
    stage.stop()
    stage.modern("tools/call", {"name": "t"})
    assert stage.timers.count == 0


def test_who_is_stopping_puts_off_what_would_begin(stage: Stage) -> None:
    """Requests of both eras, batches with any, and streams: 503 with the id; the service is not asked."""
    client, old = stage.client(), stage.client("2025-03-26")
    stage.draining.is_on = True
    batch = [request("notifications/initialized", request_id=None), request("ping")]
    stage.asked.clear()
    for http, request_id in (
        (stage.modern("tools/call", {"name": "t"}, request_id="x"), "x"),
        (stage.modern("subscriptions/listen", {"notifications": {}}), 1),
        (client.call(request_id=7), 7),
        (client.request("initialize", mcp_session_id=None), 1),
        (old.post(batch), None),
        (old.post([5]), None),
        (client.listen(), None),
    ):
        assert (http.status, header(http.sent, "retry-after")) == (503, "3")
        assert http.json["id"] == request_id
        assert http.json["error"]["message"] == "We are stopping."
        assert http.json["error"]["data"] == {"outcome": "not_delivered"}
    assert not stage.asked


def test_who_is_stopping_takes_what_calls_wait_for(stage: Stage) -> None:
    """Answers, cancellations, and the end of a session."""
    client = stage.client("2025-03-26", {"roots": {}})
    asking, other = client.call(), client.call(request_id=2)
    stage.asked[-2].needs({"a": {"method": "roots/list"}})
    stage.draining.is_on = True
    assert client.answer(asking.last["id"], {"roots": []}).status == 202
    assert stage.asked[-1].request.method == "tools/call"
    stage.asked[-1].text("done")
    assert asking.last["result"]["content"][0]["text"] == "done"
    cancelled = request("notifications/cancelled", {"requestId": 2}, request_id=None)
    assert client.post([cancelled]).status == 202
    assert other.is_over
    assert client.delete().status == 204
