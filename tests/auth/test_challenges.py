"""Challenges of the MCP endpoints."""

from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth.challenges import insufficient_scope, unauthorized
from mcptunnel.auth.issuer import Issuer

R = Issuer("https://relay.example")
_METADATA = 'resource_metadata="https://relay.example/.well-known/oauth-protected-resource'


def test_a_first_request_is_told_where_to_look() -> None:
    """mcp-remote and Codex come without a token: no error then (RFC 6750, 3.1)."""
    challenge = unauthorized(R, "/mcp", token_presented=False)
    assert challenge == f'Bearer {_METADATA}/mcp", scope="mcp"'


def test_a_bad_token_is_named() -> None:
    challenge = unauthorized(R, "/ws", token_presented=True)
    assert challenge == f'Bearer error="invalid_token", {_METADATA}/tunnel", scope="agent"'


def test_all_scopes_are_asked_for_at_once() -> None:
    """MCP, Scope Challenge Handling: the union, and never `offline_access`."""
    challenge = insufficient_scope(
        R, "/mcp", granted=("mcp:a", "offline_access"), needed=("mcp:b",)
    )
    assert challenge == (
        f'Bearer error="insufficient_scope", scope="mcp:a mcp:b", {_METADATA}/mcp"'
    )


@given(st.text())
def test_row_24_no_path_breaks_the_header(path: str) -> None:
    """A challenge is made before routing: what is asked for is nobody's choice."""
    challenge = unauthorized(R, path, token_presented=True)
    assert challenge.isprintable()
    assert challenge.isascii()
    assert challenge.count('"') == 6
