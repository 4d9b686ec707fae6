"""`/mcp` for clients of both eras: what is answered to what, as bytes on the wire."""

from typing import Any

import pytest

from mcptunnel.testing.local_server import MemoryServer
from tests.relay.web.site import HttpClient, MemorySite

LEGACY = ["2025-03-26", "2025-06-18", "2025-11-25"]


@pytest.fixture
def site() -> MemorySite:
    return MemorySite()


@pytest.fixture
def files(site: MemorySite) -> MemoryServer:
    server = MemoryServer("files", {"read": str, "wait": None})
    site.joined.agent(server)
    return server


@pytest.fixture
def client(site: MemorySite, files: MemoryServer) -> HttpClient:
    assert files.status.name == "files"
    return site.client()


def code_of(answer: Any) -> int:
    code: int = answer.json["error"]["code"]
    return code


# Modern clients.


def test_a_modern_call(client: HttpClient) -> None:
    call = client.modern(
        "tools/call", {"name": "files__read", "arguments": {"a": 1}}, request_id="x"
    )
    answer = call.answer
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json["id"] == "x"
    assert answer.json["result"]["content"] == [{"type": "text", "text": "{'a': 1}"}]
    assert answer.json["result"]["resultType"] == "complete"
    assert "mcp-session-id" not in answer.headers


def test_modern_discovery_and_list(client: HttpClient) -> None:
    discovered = client.modern("server/discover").answer.json["result"]
    assert "2026-07-28" in discovered["supportedVersions"]
    listed = client.modern("tools/list").answer.json["result"]
    assert [tool["name"] for tool in listed["tools"]][2:] == ["files__read", "files__wait"]
    assert listed["resultType"] == "complete"


def test_modern_errors_have_a_status(client: HttpClient) -> None:
    unknown_tool = client.modern("tools/call", {"name": "nothing"}).answer
    assert (unknown_tool.status, code_of(unknown_tool)) == (400, -32602)
    unknown_method = client.modern("no/such").answer
    assert (unknown_method.status, code_of(unknown_method)) == (404, -32601)
    assert unknown_method.json["id"] == 1
    other_version = client.modern(
        "tools/list",
        about={"io.modelcontextprotocol/protocolVersion": "2030-01-01"},
        mcp_protocol_version="2030-01-01",
    ).answer
    assert (other_version.status, code_of(other_version)) == (400, -32022)
    mismatch = client.modern("tools/list", mcp_method="tools/call").answer
    assert (mismatch.status, code_of(mismatch)) == (400, -32020)


def test_a_modern_notification_is_accepted_and_forgotten(client: HttpClient) -> None:
    answer = client.legacy("notifications/whatever", request_id=None).answer
    assert (answer.status, answer.body) == (202, b"")


def test_progress_arrives_while_the_call_runs(
    client: HttpClient, files: MemoryServer, site: MemorySite
) -> None:
    call = client.modern("tools/call", {"name": "files__wait"}, about={"progressToken": "t"})
    assert not call.answers
    for step in (1, 2):
        files.calls[0].progress(step)
        site.joined.settle()
        assert len(call.answer.events) == step
        assert not call.answer.is_complete
    files.calls[0].answer("done")
    site.joined.settle()
    *news, last = call.answer.events
    assert [message["params"]["progress"] for message in news] == [1, 2]
    assert last["result"]["content"][0]["text"] == "done"
    assert call.answer.is_complete
    assert call.answer.headers["cache-control"] == "no-cache"
    assert call.answer.headers["x-accel-buffering"] == "no"


# Legacy clients.


@pytest.mark.parametrize("version", LEGACY)
def test_a_legacy_client(client: HttpClient, version: str) -> None:
    answer = client.initialize(version)
    assert answer.status == 200
    result = answer.json["result"]
    assert result["protocolVersion"] == version
    assert result["serverInfo"]["name"] == "mcptunnel"
    assert result["capabilities"] == {"tools": {"listChanged": True}}
    assert client.session
    said = None if version == "2025-03-26" else version
    noted = client.legacy(
        "notifications/initialized", request_id=None, mcp_protocol_version=said
    ).answer
    assert (noted.status, noted.body) == (202, b"")
    listed = client.legacy("tools/list", mcp_protocol_version=said).answer.json["result"]
    assert "resultType" not in listed
    assert listed["tools"][2]["name"] == "files__read"
    params = {"name": "files__read", "arguments": {}}
    called = client.legacy("tools/call", params, mcp_protocol_version=said)
    assert called.answer.json["result"]["content"][0]["text"] == "{}"
    assert "resultType" not in called.answer.json["result"]


