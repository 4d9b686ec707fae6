"""Pages of origins that are allowed may call the MCP endpoints; the endpoints for programs have their own tests."""

import pytest

from tests.relay.web.site import MemorySite

PAGE = "https://page.example"
ENDPOINTS = ("/mcp", "/sse", "/messages", "/servers/files/mcp", "/devices/d/servers/files/mcp")


@pytest.fixture
def site() -> MemorySite:
    return MemorySite(allowed_origins=(PAGE,))


@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_page_may_ask_before_it_has_a_token(site: MemorySite, path: str) -> None:
    """A preflight never carries one: with a 401 no page could connect."""
    answer = site.ask(
        "OPTIONS",
        path,
        {
            "origin": PAGE,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization, mcp-param-region, x-other",
        },
    )
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["vary"] == "origin"
    allowed = {*answer.headers["access-control-allow-headers"].lower().split(", ")}
    assert {"authorization", "mcp-session-id", "last-event-id", "mcp-param-region"} <= allowed
    assert "x-other" not in allowed
    assert answer.headers["access-control-allow-methods"] == "GET, POST, DELETE, OPTIONS"


@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_page_can_read_why_it_was_refused(site: MemorySite, path: str) -> None:
    answer = site.ask("POST", path, {"origin": PAGE})
    assert answer.status == 401
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]


def test_a_page_can_read_the_answer(site: MemorySite) -> None:
    answer = site.client().modern("tools/list", origin=PAGE).answer
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == PAGE


def test_a_page_can_read_a_stream(site: MemorySite) -> None:
    connection = site.client().modern("subscriptions/listen", {"notifications": {}}, origin=PAGE)
    assert connection.answer.headers["content-type"] == "text/event-stream"
    assert connection.answer.headers["access-control-allow-origin"] == PAGE


def test_threat_25_other_origins_get_nothing(site: MemorySite) -> None:
    for method in ("OPTIONS", "POST"):
        answer = site.ask(
            method,
            "/mcp",
            {"origin": "https://evil.example", "access-control-request-method": "POST"},
        )
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers


def test_programs_hear_nothing_of_it(site: MemorySite) -> None:
    answer = site.ask("POST", "/mcp")
    assert "access-control-allow-origin" not in answer.headers
    assert site.ask("OPTIONS", "/mcp").status == 401


def test_so_many_headers_are_repeated(site: MemorySite) -> None:
    asked = ", ".join(f"mcp-param-{number}" for number in range(100))
    answer = site.ask(
        "OPTIONS",
        "/mcp",
        {
            "origin": PAGE,
            "access-control-request-method": "POST",
            "access-control-request-headers": asked,
        },
    )
    assert answer.headers["access-control-allow-headers"].count("mcp-param-") == 32
