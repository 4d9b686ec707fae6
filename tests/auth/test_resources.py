"""Resources and audiences (threat 18)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.issuer import Issuer
from mcptunnel.auth.resources import (
    canonical_resource,
    default_resource,
    endpoint_path,
    is_audience,
    narrowed,
    needed_scope,
    requested_resource,
)

R = Issuer("https://relay.example")
_PATHS = ["/mcp", "/sse", "/servers/x/mcp", "/servers/y/mcp", "/devices/a/servers/x/mcp", "/tunnel"]


def _refusal(text: str) -> ErrorCode | None:
    try:
        canonical_resource(R, text)
    except OAuthError as error:
        return error.code
    return None


@pytest.mark.parametrize(
    "text",
    ["https://relay.example/mcp", "https://relay.example/mcp/", "HTTPS://Relay.Example:443/mcp"],
)
def test_spellings_of_one_resource(text: str) -> None:
    """Case of scheme and host, default port and one slash do not matter."""
    assert canonical_resource(R, text) == "https://relay.example/mcp"


def test_the_origin_with_the_slash_of_url_href() -> None:
    """JavaScript's URL.href has a slash after an origin."""
    assert canonical_resource(R, "https://relay.example/") == R


@pytest.mark.parametrize(
    "text",
    [
        "https://relay.example/mcp#x",
        "https://relay.example/mcp?x",
        "https://other.example/mcp",
        "http://relay.example/mcp",
        "https://relay.example:8443/mcp",
        "https://u@relay.example/mcp",
        "https://relay.example/mcp//",
        "https://relay.example/mcp-other",
        "https://relay.example/MCP",
        "https://relay.example/servers/a%2Fb/mcp",
        "https://relay.example/servers/../mcp",
        "https://relay.example/servers/%ff/mcp",
        "/mcp",
        "urn:x",
    ],
)
def test_anything_else_is_an_invalid_target(text: str) -> None:
    with pytest.raises(OAuthError) as caught:
        canonical_resource(R, text)
    assert caught.value.code is ErrorCode.INVALID_TARGET


@given(st.text())
def test_any_text_is_canonical_or_refused(text: str) -> None:
    """Nothing but OAuthError comes out."""
    assert _refusal(text) in (None, ErrorCode.INVALID_TARGET)


@pytest.mark.parametrize("path", _PATHS)
def test_canonical_is_a_fixed_point(path: str) -> None:
    assert canonical_resource(R, canonical_resource(R, R + path)) == R + path


def test_percent_encodings_have_one_spelling() -> None:
    """A device's name may have any characters."""
    one = endpoint_path("/devices/my%20laptop/servers/x/mcp")
    assert one == endpoint_path("/devices/%6dy%20laptop/servers/x/mcp")
    assert one == "/devices/my%20laptop/servers/x/mcp"


@pytest.mark.parametrize("path", _PATHS)
@pytest.mark.parametrize("other", _PATHS)
def test_a_token_opens_its_own_endpoint_alone(path: str, other: str) -> None:
    """Row 18: wrong audience."""
    assert is_audience(R, R + path, other) == (path == other)
    assert is_audience(R, R, other)
    assert not is_audience(R, "https://other.example" + path, path)


@pytest.mark.parametrize("path", ["/mcp-other", "/", "/dashboard", "/token", "/mcp/x"])
def test_no_token_opens_what_is_no_endpoint(path: str) -> None:
    assert not is_audience(R, R, path)


def test_second_paths_belong_to_their_endpoint() -> None:
    assert is_audience(R, R + "/sse", "/messages")
    assert is_audience(R, R + "/tunnel", "/ws")
    assert needed_scope("/ws") == "agent"
    assert needed_scope("/messages") == "mcp"


@pytest.mark.parametrize(("origin_wide", "wanted"), [(True, R), (False, R + "/mcp")])
def test_clients_of_2025_03_26_name_no_resource(origin_wide: bool, wanted: str) -> None:
    """They get all endpoints, or the hub alone where that is not allowed."""
    assert default_resource(R, origin_wide=origin_wide) == wanted
    assert requested_resource(R, None, origin_wide=origin_wide) == wanted
    assert requested_resource(R, f"{R}/", origin_wide=origin_wide) == wanted


@pytest.mark.parametrize(
    ("granted", "asked", "got"),
    [
        (R + "/mcp", None, R + "/mcp"),
        (R + "/mcp", R + "/mcp/", R + "/mcp"),
        (R, R + "/mcp", R + "/mcp"),
        (R, None, R),
        (R, R + "/", R),
        (R + "/mcp", R + "/", R + "/mcp"),
    ],
)
def test_a_grant_may_be_narrowed(granted: str, asked: str | None, got: str) -> None:
    assert narrowed(R, granted, asked) == got


def test_a_grant_is_never_widened() -> None:
    with pytest.raises(OAuthError, match="not granted"):
        narrowed(R, R + "/mcp", R + "/servers/x/mcp")
