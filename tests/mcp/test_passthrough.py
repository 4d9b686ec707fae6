"""Header hygiene of the transparent path (threats 21 and 22: a malicious agent, a malicious client)."""

import pytest

from mcptunnel.mcp.passthrough import (
    body_length,
    refusal,
    request_headers,
    response_headers,
    with_length,
)
from mcptunnel.model import Headers


def fields(*names: str) -> Headers:
    return tuple((name, "x") for name in names)


@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "cookie", "host", "origin", "referer", "expect", "connection", "te"),
        *("keep-alive", "proxy-authorization", "proxy-connection", "transfer-encoding", "upgrade"),
        *("content-length", "trailer", "forwarded", "via", "x-real-ip", "x-forwarded-for"),
        *("x-forwarded-host", "cf-connecting-ip", "sec-fetch-site", "accept-encoding"),
    ],
)
def test_what_never_reaches_a_local_server(name: str) -> None:
    assert request_headers(fields("accept", name)) == fields("accept")


def test_everything_else_reaches_it_in_order_and_repeated() -> None:
    sent = fields(
        "content-type", "mcp-session-id", "mcp-param-x", "x-own", "last-event-id", "x-own"
    )
    assert request_headers(sent) == sent


def test_what_connection_names_stays_behind() -> None:
    """RFC 9110, section 7.6.1; both ways."""
    named = (("connection", "close, X-Own"), ("connection", "mcp-hop"))
    assert request_headers((*named, *fields("x-own", "mcp-hop", "x-other"))) == fields("x-other")
    assert response_headers((*named, *fields("mcp-hop", "mcp-name"))) == fields("mcp-name")


@pytest.mark.parametrize(
    "name",
    [
        *("set-cookie", "location", "www-authenticate", "access-control-allow-origin", "server"),
        *("strict-transport-security", "content-security-policy", "clear-site-data", "alt-svc"),
        *("connection", "transfer-encoding", "content-length", "refresh", "link", "x-own"),
    ],
)
def test_what_never_reaches_a_client(name: str) -> None:
    assert response_headers(fields("mcp-session-id", name)) == fields("mcp-session-id")


def test_what_reaches_a_client() -> None:
    answered = fields("cache-control", "retry-after", "content-encoding", "mcp-protocol-version")
    assert response_headers(answered) == answered


@pytest.mark.parametrize(
    ("told", "passed"),
    [
        ("application/json; charset=utf-8", "application/json; charset=utf-8"),
        ("Text/Event-Stream", "Text/Event-Stream"),
        ("text/plain", "text/plain"),
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
    ],
)
def test_no_content_type_can_become_a_page(told: str, passed: str) -> None:
    assert response_headers((("content-type", told),)) == (("content-type", passed),)


@pytest.mark.parametrize(
    ("values", "length"),
    [((), None), (("0",), 0), (("12",), 12), (("7", "7"), 7), (("7, 7",), 7)],
)
def test_the_length_that_a_head_states(values: tuple[str, ...], length: int | None) -> None:
    assert body_length(tuple(("content-length", value) for value in values)) == length


@pytest.mark.parametrize("values", [("-1",), ("+1",), ("1", "2"), ("",), ("1_0",), ("1" * 19,)])
def test_a_length_that_two_readers_could_read_differently(values: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="malformed"):
        body_length(tuple(("content-length", value) for value in values))


def test_one_length_is_told_on() -> None:
    assert with_length(fields("a"), 5) == (("a", "x"), ("content-length", "5"))
    assert with_length(fields("a"), None) == fields("a")


@pytest.mark.parametrize("status", [300, 301, 304, 307, 399, 401, 407])
def test_statuses_that_are_not_passed_on(status: int) -> None:
    """Redirects, and challenges that would look like the relay's own."""
    assert f"HTTP {status}" in (refusal(status) or "")


@pytest.mark.parametrize("status", [200, 202, 204, 299, 400, 403, 404, 405, 418, 500, 599])
def test_all_others_are(status: int) -> None:
    assert refusal(status) is None
