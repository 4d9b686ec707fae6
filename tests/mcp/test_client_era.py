"""The era of a client, from the head of its request or from its body."""

import json

import pytest

from mcptunnel.mcp.client_era import era_of_body, stated_era
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Headers

SESSION = ("mcp-session-id", "s")
METHOD = ("mcp-method", "tools/list")
CLAIM = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}


def version(said: str) -> tuple[str, str]:
    return ("mcp-protocol-version", said)


@pytest.mark.parametrize(
    ("method", "headers", "era"),
    [
        ("POST", (version("2026-07-28"), SESSION), Era.MODERN),
        ("GET", (version("2026-07-28"),), Era.MODERN),
        ("POST", (version("2030-01-01"),), Era.MODERN),
        ("POST", (version("2025-06-18"), METHOD), Era.LEGACY),
        ("POST", (version("2024-11-05"),), Era.LEGACY),
        ("POST", (SESSION, METHOD), Era.LEGACY),
        ("GET", (), Era.LEGACY),
        ("DELETE", (METHOD,), Era.LEGACY),
        ("POST", (METHOD,), Era.MODERN),
        ("POST", (("content-type", "application/json"),), None),
    ],
)
def test_the_head_tells_mostly(method: str, headers: Headers, era: Era | None) -> None:
    """The version first, then the session; only a POST with neither may be of either era."""
    assert stated_era(method, headers) is era


@pytest.mark.parametrize(
    ("message", "era"),
    [
        ({"id": 1, "method": "initialize", "params": {"protocolVersion": "x"}}, Era.LEGACY),
        ({"id": 1, "method": "tools/list"}, Era.LEGACY),
        ({"id": 1, "method": "tools/list", "params": {"_meta": CLAIM}}, Era.MODERN),
        ({"method": "notifications/x", "params": {"_meta": CLAIM}}, Era.MODERN),
        ({"id": 1, "method": "tools/call", "params": {"arguments": {"_meta": CLAIM}}}, Era.LEGACY),
        ({"id": 1, "result": {"_meta": CLAIM}}, Era.LEGACY),
        ({"id": 1, "method": "x", "params": {"_meta": 5}}, Era.LEGACY),
    ],
)
def test_a_body_that_claims_a_version_is_modern(message: dict[str, object], era: Era) -> None:
    """In the one place where a claim stands."""
    assert era_of_body(json.dumps({"jsonrpc": "2.0", **message}).encode()) is era


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b'[{"jsonrpc":"2.0"}]', b"\xff"])
def test_anything_else_is_the_servers_to_judge(body: bytes) -> None:
    assert era_of_body(body) is Era.LEGACY


def test_an_escaped_claim_is_one() -> None:
    """Some encoders escape slashes."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"_meta": CLAIM}})
    assert era_of_body(body.replace("/", "\\/").encode()) is Era.MODERN