def test_an_unknown_version_is_negotiated(client: HttpClient) -> None:
    assert client.initialize("1999-01-01").json["result"]["protocolVersion"] == "2025-11-25"


def test_initialize_needs_a_version(client: HttpClient) -> None:
    answer = client.legacy("initialize", {}).answer
    assert (answer.status, code_of(answer)) == (400, -32602)
    assert "mcp-session-id" not in answer.headers


def test_legacy_errors_travel_with_200(client: HttpClient) -> None:
    client.initialize()
    unknown_tool = client.legacy("tools/call", {"name": "nothing"}).answer
    assert (unknown_tool.status, code_of(unknown_tool)) == (200, -32602)
    unknown_method = client.legacy("no/such").answer
    assert (unknown_method.status, code_of(unknown_method)) == (200, -32601)


def test_a_legacy_ping(client: HttpClient) -> None:
    client.initialize()
    answer = client.legacy("ping", request_id="p").answer
    assert (answer.status, answer.json) == (200, {"jsonrpc": "2.0", "id": "p", "result": {}})


def test_a_result_that_a_legacy_client_cannot_be_given(
    client: HttpClient, files: MemoryServer, site: MemorySite
) -> None:
    client.initialize()
    call = client.legacy("tools/call", {"name": "files__wait"})
    files.calls[0].answer({"resultType": "input_required", "inputRequests": {}})
    site.joined.settle()
    assert code_of(call.answer) == -32603


def test_an_error_only_modern_clients_know_is_given_another_code(
    client: HttpClient, files: MemoryServer, site: MemorySite
) -> None:
    client.initialize()
    call = client.legacy("tools/call", {"name": "files__wait"})
    files.calls[0].error(-32021, "needs sampling")
    site.joined.settle()
    assert (call.answer.status, code_of(call.answer)) == (200, -32603)


def test_a_response_in_a_session_is_accepted(client: HttpClient) -> None:
    client.initialize()
    assert client.post({"jsonrpc": "2.0", "id": 1, "result": {}}).answer.status == 202


def test_a_version_that_is_not_the_sessions_kind_is_refused(client: HttpClient) -> None:
    client.initialize()
    answer = client.legacy("tools/list", mcp_protocol_version="2024-11-05").answer
    assert (answer.status, code_of(answer)) == (400, -32600)


def test_without_a_session_a_legacy_client_is_told_to_begin(client: HttpClient) -> None:
    answer = client.legacy("tools/list").answer
    assert answer.status == 400
    assert "initialize" in answer.json["error"]["message"]


@pytest.mark.parametrize("method", ["tools/list", "notifications/initialized"])
def test_an_unknown_session_is_404(client: HttpClient, method: str) -> None:
    client.session = "unknown"
    request_id = None if method.startswith("notifications") else 7
    answer = client.legacy(method, request_id=request_id).answer
    assert (answer.status, code_of(answer)) == (404, -32001)
    assert answer.json["id"] == request_id


def test_the_session_of_another_is_404(site: MemorySite, client: HttpClient) -> None:
    """Of another user, and of another key of the same user."""
    client.initialize()
    for other in (site.client("bob"), site.client("alice")):
        other.session = client.session
        assert other.legacy("tools/list").answer.status == 404
        assert other.request("DELETE").answer.status == 404
    assert client.legacy("tools/list").answer.status == 200


def test_a_session_can_be_ended(client: HttpClient, files: MemoryServer) -> None:
    client.initialize()
    waiting = client.legacy("tools/call", {"name": "files__wait"})
    answer = client.request("DELETE").answer
    assert (answer.status, answer.body) == (204, b"")
    assert "content-length" not in answer.headers
    assert "content-type" not in answer.headers
    assert files.calls[0].cancelled == "the session was ended"
    assert (waiting.answer.status, waiting.answer.body) == (202, b"")
    assert client.legacy("tools/list").answer.status == 404
    assert client.request("DELETE").answer.status == 404


def test_delete_needs_a_session(client: HttpClient) -> None:
    assert client.request("DELETE").answer.status == 400


# Cancelling.


