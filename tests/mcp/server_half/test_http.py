"""The era of a local HTTP server, and the headers that each era wants."""

import json
from typing import Any

import pytest

from mcptunnel.mcp.server_half import http
from mcptunnel.mcp.server_half.handshake import HandshakeError, ServerInfo
from mcptunnel.mcp.server_half.http import Legacy, Modern, Unusable
from mcptunnel.mcp.versions import Era
from tests.mcp.server_half.talk import US, discovered, initialized, request

JSON = "application/json; charset=utf-8"


def answer(**members: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, **members}).encode()


def error(code: int, **data: Any) -> bytes:
    return answer(error={"code": code, "message": "m", **({"data": data} if data else {})})


def test_the_probe_is_a_modern_discover() -> None:
    fields, body = http.probe_request(US)
    assert dict(fields) == {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "server/discover",
    }
    assert json.loads(body)["method"] == "server/discover"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, answer(result=discovered("2025-11-25", "2026-07-28"))),
        (400, error(-32022, supported=["2026-07-28"])),
        (400, error(-32020)),
        (400, error(-32021, requiredCapabilities={"roots": {}})),
    ],
)
@pytest.mark.parametrize("content_type", [JSON, "text/event-stream"])
def test_servers_that_are_modern(status: int, body: bytes, content_type: str) -> None:
    """By a DiscoverResult, or by an error that only modern servers have."""
    found = http.verdict(status, content_type, body)
    assert isinstance(found, Modern)
    assert (found.info.era, found.info.version) == (Era.MODERN, "2026-07-28")
    assert json.loads(bytes(found.info.capabilities)) == {"tools": {}}


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        (200, JSON, answer(result=discovered("2025-11-25"))),
        (200, JSON, answer(result={})),
        (200, JSON, error(-32601)),
        (404, JSON, error(-32601)),
        (400, JSON, error(-32000)),
        (400, JSON, error(-32022, supported=["2025-11-25", "2025-06-18"])),
        (400, JSON, error(-32022)),
        (400, "text/plain", b"Bad Request: No valid session ID provided"),
        (400, None, b""),
        (404, "text/html", b"<html>"),
        (405, None, b""),
        (406, JSON, b"{}"),
        (202, None, b""),
        (200, JSON, b"not JSON"),
        (200, JSON, b'{"jsonrpc":"2.0","method":"x"}'),
        (200, "text/plain", answer(result=discovered("2026-07-28"))),
    ],
)
def test_servers_that_are_greeted_the_legacy_way(
    status: int, content_type: str | None, body: bytes
) -> None:
    assert http.verdict(status, content_type, body) == Legacy()


@pytest.mark.parametrize("status", [301, 307, 401, 403, 407, 408, 421, 429, 500, 502, 503, 504])
def test_some_answers_say_nothing_of_the_era(status: int) -> None:
    """Neither to the probe nor to initialize, whatever their body says."""
    found = http.verdict(status, JSON, answer(result=discovered("2026-07-28")))
    assert isinstance(found, Unusable)
    assert str(status) in found.reason
    with pytest.raises(HandshakeError, match=str(status)):
        http.read_initialize(status, (), JSON, answer(result=initialized()))


def test_a_server_of_unknown_versions_only_cannot_be_used() -> None:
    found = http.verdict(400, JSON, error(-32022, supported=["2030-01-01"]))
    assert found == Unusable(
        "The server speaks only MCP versions that are not known here: 2030-01-01"
    )


def test_initialize_is_sent_without_a_version_header() -> None:
    fields, body = http.initialize_request(US)
    assert dict(fields) == {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
    }
    assert json.loads(body)["params"]["protocolVersion"] == "2025-11-25"
    assert json.loads(http.INITIALIZED_BODY)["method"] == "notifications/initialized"


@pytest.mark.parametrize("session_id", ["abc", None])
@pytest.mark.parametrize(
    ("version", "named"),
    [
        ("2024-11-05", False),
        ("2025-03-26", False),
        ("2025-06-18", True),
        ("2025-11-25", True),
    ],
)
def test_a_legacy_session_names_its_version_and_id_where_it_must(
    version: str, named: bool, session_id: str | None
) -> None:
    fields = () if session_id is None else (("mcp-session-id", session_id),)
    session = http.read_initialize(200, fields, JSON, answer(result=initialized(version)))
    assert (session.version, session.session_id) == (version, session_id)
    assert session.info.era is Era.LEGACY
    expected = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        **({"mcp-protocol-version": version} if named else {}),
        **({} if session_id is None else {"mcp-session-id": session_id}),
    }
    assert dict(http.legacy_headers(session)) == expected


@pytest.mark.parametrize("session_id", ["", "a b", "é", "a\x7f", "a\n"])
def test_a_session_id_that_could_break_a_header_is_refused(session_id: str) -> None:
    with pytest.raises(HandshakeError, match="visible ASCII"):
        http.read_initialize(
            200, (("mcp-session-id", session_id),), JSON, answer(result=initialized())
        )


@pytest.mark.parametrize(
    ("status", "content_type", "body", "words"),
    [
        (404, "text/html", b"<html>", "HTTP status 404"),
        (200, JSON, b"", "HTTP status 200"),
        (400, JSON, error(-32602), "refused initialize"),
        (200, JSON, answer(result=initialized("2026-07-28")), "2026-07-28"),
        (200, JSON, answer(result={}), "invalid"),
    ],
)
def test_an_initialize_that_fails_gives_a_reason(
    status: int, content_type: str, body: bytes, words: str
) -> None:
    with pytest.raises(HandshakeError, match=words):
        http.read_initialize(status, (), content_type, body)


def test_a_modern_request_repeats_itself_in_headers() -> None:
    info = ServerInfo(Era.MODERN, "2026-07-28", US)
    fields = dict(http.modern_headers(request(1, name="read"), info))
    assert fields["mcp-protocol-version"] == "2026-07-28"
    assert (fields["mcp-method"], fields["mcp-name"]) == ("tools/call", "read")
