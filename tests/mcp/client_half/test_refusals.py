"""Refusals: a status, and a JSON-RPC error."""

from mcptunnel.mcp.client_half.refusals import (
    STREAM_RETRY_S,
    refuse,
    refuse_stream,
    send_error,
    unknown_session,
)
from tests.mcp.client_half.stage import FakeHttp


def test_a_refusal_of_a_request_bears_its_id() -> None:
    http = FakeHttp("POST", ())
    send_error(http, 404, unknown_session("i"))
    assert (http.status, http.code, http.json["id"]) == (404, -32001, "i")
    http = FakeHttp("POST", ())
    send_error(http, 400, unknown_session(None), 5)
    assert http.json["id"] == 5


def test_who_has_too_many_streams_is_told_when_to_come_back() -> None:
    http = FakeHttp("POST", ())
    refuse_stream(http, "i")
    assert (http.status, http.code, http.json["id"]) == (429, -32603, "i")
    assert ("retry-after", str(STREAM_RETRY_S)) in http.sent


def test_a_refusal_of_what_was_not_read_bears_none() -> None:
    http = FakeHttp("PUT", ())
    refuse(http, 405, "Use POST", (("allow", "POST"),))
    assert (http.status, http.json["id"], http.sent) == (405, None, (("allow", "POST"),))
    assert http.json["error"] == {"code": -32600, "message": "Use POST"}