def test_a_legacy_client_cancels_by_notification(
    client: HttpClient, files: MemoryServer, site: MemorySite
) -> None:
    client.initialize()
    call = client.legacy("tools/call", {"name": "files__wait"}, request_id=5)
    other = client.legacy("tools/call", {"name": "files__wait"}, request_id=6)
    params = {"requestId": 5, "reason": "changed my mind"}
    client.legacy("notifications/cancelled", params, request_id=None)
    assert files.calls[0].cancelled == "changed my mind"
    assert (call.answer.status, call.answer.body) == (202, b"")
    files.calls[1].answer("fine")
    site.joined.settle()
    assert other.answer.json["result"]["content"][0]["text"] == "fine"


def test_a_stream_ends_without_an_answer_when_its_call_is_cancelled(
    client: HttpClient, files: MemoryServer, site: MemorySite
) -> None:
    client.initialize()
    call = client.legacy("tools/call", {"name": "files__wait", "_meta": {"progressToken": 1}})
    files.calls[0].progress(1)
    site.joined.settle()
    client.legacy("notifications/cancelled", {"requestId": 1}, request_id=None)
    assert files.calls[0].cancelled == "cancelled by the client"
    assert call.answer.is_complete
    assert len(call.answer.events) == 1


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"requestId": None},
        {"requestId": "5"},
        {"requestId": 9},
        {"requestId": True},
        {"requestId": [5]},
    ],
)
def test_cancelling_what_is_not_there_is_passed_over(
    client: HttpClient, files: MemoryServer, params: dict[str, Any]
) -> None:
    client.initialize()
    client.legacy("tools/call", {"name": "files__wait"}, request_id=5)
    client.legacy("tools/call", {"name": "files__wait"}, request_id=1)
    answer = client.legacy("notifications/cancelled", params, request_id=None).answer
    assert answer.status == 202
    assert [call.cancelled for call in files.calls] == [None, None]


def test_a_client_cannot_cancel_in_the_session_of_another(
    site: MemorySite, client: HttpClient, files: MemoryServer
) -> None:
    client.initialize()
    client.legacy("tools/call", {"name": "files__wait"}, request_id=5)
    other = site.client("alice")
    other.initialize()
    other.legacy("notifications/cancelled", {"requestId": 5}, request_id=None)
    assert files.calls[0].cancelled is None


def test_a_modern_client_cancels_by_leaving(client: HttpClient, files: MemoryServer) -> None:
    call = client.modern("tools/call", {"name": "files__wait"})
    call.hang_up()
    assert files.calls[0].cancelled == "the client closed the stream"


def test_a_modern_client_that_leaves_its_stream_cancels(
    client: HttpClient, files: MemoryServer, site: MemorySite
) -> None:
    call = client.modern("tools/call", {"name": "files__wait"}, about={"progressToken": 1})
    files.calls[0].progress(1)
    site.joined.settle()
    call.hang_up()
    assert files.calls[0].cancelled == "the client closed the stream"


def test_a_legacy_client_that_leaves_does_not_cancel(
    client: HttpClient, files: MemoryServer, site: MemorySite
) -> None:
    """The call runs on, may still be cancelled, and its id is free when it is over."""
    client.initialize()
    for request_id in (1, 2):
        client.legacy("tools/call", {"name": "files__wait"}, request_id=request_id).hang_up()
    assert [call.cancelled for call in files.calls] == [None, None]
    client.legacy("notifications/cancelled", {"requestId": 2}, request_id=None)
    assert files.calls[1].cancelled == "cancelled by the client"
    files.calls[0].progress(1)
    files.calls[0].answer("nobody hears this")
    site.joined.settle()
    assert client.legacy("ping").answer.status == 200


def test_an_id_in_flight_cannot_be_used_again(
    client: HttpClient, files: MemoryServer, site: MemorySite
) -> None:
    client.initialize()
    first = client.legacy("tools/call", {"name": "files__wait"})
    second = client.legacy("tools/list").answer
    assert (second.status, code_of(second), second.json["id"]) == (400, -32600, 1)
    assert client.legacy("tools/list", request_id="1").answer.status == 200
    files.calls[0].answer("done")
    site.joined.settle()
    assert first.answer.json["result"]["content"][0]["text"] == "done"
    assert client.legacy("tools/list").answer.status == 200


def test_two_sessions_may_use_the_same_id(
    site: MemorySite, client: HttpClient, files: MemoryServer
) -> None:
    other = site.client("alice")
    client.initialize()
    other.initialize()
    calls = [
        one.legacy("tools/call", {"name": "files__wait", "arguments": {"n": n}})
        for n, one in enumerate((client, other))
    ]
    for waiting in reversed(files.calls):
        waiting.answer(str(waiting.arguments["n"]))
    site.joined.settle()
    texts = [call.answer.json["result"]["content"][0]["text"] for call in calls]
    assert texts == ["0", "1"]


