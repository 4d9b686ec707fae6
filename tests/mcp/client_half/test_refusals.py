"""Refusals: a status, and a JSON-RPC error."""

from mcptunnel.mcp.client_half.refusals import (
    refuse,
    send_error,
    too_many_streams,
    unknown_session,
)
from tests.mcp.client_half.stage import FakeHttp


def test_a_refusal_of_a_request_bears_its_id() -> None:
    for error, code in ((unknown_session("i"), -32001), (too_many_streams("i"), -32603)):
        http = FakeHttp("POST", ())
        send_error(http, 404, error)
        assert (http.status, http.code, http.json["id"]) == (404, code, "i")
    http = FakeHttp("POST", ())
    send_error(http, 400, unknown_session(None), 5)
    assert http.json["id"] == 5


def test_a_refusal_of_what_was_not_read_bears_none() -> None:
    http = FakeHttp("PUT", ())
    refuse(http, 405, "Use POST", (("allow", "POST"),))
    assert (http.status, http.json["id"], http.sent) == (405, None, (("allow", "POST"),))
    assert http.json["error"] == {"code": -32600, "message": "Use POST"}