# What is no good request.


@pytest.mark.parametrize("in_session", [False, True])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"\xff", -32700),
        (b"nonsense", -32700),
        (b"1", -32600),
        (b"{}", -32600),
        (b'{"jsonrpc":"2.0","id":null,"method":"x"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":2}', -32600),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600),
        (b"[]", -32600),
        (b"[" * 100_000, -32700),
    ],
)
def test_bad_bodies_are_400(
    client: HttpClient, body: bytes, code: int, *, in_session: bool
) -> None:
    if in_session:
        client.initialize()
    answer = client.post(body).answer
    assert (answer.status, code_of(answer)) == (400, code)
    assert answer.json["id"] in (None, 1)


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_only_json_is_read(client: HttpClient, content_type: str | None) -> None:
    assert client.post({}, content_type=content_type).answer.status == 415


def test_json_may_say_its_charset(client: HttpClient) -> None:
    answer = client.modern("tools/list", content_type="Application/JSON; charset=utf-8").answer
    assert answer.status == 200


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0, text/event-stream;q=0"])
def test_a_client_must_take_one_of_the_two(client: HttpClient, accept: str) -> None:
    assert client.modern("tools/list", accept=accept).answer.status == 406


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/*"])
def test_no_accept_takes_anything(client: HttpClient, accept: str | None) -> None:
    answer = client.modern("tools/list", accept=accept).answer
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_other_methods_are_405(client: HttpClient, method: str) -> None:
    client.initialize()
    answer = client.request(method).answers[0]
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, POST, DELETE"


@pytest.mark.parametrize("said", [None, "2026-07-28", "2025-11-25"])
def test_without_a_session_there_is_no_get(client: HttpClient, said: str | None) -> None:
    answer = client.request("GET", mcp_protocol_version=said).answer
    assert answer.status == 405
    assert answer.headers["allow"] == "POST, DELETE"


def test_a_modern_client_has_no_get(client: HttpClient) -> None:
    """Not even with a session's id, which it has not."""
    client.initialize()
    assert client.request("GET", mcp_protocol_version="2026-07-28").answer.status == 405


def test_nothing_is_below(site: MemorySite) -> None:
    for path in ("/mcp/", "/mcp/x"):
        answer = site.ask("POST", path, {"authorization": f"Bearer {site.key()}"})
        assert answer.status == 404
        assert answer.json["error"] == "not_found"


def test_a_relay_that_stops_puts_requests_off(
    site: MemorySite, client: HttpClient, files: MemoryServer
) -> None:
    """With the id of each; a call that runs has its answer, and a legacy client may cancel it."""
    running = client.modern("tools/call", {"name": "files__wait"})
    client.initialize()
    site.joined.draining.is_on = True
    site.joined.draining.retry_after_s = 2.5
    for connection in (
        client.modern("tools/call", {"name": "files__wait"}, request_id="x"),
        client.modern("server/discover", request_id="x"),
        client.legacy("tools/list", request_id="x"),
        client.legacy("initialize", request_id="x", mcp_session_id=None),
    ):
        answer = connection.answer
        assert answer.status == 503
        assert answer.headers["retry-after"] == "3"
        assert answer.json["id"] == "x"
        assert answer.json["error"]["data"] == {"outcome": "not_delivered"}
    cancelled = {"requestId": 1}
    assert client.legacy("notifications/cancelled", cancelled, request_id=None).answer.status == 202
    assert client.request("DELETE").answer.status == 204
    files.calls[0].answer({"content": []})
    site.joined.settle()
    assert running.answer.status == 200


def test_servers_are_told_each_legacy_session_as_a_client_of_its_own(
    site: MemorySite, files: MemoryServer
) -> None:
    """One key, two windows, and a modern client: three clients, the same ones for each call."""
    key = site.key()
    for _ in range(2):
        window = HttpClient(site, key)
        window.initialize(LEGACY[-1])
        for request_id in range(2):
            window.legacy("tools/call", {"name": "files__wait"}, request_id=request_id)
    for _ in range(2):
        HttpClient(site, key).modern("tools/call", {"name": "files__wait"})
    askers = [call.asker for call in files.calls]
    first, second, modern = askers[::2]
    assert askers[1::2] == [first, second, modern]
    assert {asker.principal for asker in askers} == {"local|alice"}
    assert first.client.startswith(f"{modern.client} session:")
    assert second.client.startswith(f"{modern.client} session:")
    assert first.client != second.client
